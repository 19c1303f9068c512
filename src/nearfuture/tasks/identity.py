"""Which prompt is this? A stable id for every row, the same on every process, machine and run.

Guidance and mistakes are stored per prompt, so two prompts must never share an id. Works for `list[dict]` and
`datasets.Dataset`, in which unused keys of nested messages come back as `None`; these are dropped before hashing. An
image counts by its pixels, whether it is open or given as the bytes or the path of a file. Pixels are read only if a
hash is needed: rows with their own unique ids are not looked at. Seeds are derived from names in the same way.

Not here: what a row means (`task`).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, overload

from PIL import Image, ImageOps

from nearfuture.types import UserError

if TYPE_CHECKING:
    from datasets import Dataset

ID_COLUMNS = ("prompt_id", "id", "uid")
PROMPT_COLUMNS = ("prompt", "image", "images")


EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")


def _canonical(value: Any) -> Any:
    """Reduce a value to JSON: keys without a value vanish, images and bytes become digests."""
    if isinstance(value, bytes) or (isinstance(value, Mapping) and value.keys() == {"bytes", "path"}):
        image = _opened(value)
        if image is not None:
            return _canonical(image)
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, bytes):
        return {"sha256": hashlib.sha256(value).hexdigest()}
    if hasattr(value, "tobytes"):
        if isinstance(value, Image.Image) and value.mode in EIGHT_BIT_MODES:
            value = value.convert("RGBA")  # a palette is not part of the pixels
        layout = [str(getattr(value, name, "")) for name in ("mode", "size")]
        return {"image": [*layout, hashlib.sha256(value.tobytes()).hexdigest()]}
    return value


def _opened(value: bytes | Mapping[str, Any]) -> Image.Image | None:
    """Open the image in a file, rotated as `datasets` does; None if it does not open."""
    held, path = (value, None) if isinstance(value, bytes) else (value["bytes"], value["path"])
    source = path if held is None else io.BytesIO(held)
    if source is None:
        return None
    try:
        with Image.open(source) as image:
            return ImageOps.exif_transpose(image)
    except OSError:
        return None


def images_of(row: Mapping[str, Any]) -> list[Any]:
    """Return the images of a row, decoded or not: those in `images`, or the one in `image`; empty for a text row."""
    if images := row.get("images"):
        return list(images)
    return [] if (image := row.get("image")) is None else [image]


def prompt_hash(row: Mapping[str, Any]) -> str:
    """Hash the prompt and its images: 16 hexadecimal characters of SHA-256 over canonical JSON.

    Example:
        >>> prompt_hash({"prompt": "1+1=", "answer": "2"}) == prompt_hash({"answer": "3", "prompt": "1+1="})
        True
    """
    content = {name: value for name in PROMPT_COLUMNS if not _is_empty(value := row.get(name))}
    return _digest(content)


def _digest(content: Mapping[str, Any], default: Callable[[Any], Any] | None = None) -> str:
    """Hash values; `default` turns what JSON does not have into something that it has."""
    text = json.dumps(_canonical(content), sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=default)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _is_empty(value: Any) -> bool:
    """True for an empty list, which some rows of a data set with images have instead of images."""
    return isinstance(value, list) and not value


def _given_id(row: Mapping[str, Any]) -> str | None:
    """Take the first id that the row has (`prompt_id`, `id`, `uid`; a whole number counts as text)."""
    for name in ID_COLUMNS:
        value = row.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return None


def _unique_ids(given: list[str | None], rows: Any, whole: Any) -> list[str]:
    """Return an id for each row: its own, or a hash. Rows are read only if an id is missing or repeated.

    Rows that ask the same and expect different answers are different prompts: what is right for one may be wrong for
    the other. So a hash covers the whole row where rows share a prompt and differ in anything else.
    """
    counts = Counter(given)
    ids: list[str] = []
    first: dict[str, tuple[int, str]] = {}
    for index, prompt_id in enumerate(given):
        if prompt_id is not None and counts[prompt_id] == 1:
            ids.append(prompt_id)
            continue
        digest = prompt_hash(rows[index])
        prompt_id = prompt_id or digest
        earlier, earlier_digest = first.setdefault(prompt_id, (index, digest))
        if digest != earlier_digest:
            raise UserError(
                f"prompt_id={prompt_id!r} names two different prompts (rows {earlier} and {index}). "
                "One id must mean one prompt; correct the ids, or drop the columns prompt_id, id and uid to use a hash."
            )
        ids.append(prompt_id)
    shared = Counter(prompt_id for prompt_id, own in zip(ids, given, strict=True) if own is None)
    rows_of: dict[str, list[int]] = {}
    for index, prompt_id in enumerate(ids):
        if given[index] is None and shared[prompt_id] > 1:
            rows_of.setdefault(prompt_id, []).append(index)
    for indices in rows_of.values():
        digests = [_row_hash(whole[index]) for index in indices]
        if len(set(digests)) > 1:
            for index, digest in zip(indices, digests, strict=True):
                ids[index] = digest
    return ids


def _row_hash(row: Mapping[str, Any]) -> str:
    """Hash all columns of a row but its ids, as `prompt_hash` does."""
    return _digest({name: value for name, value in row.items() if name not in ID_COLUMNS}, default=str)


@overload
def with_prompt_ids(rows: list[dict[str, Any]]) -> list[dict[str, Any]]: ...
@overload
def with_prompt_ids(rows: Dataset) -> Dataset: ...
def with_prompt_ids(rows: Any) -> Any:
    """Give every row a `prompt_id`; rows that have one keep it, and the input is not changed.

    Raises:
        UserError: one id belongs to two different prompts.
    """
    if isinstance(rows, list):
        ids = _unique_ids([_given_id(row) for row in rows], rows, rows)
        return [{**row, "prompt_id": prompt_id} for row, prompt_id in zip(rows, ids, strict=True)]
    brings = [name for name in rows.column_names if name in ID_COLUMNS]
    named = stored(rows).select_columns(brings).to_list() if brings else [{}] * len(rows)
    given = [_given_id(row) for row in named]
    if is_transformed(rows):
        return _through_transform(rows, _unique_ids(given, rows, rows))
    asked = rows.select_columns([name for name in rows.column_names if name in PROMPT_COLUMNS])
    ids = _unique_ids(given, asked, rows)
    return _with_column(rows, ids)


def is_transformed(rows: Dataset) -> bool:
    """True for a data set `with_transform`, whose rows have their content only when they are read."""
    return rows.format["type"] == "custom"


def stored(rows: Dataset) -> Dataset:
    """Return the columns as they are stored, without any format or transform."""
    return rows.with_format(None)


def _with_column(rows: Dataset, ids: list[str]) -> Dataset:
    if "prompt_id" in rows.column_names:
        rows = rows.remove_columns("prompt_id")
    return rows.add_column("prompt_id", ids)


def _through_transform(rows: Dataset, ids: list[str]) -> Dataset:
    """Return rows whose transform passes the id on and sees the same columns as before."""
    transform, columns = rows.format["format_kwargs"]["transform"], rows.format["columns"]
    sees_id = "prompt_id" in columns

    def keep_ids(batch: dict[str, Any]) -> dict[str, Any]:
        seen = batch if sees_id else {name: values for name, values in batch.items() if name != "prompt_id"}
        return {**transform(seen), "prompt_id": batch["prompt_id"]}

    return _with_column(stored(rows), ids).with_transform(
        keep_ids,
        columns=[*columns, *([] if sees_id else ["prompt_id"])],
        output_all_columns=rows.format["output_all_columns"],
    )


def hashed_seed(*names: object) -> int:
    """Return a 31-bit seed for what is drawn under these names: another name, another seed."""
    text = "/".join(map(str, names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
