"""Reads a data set and puts it into the schema; every row that is left out is counted by its reason.

Columns of text are computed and held in memory; images are not touched: their column is taken over as it is, so that
gigabytes stay where the Hub's cache has mapped them.

Not here: what a row means (the adapters), the task made of the rows (`task`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfuture.tasks.benchmarks.loading import undecoded
from nearfuture.tasks.data.config import DataConfig
from nearfuture.tasks.data.known_forms import Adapter, recognise
from nearfuture.tasks.data.registry import SOURCES, Source
from nearfuture.tasks.data.schema import Draft, Dropped, to_row
from nearfuture.types import UserError

if TYPE_CHECKING:
    from datasets import Dataset

FILES = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}
IMAGE_COLUMNS = ("images", "image")
NUM_NAMED = 3
REPEATED = "repeats an earlier row"


@dataclass
class Counts:
    """Rows read, and those left out by reason, with the first few of each by number."""

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
        """Rows that are left."""
        return self.num_rows - sum(self.dropped.values())


@dataclass(frozen=True)
class Loaded:
    """Rows in the schema.

    Attributes:
        rows: what is kept.
        counts: what was read and left out.
        form: how the rows were read: a registered name, or the form of their columns.
        source: of the data set, as `uid` and `source` say it.
        numbers: of each row, where it stood in what was read.
    """

    rows: Dataset
    counts: Counts
    form: str
    source: str
    numbers: list[int]


def load_rows(config: DataConfig, split: str | None = None) -> Loaded:
    """Read a split.

    Args:
        config: names the data set.
        split: None: the one that is trained on.

    Raises:
        UserError: it is not there, its columns mean nothing known, or a setting does not fit it.
    """
    assert config.dataset_name is not None
    known = SOURCES.get(config.dataset_name)
    raw = undecoded(_read(config, known, split))
    name = config.dataset_name if known else Path(config.dataset_name).stem
    if known is not None and config.dataset_columns is None:
        form, adapt = config.dataset_name, known.adapt
    else:
        form, adapt = recognise(raw.column_names, config.dataset_columns, config.dataset_name)
    places = config.dataset_columns or {}
    return _adapt(raw, adapt, config, name, form, places, drop_repeated=known is not None and known.is_repeated)


def _read(config: DataConfig, known: Source | None, split: str | None) -> Dataset:
    import datasets

    name = str(config.dataset_name)
    path = Path(name).expanduser()
    split = split or config.dataset_train_split or (known.split if known else "train")
    settings = config.dataset_config or (known.config if known else None)
    datasets.disable_progress_bars()
    try:
        if known is None and path.suffix in FILES:
            if not path.is_file():
                raise UserError(f"dataset_name={name}: there is no such file. Give the path from {Path.cwd()}.")
            return datasets.load_dataset(FILES[path.suffix], data_files={split: str(path)}, split=split)
        if known is None and path.is_dir() and (path / "state.json").exists():
            return datasets.load_from_disk(str(path))
        return datasets.load_dataset(known.repo if known else name, settings, split=split)
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(_not_there(name, known, settings, split, error)) from None


def _not_there(name: str, known: Source | None, settings: str | None, split: str, error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    repo = known.repo if known else name
    where = f"{repo} (config {settings or 'default'}, split {split})"
    remedy = f"Get it with `hf download {repo} --repo-type dataset`"
    if known is None:
        remedy = f"Name a file, a folder, an id on the Hub, or one of: {', '.join(SOURCES)}"
    return f"dataset_name={name}: {where} cannot be read: {lines[0]} {remedy}."


def _adapt(
    raw: Dataset,
    adapt: Adapter,
    config: DataConfig,
    source: str,
    form: str,
    places: Mapping[str, str],
    *,
    drop_repeated: bool,
) -> Loaded:
    import datasets

    counts = Counts(num_rows=len(raw))
    image_column = next((c for c in (places.get(n, n) for n in IMAGE_COLUMNS) if c in raw.column_names), None)
    read = _reader(adapt, config, source, image_column)
    rows: list[dict[str, Any]] = []
    kept: list[int] = []
    seen: set[str] = set()
    for index, doc in enumerate(raw):
        row = read(doc)
        if isinstance(row, dict) and drop_repeated and row["uid"] in seen:
            row = Dropped(REPEATED)
        if isinstance(row, Dropped):
            counts.drop(index, row.reason)
            continue
        seen.add(row["uid"])
        rows.append(row)
        kept.append(index)
    if not rows:
        return Loaded(datasets.Dataset.from_list([]), counts, form, source, [])
    found = datasets.Dataset.from_list(rows)
    if image_column is not None:
        found = datasets.concatenate_datasets([found, _images(raw.select(kept), image_column, config)], axis=1)
    return Loaded(found, counts, form, source, kept)


def _reader(
    adapt: Adapter, config: DataConfig, source: str, image_column: str | None
) -> Callable[[Mapping[str, Any]], dict[str, Any] | Dropped]:
    root = config.dataset_image_root
    low, high = config.dataset_min_difficulty, config.dataset_max_difficulty

    def read(doc: Mapping[str, Any]) -> dict[str, Any] | Dropped:
        if root and image_column is not None:
            doc = {**doc, image_column: _under(root, doc[image_column])}
        draft = adapt(doc)
        if isinstance(draft, Dropped):
            return draft
        if (low is not None or high is not None) and not _is_within(draft, low, high):
            return Dropped("difficulty outside of the limits" if draft.difficulty is not None else "no difficulty")
        return to_row(draft, source, config.dataset_template, as_blocks=image_column is not None)

    return read


def _is_within(draft: Draft, low: float | None, high: float | None) -> bool:
    value = draft.difficulty
    return value is not None and (low is None or value >= low) and (high is None or value <= high)


def _under(root: str, value: Any) -> Any:
    if isinstance(value, str):
        return str(Path(root).expanduser() / value)
    return [_under(root, item) for item in value] if isinstance(value, list) else value


def _images(raw: Dataset, column: str, config: DataConfig) -> Dataset:
    """The column of images alone, under TRL's name for it; paths become images that are opened when they are read."""
    import datasets

    found = raw.select_columns([column])
    feature = found.features[column]
    is_list = hasattr(feature, "feature")
    if config.dataset_image_root:
        found = found.map(
            lambda row: {column: _under(str(config.dataset_image_root), row[column])}, keep_in_memory=True
        )
    found = found.cast_column(column, datasets.List(datasets.Image()) if is_list else datasets.Image())
    name = "images" if is_list else "image"
    return found if name == column else found.rename_column(column, name)
