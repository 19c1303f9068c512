"""A cache as a data set of the Hub: a folder of one parquet file and a card, and back.

    guidance/train.parquet   the rows, one split
    guidance/README.md       what wrote them, how they were sampled and judged, with the Hub's metadata

`hf upload USER/NAME guidance --repo-type dataset` publishes it, `datasets.load_dataset` reads it, and the folder that
`hf download USER/NAME --repo-type dataset --local-dir guidance` makes is imported like a file.

Not here: the rows (the formats), their files (`rows`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from huggingface_hub import DatasetCardData

from nearfuture.guidance.cache import GuidanceCache
from nearfuture.guidance.files import write_text
from nearfuture.guidance.interop.rows import read_kinds, write_rows
from nearfuture.guidance.interop.traces import Row
from nearfuture.record.formats import command_line
from nearfuture.types import UserError

ROWS, CARD = "train.parquet", "README.md"


def is_data_set(output: Path) -> bool:
    """Return whether a path to write to means a folder: it has no suffix."""
    return not output.suffix


def write_data_set(folder: Path, rows: Iterable[Row], cache: GuidanceCache, format_name: str) -> int:
    """Write a new folder with rows and card, and return how many rows it has.

    Raises:
        UserError: the folder has files already, or no parquet file can hold the rows.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} already exists and is not replaced. Choose another name, or delete it first.")
    num_rows = write_rows(folder / ROWS, rows)
    write_text(folder / CARD, _card(cache, format_name, num_rows))
    return num_rows


def file_of_rows(source: Path) -> Path:
    """Return the file of rows that a path means: itself, or the only such file in a folder.

    Raises:
        UserError: a folder has none, or several.
    """
    if not source.is_dir():
        return source
    found = sorted(path for path in source.rglob("*") if path.suffix in read_kinds() and not _is_hidden(path, source))
    if len(found) != 1:
        names = ", ".join(str(path.relative_to(source)) for path in found[:5]) or "none"
        raise UserError(
            f"{source} is a folder and should have one file of rows ({', '.join(read_kinds())}); found {names}. "
            "Give the file."
        )
    return found[0]


def _is_hidden(path: Path, root: Path) -> bool:
    """Return whether a path lies in a hidden folder, such as the one that `hf download` leaves."""
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _card(cache: GuidanceCache, format_name: str, num_rows: int) -> str:
    header, counts = cache.header, cache.header.counts
    sampling, guide = header.sampling, header.guide
    metadata = DatasetCardData(
        task_categories=["text-generation"], tags=["nearfuture", "guidance", "reinforcement-learning", "rlvr"]
    ).to_yaml()
    facts = {
        "guide": f"{Path(guide.path).name or 'unknown'}, segment {guide.segment}, step {guide.step}",
        "prompts": f"{counts.num_solved:,} solved of {counts.num_prompts:,} asked, {counts.num_samples:,} samples",
        "sampling": f"temperature {sampling.temperature}, top_p {sampling.top_p}, top_k {sampling.top_k}",
        "judged correct by": f"verifier version {header.verifier_version}",
        "log-probs": "of the guide, per token" if header.has_behavior_logps else "unknown (the rows come from text)",
        "tokenizer": f"{header.tokenizer_hash}, which the token ids belong to",
        "format": f"`{format_name}`, {num_rows:,} rows",
    }
    places = ("--output", "CACHE", "--config", "CONFIG.yaml")
    again = command_line("nearfuture", "guide", "import", "FOLDER", "--format", format_name, *places)
    table = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    return (
        f"---\n{metadata.strip()}\n---\n\n# Guidance: verified trajectories of another policy\n\n"
        "Each is an answer of one policy, the guide, to a prompt; another policy learns from them off-policy with "
        f"`nearfuture`.\n\n| | |\n|---|---|\n{table}\n\n"
        f"    {again}\n"
    )
