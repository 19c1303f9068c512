"""What the world did to a command, as a message and an exit code: a full disk, a path that cannot be used, no memory.

    a `UserError`                                       its own code: 2, 3 or 4
    ENOSPC, EDQUOT, EFBIG, however a library says it    4: the disk is full, and the run goes on where it stopped
    another errno of the system, with or without a path 2: a folder for a file, no permission, a name too long
    memory that the machine or the device has not       2
    no answer from a server that was asked for          2

Everything else is a bug and keeps its traceback. What a value of the configuration did to a library is told where the
library is called (`nearfuture.refusals`).

Not here: printing it (`base`).
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from nearfuture.types import DiskError, UserError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SAID = (
    *(f"os error {number}" for number in FULL),  # Rust: safetensors, tokenizers
    "No space left on device",
    "Disk quota exceeded",
    ". unexpected pos ",  # torch.save says where it stood in the file, and never why
    "PytorchStreamWriter failed writing",
)
"""How libraries that raise no `OSError` tell that a file could not be written to its end."""
NO_MEMORY = ("can't allocate memory", "out of memory", "not enough memory")


def as_user_error(error: Exception) -> UserError | None:
    """The error to tell a user, or None where nothing that they can mend explains it."""
    chain = list(_chain(error))
    if any(map(_is_disk_full, chain)):  # first: who was writing may have said something, too
        return DiskError(
            f"the disk is full, or a quota or a limit of file sizes reached: {_first_line(error)}. What was finished "
            "before is whole. Make room, and give the same command again (a run: --resume): it goes on from there."
        )
    if isinstance(error, UserError):
        return error
    if any(map(_is_out_of_memory, chain)):
        return UserError(
            f"out of memory: {_first_line(error)}. Lower per_device_train_batch_size (and raise "
            "gradient_accumulation_steps), max_completion_length or guide_batch_size; `nearfuture plan` lists what "
            "takes how much."
        )
    if isinstance(error, BrokenPipeError):
        return None  # whoever read the output has left; the command line ends quietly
    if isinstance(error, OSError) and error.errno is not None:
        return UserError(_path_error(error))
    if isinstance(error, ConnectionError | TimeoutError):
        return UserError(f"{_first_line(error)}. Is the server up, and reachable from here?")
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _is_disk_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    return any(text in str(error) for text in SAID)


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in NO_MEMORY)


def _path_error(error: OSError) -> str:
    """The system's words with the path, and what can be done about it."""
    remedies: dict[type[OSError], str] = {
        FileNotFoundError: "Correct the path, or put it back if it was deleted meanwhile.",
        PermissionError: "Choose a place that may be written to, or read from.",
        NotADirectoryError: "A folder is needed there, and a file is in the way.",
        IsADirectoryError: "A file is needed there, and it is a folder.",
        FileExistsError: "Something of that name is there already.",
    }
    remedy = remedies.get(type(error), "Choose another path, or mend what the system complains about.")
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    where = f"{' -> '.join(names)}: " if names else ""
    return f"{where}{error.strerror or error}. {remedy}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
