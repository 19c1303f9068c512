"""The rows of a task, whoever made them: what a split may be, and rows as a data set.

Not here: what a row means (`task`), its identity (`identity`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nearfuture.types import UserError

if TYPE_CHECKING:
    from datasets import Dataset

SHOWN = 3


def checked_rows(rows: Any, place: str) -> Any:
    """Return rows as they are, or as a list if they come one by one.

    Args:
        rows: a `datasets.Dataset`, or any iterable of mappings.
        place: what to call them, for the error.

    Raises:
        UserError: they are something else, or one has no prompt.
    """
    columns = getattr(rows, "column_names", None)
    if columns is not None:
        if len(rows) and "prompt" not in columns:
            raise UserError(f"{place}: the rows have no prompt, but {', '.join(columns)}. Name that column prompt.")
        return rows
    if not isinstance(rows, Iterable) or isinstance(rows, str | Mapping) or hasattr(rows, "iloc"):
        raise UserError(
            f"{place} is of type {type(rows).__name__}. Give a list of rows or a datasets.Dataset (of a table: "
            "Dataset.from_pandas(table))."
        )
    found = rows if isinstance(rows, list) else list(rows)
    for index, row in enumerate(found):
        if not isinstance(row, Mapping) or "prompt" not in row:
            shown = ", ".join(map(str, row)) if isinstance(row, Mapping) else repr(row)[:60]
            raise UserError(f"{place}: row {index} has no prompt, but {shown}. A row is a mapping with a prompt.")
    return found


def as_dataset(rows: Any, place: str) -> Dataset:
    """Return rows as a data set.

    Raises:
        UserError: a column has values of several types.
    """
    from datasets import Dataset
    from pyarrow import ArrowException

    if isinstance(rows, Dataset):
        return rows
    try:
        return Dataset.from_list(rows)
    except (ArrowException, TypeError, ValueError, OverflowError) as error:
        names = dict.fromkeys(name for row in rows for name in row)
        kinds = {name: _kinds(row.get(name) for row in rows) for name in names}
        mixed = [f"{name} ({' and '.join(found)})" for name, found in kinds.items() if len(found) > 1]
        said = f"values of several types in {', '.join(mixed[:SHOWN])}" if mixed else str(error).splitlines()[0]
        raise UserError(f"{place}: the rows do not make a table: {said}. Give each column one type.") from None


def _kinds(values: Iterable[Any]) -> list[str]:
    return sorted({type(value).__name__ for value in values if value is not None})
