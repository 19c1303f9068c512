"""Training rows with ids, and the way back to rows as their data set had them.

Guidance is found by `prompt_id`. A reward function without `**kwargs`, and the `reset` of an environment, take what the
data set has and nothing else: an id that was made here stays here.

Not here: what an id is (`nearfuture.tasks.identity`).
"""

from __future__ import annotations

from typing import Any

from datasets import Dataset

from nearfuture.tasks.identity import stored, with_prompt_ids

NAME = "prompt_id"


class Ids:
    """The rows of a data set with a `prompt_id` each.

    Attributes:
        rows: with ids, those that were given or hashes.
    """

    def __init__(self, rows: Dataset) -> None:
        found = with_prompt_ids(rows)
        before = list(stored(rows)[NAME]) if NAME in rows.column_names else None
        after = list(stored(found)[NAME])
        self.rows = rows if before == after else found
        self._is_new = before is None
        self._before = None if before is None or before == after else dict(zip(after, before, strict=True))

    def as_given(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row of `rows` as it was before it had this id."""
        if self._is_new:
            return {name: value for name, value in row.items() if name != NAME}
        return row if self._before is None else {**row, NAME: self._before[row[NAME]]}
