"""The rows of a data set as plain values; images are decoded each time they are read, and not kept.

An image of a million pixels takes three megabytes once it is decoded, so a list of all rows of a data set with
images would not fit into memory.

Not here: what the rows mean (`nearfuture.tasks`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from datasets import Dataset

from nearfuture.train.vision.images import COLUMNS

Row = dict[str, Any]


class ImageRow(Mapping[str, Any]):
    """A row whose images are decoded each time they are read; `dict(row)` reads all of them."""

    def __init__(self, texts: Row, images: Dataset, index: int) -> None:
        self._texts, self._images, self._index = texts, images, index

    def __getitem__(self, name: str) -> Any:
        if name in self._images.column_names:
            return self._images[self._index][name]
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._texts
        yield from self._images.column_names

    def __len__(self) -> int:
        return len(self._texts) + len(self._images.column_names)


def plain_rows(rows: Dataset | Sequence[Row], indices: Sequence[int] | None = None) -> list[Any]:
    """Return rows (all of them, or those of `indices`, in that order) as mappings."""
    if not isinstance(rows, Dataset):
        return [dict(rows[i]) for i in (range(len(rows)) if indices is None else indices)]
    if indices is not None:
        rows = rows.select(indices)
    heavy = [name for name in COLUMNS if name in rows.column_names]
    if not heavy:
        return [dict(row) for row in rows]
    images = rows.select_columns(heavy)
    return [ImageRow(dict(row), images, i) for i, row in enumerate(rows.remove_columns(heavy))]


def rows_by_id(rows: Dataset | Sequence[Row]) -> dict[str, Any]:
    """Return rows by prompt id; if several have one id, the last."""
    return {row["prompt_id"]: row for row in plain_rows(rows)}
