"""Our own rows, one per trajectory: what a cache knows, in lines that any tool reads and writes.

    {"prompt_id": "17", "prompt": "1+1=", "completion": "2", "completion_ids": [14, 1], "behavior_logps": [-0.1, -0.2],
     "temperature": 1.0, "guide_segment": 0, "guide_step": 120, "num_samples": 8, "num_correct": 3}

`completion` and one of `prompt_id` and `prompt` are required. Ids are kept as they are if they mean the text: a policy
does not always write a text with the ids that the tokenizer would choose. Log-probs count only with a `temperature`.

Not here: the checks (`importing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nearfuture.guidance.header import CacheHeader
from nearfuture.guidance.interop.traces import (
    DamagedRowError,
    Format,
    Offer,
    Problem,
    Row,
    Trace,
    field,
    number,
    prompt_id_of,
)
from nearfuture.guidance.table import Entry

NUMBERS = ("guide_segment", "guide_step", "num_samples", "num_correct")


def read(row: Row) -> Offer:
    """Read a row."""
    text = field(row, "completion", str)
    ids = _all(row, "completion_ids", int)
    temperature = field(row, "temperature", (float, int))
    trace = Trace(
        text or "",
        completion_ids=ids,
        behavior_logps=_all(row, "behavior_logps", (float, int)),
        temperature=temperature,
        **{name: number(row, name) for name in NUMBERS},
    )
    if not all(0 <= token < 2**31 for token in ids):
        raise DamagedRowError("completion_ids has a number that is not a token id")
    return Offer(prompt_id_of(row), field(row, "prompt", (str, list)), (trace,) if text or ids else ())


def write(question: Problem, entries: Sequence[Entry], header: CacheHeader) -> list[Row]:
    """Write a row for each entry."""
    return [
        {
            "prompt_id": question.prompt_id,
            "prompt": question.prompt,
            "completion": text,
            "completion_ids": list(guidance.completion_ids),
            "behavior_logps": list(guidance.behavior_logps),
            "temperature": header.sampling.temperature if header.has_behavior_logps else None,
            **{name: getattr(guidance, name) for name in NUMBERS},
        }
        for guidance, text in entries
    ]


def _all(row: Row, name: str, kind: type | tuple[type, ...]) -> tuple[Any, ...]:
    """Return a list of a row as a tuple, empty if it is missing."""
    values = field(row, name, list) or []
    wrong = next((value for value in values if not isinstance(value, kind) or isinstance(value, bool)), None)
    if wrong is not None or None in values:
        raise DamagedRowError(f"{name} has {wrong!r} in it")
    return tuple(values)


FORMAT = Format(read, write, max_traces=None, needs_prompt=False)
