"""The prompts of a collection: each once, longest first, with a digest of everything that is asked.

Not here: what identifies a prompt (`nearfuture.tasks.identity`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from nearfuture.guidance.engine import Engine, Row
from nearfuture.guidance.header import digest
from nearfuture.tasks.identity import prompt_hash, with_prompt_ids
from nearfuture.types import NoSignalError


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt to solve: `length` in tokens."""

    prompt_id: str
    prompt_hash: str
    length: int
    row: Row


def unique_prompts(engine: Engine, rows: Sequence[Row]) -> list[Prompt]:
    """Return each prompt once, longest first; the order of the rows does not matter.

    Raises:
        NoSignalError: there are no rows.
        UserError: two prompts have one id.
    """
    prompts: dict[str, tuple[str, Row]] = {}
    for row in with_prompt_ids(list(rows)):
        if row["prompt_id"] not in prompts:
            prompts[row["prompt_id"]] = (prompt_hash(row), row)
    if not prompts:
        raise NoSignalError("0 rows to collect guidance on; at least one prompt is needed. Check the data and filters.")
    lengths = engine.prompt_lengths([row for _, row in prompts.values()])
    found = [
        Prompt(prompt_id, hashed, length, row)
        for (prompt_id, (hashed, row)), length in zip(prompts.items(), lengths, strict=True)
    ]
    return sorted(found, key=lambda prompt: (-prompt.length, prompt.prompt_id))


def digest_prompts(prompts: Sequence[Prompt]) -> str:
    """Hash the prompts in order, with their lengths and everything that the verifier may read."""
    return digest([[prompt.prompt_id, prompt.prompt_hash, prompt.length, _others(prompt.row)] for prompt in prompts])


def _others(row: Row) -> str:
    """Return the other columns (such as the gold answer) as text: a corrected answer makes another task."""
    others = {name: row[name] for name in row if name not in ("prompt", "image", "images")}  # no image is decoded
    return json.dumps(others, sort_keys=True, default=lambda value: type(value).__name__)
