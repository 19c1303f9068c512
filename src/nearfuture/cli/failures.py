"""Turn failures outside the program into a message and an exit code: a full disk, an unusable path, no memory.

    a `UserError`                                       its own code: 2, 3 or 4
    ENOSPC, EDQUOT, EFBIG, however a library says it    4: the disk is full; the run can be resumed
    any other errno                                     2: a folder instead of a file, no permission, a long name
    too little memory on the machine or the device      2
    a server that does not answer                       2

Everything else is a bug and keeps its traceback. What a library raises about a configuration is handled where
the library is called (`nearfuture.refusals`).

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
    ". unexpected pos ",  # torch.save says how far it got in the file, and never why it failed
    "PytorchStreamWriter failed writing",
)
"""How libraries that do not raise `OSError` say that a file could not be written completely."""
NO_MEMORY = ("can't allocate memory", "out of memory", "not enough memory")


def as_user_error(error: Exception) -> UserError | None:
    """The error to show a user, or None if they cannot fix its cause."""
    chain = list(_chain(error))
    if any(map(_is_disk_full, chain)):  # comes first, since the writer may have raised something as well
        return DiskError(
            f"the disk is full, or a quota or a file size limit is reached: {_first_line(error)}. What was finished "
            "before is whole. Make room and repeat the command (a run: with --resume); it continues from there."
        )
    if isinstance(error, UserError):
        return error
    if any(map(_is_out_of_memory, chain)):
        return UserError(
            f"out of memory: {_first_line(error)}. Lower per_device_train_batch_size (and raise "
            "gradient_accumulation_steps), max_completion_length or guide_batch_size, or leave long prompts out with "
            "max_prompt_length: one of them makes a whole batch long. `nearfuture plan` lists what takes up how much, "
            "and `nearfuture data check` how long the longest prompt is."
        )
    if isinstance(error, BrokenPipeError):
        return None  # the reader of the output has gone; the command line ends quietly
    if isinstance(error, OSError) and error.errno is not None:
        return UserError(_path_error(error))
    if isinstance(error, ConnectionError | TimeoutError):
        return UserError(f"{_first_line(error)}. Is the server up, and reachable from here?")
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes."""
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
    """The system's message with the path and a remedy."""
    remedies: dict[type[OSError], str] = {
        FileNotFoundError: "Correct the path, or restore what was there.",
        PermissionError: "Choose a place that you may read and write.",
        NotADirectoryError: "A folder is needed there, but it is a file.",
        IsADirectoryError: "A file is needed there, but it is a folder.",
        FileExistsError: "Something with that name already exists.",
    }
    remedy = remedies.get(type(error), "Choose another path, or fix what the system complains about.")
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    where = f"{' -> '.join(names)}: " if names else ""
    return f"{where}{error.strerror or error}. {remedy}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
