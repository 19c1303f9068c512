"""What the commands share: the application, how errors are printed, and the arguments that several commands take.

Not here: any command (see the other files of this package). Heavy imports happen inside the commands.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table

from nearfuture.cli.failures import as_user_error
from nearfuture.types import UserError

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

INTERRUPTED, WIDEST = 130, 1000

app = typer.Typer(
    help="Near-Future Policy Optimization: a policy learns from its own near future, on TRL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Begin with: nearfuture init",
)
OF_A_RUN = (
    *("lineage.json", "lineage.copy.json", "metrics.jsonl", "events.jsonl", "samples.jsonl"),
    *("config.yaml", "data.json", "env.json", "ledger.json"),
)
VERSIONS = ("nearfuture", "trl", "transformers", "torch")
LogLevel = Literal["debug", "info", "warning", "error"]


def known_configs(incomplete: str) -> list[str]:
    """Completions for the shell: files and folders, and configurations that ship."""
    from nearfuture.options.shipped import configurations

    here = Path(incomplete).parent.glob(f"{Path(incomplete).name if incomplete else ''}*")
    files = [str(path) for path in here if path.is_dir() or path.suffix in (".yaml", ".yml")]
    return [*files, *(name for name in configurations() if name.startswith(incomplete))]


ConfigPath = Annotated[
    Path,
    typer.Argument(
        metavar="CONFIG",
        help="A YAML file, or the name of a configuration that ships (`nearfuture init --list`).",
        autocompletion=known_configs,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="key=value", help="Override keys of the configuration; `nearfuture docs configuration` has all of them."
    ),
]


def example(*commands: str) -> str:
    """The end of a command's help: an example."""
    return "\n\n".join(f"Example: nearfuture {command}" for command in commands)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        installed = [f"{name} {metadata.version(name)}" for name in VERSIONS if _is_installed(name)]
        print(f"{installed[0]} ({', '.join([*installed[1:], f'Python {sys.version.split()[0]}'])})")
        raise typer.Exit


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print versions, and stop.")
    ] = False,
    log_level: Annotated[
        LogLevel | None,
        typer.Option(help="Log to stderr from this level on: this tool, and the libraries below it."),
    ] = None,
) -> None:
    """Near-Future Policy Optimization: a policy learns from its own near future, on TRL."""
    if log_level is not None:
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
        logging.getLogger("nearfuture").setLevel(log_level.upper())


@contextlib.contextmanager
def told_to_user() -> Iterator[None]:
    """Print an error that the user can fix as one message, and exit with its code; a bug keeps its traceback.

    SIGTERM is taken as SIGINT: both end a command with 130 and a word, and what it was writing is left as after a kill.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler) if is_main else None
    try:
        yield
        sys.stdout.flush()  # at this point a full disk behind a pipe or a file can still be reported
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        told = as_user_error(error)
        if told is None:
            raise
        _let_go_of_a_full_stdout()
        with contextlib.suppress(OSError):  # stderr may be the file that is full
            Console(stderr=True, highlight=False, soft_wrap=True).print("[bold red]error:[/]", end=" ")
            print(told, file=sys.stderr)
        raise typer.Exit(told.exit_code) from None
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def require_outputs(*paths: Path | None) -> None:
    """Refuse, before any work, to write where a folder or a file of a run is.

    Raises:
        UserError: the path, and what is there.
    """
    for path in filter(None, paths):
        if path.is_dir():
            raise UserError(f"{path} is a folder. A file is needed there.")
        if path.name in OF_A_RUN and (path.parent / "lineage.json").exists():
            raise UserError(f"{path} is a file of the run in {path.parent}, and would be lost. Write somewhere else.")


def _let_go_of_a_full_stdout() -> None:
    """Drop what cannot be written: Python would try again at exit, and exit with its own code."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def hush(*, quiet: bool = False) -> None:
    """Load the training libraries, after saying so because it takes a while, and leave the terminal to this tool."""
    is_first = os.environ.get("RANK", "0") == "0"
    if "trl" not in sys.modules and is_first and not quiet:
        print("loading torch, transformers and TRL", file=sys.stderr, flush=True)
    from nearfuture.train.hush import hush_libraries

    hush_libraries(logging.getLogger("nearfuture").level or logging.ERROR)


def print_whole(shown: RenderableType) -> None:
    """Print tables and text at the width of the terminal, or wider where a table would lose digits or break words."""
    console = Console(highlight=False)
    needed = Measurement.get(console, console.options.update(width=WIDEST), shown).minimum
    (console if needed <= console.width else Console(highlight=False, width=needed)).print(shown)


def print_summary(summary: dict[str, Any]) -> None:
    """Print keys and values as a table."""
    table = Table(show_header=False)
    for key, value in summary.items():
        table.add_row(key, f"{value:.4g}" if isinstance(value, float) else str(value))
    Console().print(table)
