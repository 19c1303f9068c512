"""Read benchmarks from a folder that mirrors the repository ids, or from the cache of the Hugging Face Hub.

Rows are read one at a time, on demand: the images of a whole benchmark take gigabytes.

Not here: what a row means (`paper`, `wemath`), downloading (the error message says how).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, overload

from nearfuture.lab.evaluate.benchmarks.benchmark import Benchmark, Part, Row
from nearfuture.record.formats import command_line
from nearfuture.tasks.data.undecoded import undecoded
from nearfuture.types import UserError


class Rows(Sequence[Row]):
    """The rows of a benchmark or a data set, decoded on demand.

    Args:
        docs: one sequence of upstream rows per part.
        to_row: one function per part that turns an upstream row into a row of this project.
    """

    def __init__(self, docs: Sequence[Any], to_row: Sequence[Callable[[Any], Row]]) -> None:
        self._index = [(part, i) for part, part_docs in enumerate(docs) for i in range(len(part_docs))]
        self._docs, self._to_row = docs, to_row

    def __len__(self) -> int:
        return len(self._index)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Rows: ...
    def __getitem__(self, index: int | slice) -> Row | Rows:
        if isinstance(index, slice):
            return self.take(range(len(self))[index])
        part, i = self._index[index]
        row = self._to_row[part](self._docs[part][i])
        if row.get("images"):
            row["images"] = [as_rgb(image) for image in row["images"]]
        return row

    def take(self, indices: Sequence[int]) -> Rows:
        """Return only these rows, in this order."""
        chosen = Rows([], self._to_row)
        chosen._docs, chosen._index = self._docs, [self._index[i] for i in indices]
        return chosen

    def facts(self) -> Iterator[Row]:
        """Iterate over the upstream rows without decoding images."""
        for part, i in self._index:
            yield self._to_row[part](self._docs[part][i])

    def texts(self) -> Iterator[Row]:
        """Iterate over the rows without their images, so that gigabytes need not be read to see the questions."""
        bare = [without_images(docs) for docs in self._docs]
        for part, i in self._index:
            yield self._to_row[part](bare[part][i])


def load_benchmark(benchmark: Benchmark, folder: Path | None = None, instruction: str | None = None) -> Rows:
    """Read a benchmark.

    Args:
        benchmark: which one.
        folder: a mirror, in which `FOLDER/MMMU/MMMU_Pro` is the repository as the Hub has it. None: the Hub's cache.
        instruction: replaces the sentence that ends every prompt.

    Raises:
        UserError: the benchmark is missing; the message contains the command that downloads it.
    """
    docs = [load_part(part, folder) for part in benchmark.parts]
    return Rows(docs, [partial(part.row, instruction=instruction) for part in benchmark.parts])


def load_part(part: Part, folder: Path | None) -> Any:
    """Read one split; images stay bytes until they are needed.

    Raises:
        UserError: the split is missing.
    """
    import datasets

    if folder is not None and not (folder / part.repo).is_dir():
        raise UserError(f"{folder / part.repo} does not exist. {_how_to_get(part, folder)}")
    path = part.repo if folder is None else str(folder / part.repo)
    bars = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        return undecoded(datasets.load_dataset(path, part.config, split=part.split))
    except (OSError, ValueError) as error:  # no such data set, config or split; not in the cache; no network
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"{part.repo} (config {part.config or 'default'}, split {part.split}) cannot be read: {first} "
            f"{_how_to_get(part, folder)}"
        ) from None
    finally:
        if bars:
            datasets.enable_progress_bars()


def without_images(found: Any) -> Any:
    """Drop image columns from a data set; anything else is returned unchanged."""
    import datasets

    if not isinstance(found, datasets.Dataset):
        return found
    return found.remove_columns(
        [
            name
            for name, feature in found.features.items()
            if isinstance(feature, datasets.Image) or isinstance(getattr(feature, "feature", None), datasets.Image)
        ]
    )


def as_rgb(image: Any) -> Any:
    """Return a PIL image in RGB on white; bytes and paths are opened.

    Raises:
        UserError: it does not open.
    """
    from PIL import Image, UnidentifiedImageError

    if isinstance(image, dict):
        source: Any = io.BytesIO(image["bytes"]) if image.get("bytes") is not None else image.get("path")
        try:
            image = Image.open(source)
            image.load()
        except (OSError, UnidentifiedImageError, AttributeError) as error:
            raise UserError(f"an image does not open ({error}). Get the data set again.") from None
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, rgba)
    return image if image.mode == "RGB" else image.convert("RGB")


def _how_to_get(part: Part, folder: Path | None) -> str:
    where = folder or Path("DIR")
    then = "" if folder is not None else f" and name it with --data {where}; without --local-dir it goes into the cache"
    download = command_line("hf", "download", part.repo, "--repo-type", "dataset", "--local-dir", where / part.repo)
    return f"Get it with `{download}`{then}."
