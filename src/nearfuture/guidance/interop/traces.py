"""What a row of any format says: which prompt it means, and the traces it has for it. And what one needs to write it.

Not here: the formats (`easyvideor1`, `luffy`, `rlep`, `plain`), the files they lie in (`rows`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nearfuture.guidance.header import CacheHeader
from nearfuture.guidance.table import Entry

Row = dict[str, Any]


class DamagedRowError(Exception):
    """A row that cannot be read, with the reason."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A tokenizer as two functions, and the names of what they mean.

    `encode` adds no special tokens, `decode` returns the text that a verifier reads, and the first of `eos_token_ids`
    ends a trace.
    """

    encode: Callable[[str], list[int]]
    decode: Callable[[Sequence[int]], str]
    tokenizer_hash: str
    eos_token_ids: tuple[int, ...]

    def ended(self, ids: Sequence[int]) -> list[int]:
        """Return the ids with a stop token at their end."""
        is_ended = bool(ids) and ids[-1] in self.eos_token_ids
        return list(ids) if is_ended else [*ids, self.eos_token_ids[0]]


@dataclass(frozen=True, slots=True)
class Trace:
    """One trajectory as text, with what else a row may know about it.

    `completion_ids` and `behavior_logps` are empty if the row has text only; `temperature` is what the log-probs
    were taken at. The four numbers are those of `Guidance`; 0 where the row does not say.
    """

    text: str
    completion_ids: tuple[int, ...] = ()
    behavior_logps: tuple[float, ...] = ()
    temperature: float | None = None
    guide_segment: int = 0
    guide_step: int = 0
    num_samples: int = 0
    num_correct: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """One row: a prompt, by its id or its content (or both), and its traces."""

    prompt_id: str | None
    prompt: Any
    traces: tuple[Trace, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """A prompt of a task, as a file needs it. `prompt` is None if the task is not known."""

    prompt_id: str
    prompt_hash: str = ""
    prompt: Any = None
    answer: str = ""
    source: str = ""
    has_images: bool = False


@dataclass(frozen=True, slots=True)
class Format:
    """How a framework writes guidance into rows.

    Attributes:
        read: a row as an `Offer`; `DamagedRowError` where it is not of this format.
        write: the rows of a question with these entries.
        max_traces: how many traces of a prompt fit; None for all.
        needs_prompt: False if the prompt id is enough.
        has_text_prompt: True if the prompt is one text, not a conversation.
        has_unsolved: True if prompts without guidance belong into the file as well.
    """

    read: Callable[[Row], Offer]
    write: Callable[[Problem, Sequence[Entry], CacheHeader], list[Row]]
    max_traces: int | None = 1
    needs_prompt: bool = True
    has_text_prompt: bool = False
    has_unsolved: bool = False


def field(row: Row, name: str, kind: type | tuple[type, ...]) -> Any:
    """Return a value of a row, or None if it is missing.

    Raises:
        DamagedRowError: it is of another type, or text that is not Unicode.
    """
    value = row.get(name)
    if value is not None and not isinstance(value, kind):
        wanted = " or ".join(each.__name__ for each in (kind if isinstance(kind, tuple) else (kind,)))
        raise DamagedRowError(f"{name} is {type(value).__name__}, not {wanted}")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise DamagedRowError(f"{name} is not Unicode text") from None
    return value


def named(row: Row, name: str) -> str | None:
    """Return an id as text: a whole number counts as one.

    Raises:
        DamagedRowError: it is neither text nor a whole number.
    """
    value = field(row, name, (str, int))
    return None if value in (None, "") else str(value)


def prompt_id_of(row: Row) -> str | None:
    """Return a row's `prompt_id`, which verl's rows carry in `extra_info`.

    Raises:
        DamagedRowError: it is neither text nor a whole number.
    """
    return named(row, "prompt_id") or named(field(row, "extra_info", dict) or {}, "prompt_id")


def number(row: Row, name: str) -> int:
    """Return a count that fits into 31 bits, 0 where it is missing.

    Raises:
        DamagedRowError: it is not a count.
    """
    value = field(row, name, int)
    if value is not None and not 0 <= value < 2**31:
        raise DamagedRowError(f"{name}={value} is not a count")
    return int(value or 0)
