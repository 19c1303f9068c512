"""Convert the rows of a data set to the schema; rows that are left out are counted by reason.

Text columns are computed part by part and held in memory. Images are not touched: their column is taken over
unchanged, so that gigabytes stay where the Hub's cache has mapped them. Columns that no adapter needs are never read.

Not here: reading rows as published (`reading`), what a row means (the adapters), the task made of the rows (`task`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfuture.options.data import DataConfig
from nearfuture.tasks.data.known_forms import Form, recognise
from nearfuture.tasks.data.reading import Raw, read_raw
from nearfuture.tasks.data.schema import Draft, Dropped, Style, features_of, to_row
from nearfuture.types import UserError
from nearfuture.verify.external import BUILT_IN

if TYPE_CHECKING:
    from datasets import Dataset

IMAGE_COLUMNS = ("images", "image")
NUM_NAMED = 3
REPEATED = "repeats an earlier row"
PART = 1024
"""How many rows are Python objects at a time."""


@dataclass
class Counts:
    """The number of rows read, and of those left out by reason, with the numbers of the first few."""

    num_rows: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def drop(self, index: int, reason: str) -> None:
        """Count a row that is left out."""
        self.dropped[reason] += 1
        if len(self.examples[reason]) < NUM_NAMED:
            self.examples[reason].append(index)

    @property
    def num_kept(self) -> int:
        """The number of rows that are kept."""
        return self.num_rows - sum(self.dropped.values())


@dataclass(frozen=True)
class Loaded:
    """Rows in the schema.

    Attributes:
        rows: the rows that are kept.
        counts: how many rows were read and left out.
        form: how the rows were read: a registered name, or the form of their columns.
        source: the name of the data set in `uid` and `source`.
        numbers: the original position of each row.
    """

    rows: Dataset
    counts: Counts
    form: str
    source: str
    numbers: list[int]


def load_rows(config: DataConfig, split: str | None = None) -> Loaded:
    """Read a split and convert it to the schema.

    Args:
        config: names the data set.
        split: the split; None: the one to train on.

    Raises:
        UserError: it does not exist, its columns have no known meaning, or a setting does not fit it.
    """
    import datasets

    raw = read_raw(config, split)
    form = _form(raw, config)
    places = config.dataset_columns or {}
    image_column = next((c for c in (places.get(n, n) for n in IMAGE_COLUMNS) if c in raw.rows.column_names), None)
    read = [c for c in form.columns if c in raw.rows.column_names and (c not in IMAGE_COLUMNS or c == image_column)]
    documents = raw.rows.select_columns(dict.fromkeys(read))
    root = None if image_column is None else _root(raw, image_column, config)
    style = Style(config.dataset_template, image_column is not None, config.dataset_system_prompt)
    to_schema = _reader(form, config, raw.name, style, image_column, root)

    is_repeated = raw.source is not None and raw.source.is_repeated
    counts, parts = Counts(num_rows=len(documents)), []
    kept: list[int] = []
    for rows in _in_parts(_kept(documents, to_schema, counts, kept, drop_repeated=is_repeated)):
        parts.append(datasets.Dataset.from_list(rows, features=features_of(rows[0])))
    if not parts:
        return Loaded(datasets.Dataset.from_list([]), counts, form.name, raw.name, [])
    found = datasets.concatenate_datasets(parts)
    if image_column is not None:
        found = datasets.concatenate_datasets([found, _images(raw.rows.select(kept), image_column, root)], axis=1)
    return Loaded(found, counts, form.name, raw.name, kept)


def _form(raw: Raw, config: DataConfig) -> Form:
    """Return the registered adapter, unless a map of columns is given; otherwise recognise the columns."""
    columns = raw.rows.column_names
    if raw.source is None or config.dataset_columns is not None:
        is_own = config.verifier not in BUILT_IN
        return recognise(columns, config.dataset_columns, str(config.dataset_name), raw.rows, has_verifier=is_own)
    return Form(raw.name, raw.source.adapt, tuple(raw.source.columns(columns, raw.name)))


def _kept(
    documents: Dataset,
    to_schema: Callable[[Mapping[str, Any]], dict[str, Any] | Dropped],
    counts: Counts,
    kept: list[int],
    *,
    drop_repeated: bool,
) -> Iterator[dict[str, Any]]:
    """Yield rows in the schema, record their numbers, and count the others."""
    seen: set[str] = set()
    for index, document in enumerate(documents):
        row = to_schema(document)
        if isinstance(row, dict) and drop_repeated:
            row = Dropped(REPEATED) if row["uid"] in seen else row
        if isinstance(row, Dropped):
            counts.drop(index, row.reason)
            continue
        seen.add(row["uid"])
        kept.append(index)
        yield row


def _in_parts(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    for row in rows:
        part.append(row)
        if len(part) == PART:
            yield part
            part = []
    if part:
        yield part


def _reader(
    form: Form, config: DataConfig, source: str, style: Style, image_column: str | None, root: Path | None
) -> Callable[[Mapping[str, Any]], dict[str, Any] | Dropped]:
    low, high = config.dataset_min_difficulty, config.dataset_max_difficulty

    def read(document: Mapping[str, Any]) -> dict[str, Any] | Dropped:
        if root is not None and image_column is not None:
            document = {**document, image_column: _under(root, document[image_column])}
        draft = form.adapt(document)
        if isinstance(draft, Dropped):
            return draft
        if (low is not None or high is not None) and not _is_within(draft, low, high):
            return Dropped("difficulty outside the limits" if draft.difficulty is not None else "no difficulty")
        return to_row(draft, source, style)

    return read


def _is_within(draft: Draft, low: float | None, high: float | None) -> bool:
    value = draft.difficulty
    return value is not None and (low is None or value >= low) and (high is None or value <= high)


def _root(raw: Raw, column: str, config: DataConfig) -> Path | None:
    """Return the folder that image paths are relative to; None if the data contains the images.

    Raises:
        UserError: the images are paths, and their folder is unknown.
    """
    feature = raw.rows.features[column]
    if getattr(getattr(feature, "feature", feature), "dtype", None) != "string":
        return None
    root = raw.folder if config.dataset_image_root is None else Path(config.dataset_image_root).expanduser()
    if root is None:
        raise UserError(
            f"dataset_name={config.dataset_name}: the column {column} holds paths of images, which are in an archive "
            "on the Hub. Download and unpack it, and set dataset_image_root to that folder."
        )
    return root.absolute()


def _under(root: Path, value: Any) -> Any:
    if isinstance(value, str):
        return str(root / value)
    return [_under(root, item) for item in value] if isinstance(value, list) else value


def _images(raw: Dataset, column: str, root: Path | None) -> Dataset:
    """Return the image column alone, under TRL's name for it; paths become images that are opened on demand."""
    import datasets

    found = raw.select_columns([column])
    is_list = hasattr(found.features[column], "feature")
    if root is not None:
        found = found.map(lambda row: {column: _under(root, row[column])}, keep_in_memory=True)
    found = found.cast_column(column, datasets.List(datasets.Image()) if is_list else datasets.Image())
    name = "images" if is_list else "image"
    return found if name == column else found.rename_column(column, name)
