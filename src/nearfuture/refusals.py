"""What a library raises about a configuration, as an error that names the keys.

An exception from inside a library that was handed nothing but settings is about the settings. One whose innermost frame
is ours is a bug of ours, whatever was handed over, and passes.

Not here: the values that are refused before a library sees them (`nearfuture.run.settings.ranges`).
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from nearfuture.types import UserError

T = TypeVar("T")
OURS = str(Path(__file__).parent)
INSTALLED = "site-packages"
NUM_SHOWN = 8


def built_from(build: Callable[[dict[str, Any]], T], settings: Mapping[str, Any], what: str) -> T:
    """Return `build(settings)`; where a library refuses them, find out which by leaving out one at a time.

    Args:
        build: cheap, and without effects.
        settings: by key.
        what: is refused, for the error.

    Raises:
        UserError: the keys without which it would have worked, and the library's own words.
    """
    try:
        return build(dict(settings))
    except UserError:
        raise
    except Exception as error:
        if not is_a_librarys(error):
            raise
        guilty = [key for key in settings if _works(build, {k: v for k, v in settings.items() if k != key})]
        raise refusal(what, error, {key: settings[key] for key in guilty} or dict(settings)) from error


@contextlib.contextmanager
def refusing(what: str, settings: Mapping[str, Any]) -> Iterator[None]:
    """Tell what a library raises inside, with those of the settings that its words name (else all of them).

    Raises:
        UserError: the library's own words, and where it said them.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not is_a_librarys(error):
            raise
        named = {key: value for key, value in settings.items() if key in str(error)}
        raise refusal(what, error, named or dict(settings)) from error


def is_a_librarys(error: BaseException) -> bool:
    """True if the innermost frame, those of Python's own library aside, lies in a package that is not ours.

    What is not Python in a package has no frame, but raises errors of its own.
    """
    origin = type(error).__module__.partition(".")[0]
    if origin != "nearfuture" and origin not in sys.stdlib_module_names:
        return True
    names = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    packages = [name for name in names if name.startswith(OURS) or INSTALLED in name]
    return bool(packages) and not packages[-1].startswith(OURS)


def refusal(what: str, error: Exception, settings: Mapping[str, Any]) -> UserError:
    """The error for settings that a library refuses."""
    said = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, ValueError):
        said = f"{type(error).__name__}: {said}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno}"
    shown = ", ".join(f"{key}={value!r}" for key, value in list(settings.items())[:NUM_SHOWN])
    more = f" and {len(settings) - NUM_SHOWN} more" if len(settings) > NUM_SHOWN else ""
    keys = f" Set here: {shown}{more}." if shown else ""
    return UserError(f"{what}: {said} ({where}).{keys}")


def _works(build: Callable[[dict[str, Any]], Any], settings: dict[str, Any]) -> bool:
    try:
        build(settings)
    except Exception:  # noqa: BLE001 (whatever it is, this key alone was not to blame)
        return False
    return True
