"""Which prompt is this? A stable id for every row, the same on every process, machine and run.

Guidance and mistakes are stored per prompt, so two prompts must never share an id. Works for `list[dict]` and
`datasets.Dataset`, in which unused keys of nested messages come back as `None`: these are dropped before hashing.

Not here: what a row means (`task`); images are recognised by their `tobytes`, so that PIL is not imported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, overload

from nearfuture.types import UserError

if TYPE_CHECKING:
    from datasets import Dataset

ID_COLUMNS = ("prompt_id", "id", "uid")
PROMPT_COLUMNS = ("prompt", "image", "images")
READ_COLUMNS = (*ID_COLUMNS, *PROMPT_COLUMNS)


def _canonical(value: Any) -> Any:
    """Reduce a value to JSON: keys without a value vanish, images and bytes become their digest."""
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, bytes):
        return {"sha256": hashlib.sha256(value).hexdigest()}
    if hasattr(value, "tobytes"):
        layout = [str(getattr(value, name, "")) for name in ("mode", "size")]
        return {"image": [*layout, hashlib.sha256(value.tobytes()).hexdigest()]}
    return value


def prompt_hash(row: Mapping[str, Any]) -> str:
    """Hash the prompt and its images: 16 hexadecimal characters of SHA-256 over canonical JSON.

    Example:
        >>> prompt_hash({"prompt": "1+1=", "answer": "2"}) == prompt_hash({"answer": "3", "prompt": "1+1="})
        True
    """
    content = {name: row.get(name) for name in PROMPT_COLUMNS}
    text = json.dumps(_canonical(content), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _given_id(row: Mapping[str, Any]) -> str | None:
    """Take the first id the row brings (`prompt_id`, `id`, `uid`; a whole number counts as text)."""
    for name in ID_COLUMNS:
        value = row.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return None


def _unique_ids(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    ids: list[str] = []
    first: dict[str, tuple[int, str]] = {}
    for index, row in enumerate(rows):
        digest = prompt_hash(row)
        prompt_id = _given_id(row) or digest
        earlier, earlier_digest = first.setdefault(prompt_id, (index, digest))
        if digest != earlier_digest:
            raise UserError(
                f"prompt_id={prompt_id!r} names two different prompts (rows {earlier} and {index}). "
                "One id must mean one prompt; correct the ids, or drop the columns prompt_id, id and uid to use a hash."
            )
        ids.append(prompt_id)
    return ids


@overload
def with_prompt_ids(rows: list[dict[str, Any]]) -> list[dict[str, Any]]: ...
@overload
def with_prompt_ids(rows: Dataset) -> Dataset: ...
def with_prompt_ids(rows: Any) -> Any:
    """Give every row a `prompt_id`; rows that bring one keep it, and the input is left as it is.

    Raises:
        UserError: one id belongs to two different prompts.
    """
    if isinstance(rows, list):
        return [{**row, "prompt_id": prompt_id} for row, prompt_id in zip(rows, _unique_ids(rows), strict=True)]
    ids = _unique_ids(rows.select_columns([name for name in rows.column_names if name in READ_COLUMNS]))
    if "prompt_id" in rows.column_names:
        rows = rows.remove_columns("prompt_id")
    return rows.add_column("prompt_id", ids)
