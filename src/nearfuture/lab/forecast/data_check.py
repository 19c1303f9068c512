"""`nearfuture data check`: everything that can be known about a data set before a model is paid for.

Not here: the findings themselves (`nearfuture.tasks.data.findings`), what training refuses
(`nearfuture.train.vision.images`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfuture.lab.evaluate.benchmarks import BENCHMARKS
from nearfuture.lab.evaluate.benchmarks.loading import load_benchmark
from nearfuture.lab.forecast.data import without_limit
from nearfuture.lab.forecast.overlap import Overlap
from nearfuture.run import build
from nearfuture.run.settings.config import Configuration
from nearfuture.tasks import Task
from nearfuture.tasks.data import load_rows
from nearfuture.tasks.data.findings import Findings, find_repeated, find_unverifiable
from nearfuture.tasks.data.light import Light, is_whole
from nearfuture.tasks.data.loading import Counts, Loaded
from nearfuture.tasks.data.undecoded import undecoded
from nearfuture.tasks.gold import gold_faults
from nearfuture.tasks.identity import images_of, prompt_hash, with_prompt_ids
from nearfuture.tasks.rows import as_dataset
from nearfuture.train.positions import limit_of
from nearfuture.train.vision.images import problem_of
from nearfuture.train.vision.lengths import prompt_lengths, template_note
from nearfuture.train.vision.processor import load_for_training
from nearfuture.types import UserError
from nearfuture.verify import load_verifier

Row = dict[str, Any]
UNUSABLE = ("unverifiable gold", "image", "too long", "too long for the model")
"""Findings that make a row useless; a person must judge the others."""


@dataclass(frozen=True)
class DataReport:
    """What was found.

    Attributes:
        loaded: the rows, and those left out when they were read.
        findings: findings among the rows that were kept.
        num_compared: benchmark questions compared, by benchmark; empty if no folder was given.
        lengths: the number of tokens of each prompt; None without a model.
        num_usable: the number of rows that no finding makes useless.
        note: how the model will read the prompts, if that deserves a warning.
        refusal: why training would refuse the rows as a whole; None if it would not.
    """

    loaded: Loaded
    findings: Findings
    num_compared: dict[str, int]
    lengths: list[int] | None
    num_usable: int
    note: str | None = None
    refusal: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The whole report, as values for JSON."""
        counts = self.loaded.counts
        return {
            "source": self.loaded.source,
            "form": self.loaded.form,
            "num_rows": counts.num_rows,
            "num_kept": counts.num_kept,
            "left_out": [
                {"reason": reason, "count": count, "rows": counts.examples[reason]}
                for reason, count in counts.dropped.most_common()
            ],
            "findings": [
                {"finding": kind, "count": count, "examples": self.findings.examples[kind]}
                for kind, count in self.findings.counts.most_common()
            ],
            "benchmark_questions_compared": self.num_compared,
            "longest_prompt": max(self.lengths) if self.lengths else None,
            "num_usable": self.num_usable,
            "note": self.note,
            "refusal": self.refusal,
        }


def check_data(config: Configuration, benchmarks: Path | None = None) -> DataReport:
    """Check the data set of a configuration.

    Args:
        config: names a data set or a task; with a `model`, image shapes and lengths are checked against its processor.
        benchmarks: a folder that mirrors the repository ids of the benchmarks to compare with.

    Raises:
        UserError: there is nothing to read.
    """
    task = None if config.run.task is None else build.load_run_task(without_limit(config))
    loaded = load_rows(config.data) if task is None else _rows_of(task)
    findings = Findings()
    model = config.run.model or (None if task is None else task.model)
    processor = None if model is None else load_for_training(model, config.data.max_image_pixels)
    longest = (config.data.max_prompt_length, "too long")
    if model is not None and longest[0] is None:
        limit = limit_of(model, config.model_settings)
        longest = (None if limit is None else limit - 1, "too long for the model")
    rows, lengths = _look_through(loaded, processor, longest, findings)
    find_repeated(rows, findings, loaded.numbers)
    if task is not None:
        _find_in_task(task, findings)
    elif config.data.verifier is None:
        find_unverifiable(rows, findings)
    else:
        load_verifier(config.data.verifier)  # which refuses what it could not call
    num_compared = _compare(rows, loaded, _benchmark_rows(benchmarks), findings)
    unusable = set().union(*(findings.rows[kind] for kind in UNUSABLE))
    note = None if processor is None else template_note(processor, loaded.rows)
    num_usable = len(rows) - len(unusable)
    return DataReport(loaded, findings, num_compared, lengths, num_usable, note, _refusal(loaded))


def _refusal(loaded: Loaded) -> str | None:
    """Say why training would refuse the rows: one id for two prompts."""
    try:
        with_prompt_ids(loaded.rows)
    except UserError as error:
        return str(error)
    return None


def _rows_of(task: Task) -> Loaded:
    """The training rows of a task in the form of a data set: `uid` says where a row is, `gold` what it is judged by."""
    rows = as_dataset(task.train, f"task {task.name!r}")
    gold = task.gold_column if task.gold_column in rows.column_names else "gold"
    golds = rows[gold] if gold in rows.column_names else [None] * len(rows)
    for name, values in {"uid": [f"train[{i}]" for i in range(len(rows))], "gold": golds}.items():
        rows = rows.remove_columns(name) if name in rows.column_names else rows
        rows = rows.add_column(name, values)
    return Loaded(rows, Counts(num_rows=len(rows)), "task", task.name, list(range(len(rows))))


def _find_in_task(task: Task, findings: Findings) -> None:
    """Find gold answers that the task's own verifier rejects, and training prompts that are also held out."""
    for fault in gold_faults(task):
        kind = "unverifiable gold" if fault.split == "train" else f"unverifiable gold in {fault.split}"
        findings.add(kind, fault.index, f"{fault.split}[{fault.index}] {fault.what}")
    trained = {prompt_hash(row): index for index, row in enumerate(task.train)}
    for split in ("evaluation", "test"):
        for index, row in enumerate(getattr(task, split)):
            if (at := trained.get(prompt_hash(row))) is not None:
                findings.add(f"in {split} too", at, f"train[{at}] is {split}[{index}]")


def _look_through(
    loaded: Loaded, processor: Any, longest: tuple[int | None, str], findings: Findings
) -> tuple[list[Light], list[int] | None]:
    """Read every row once, with its images; keep only the small parts. `longest`: tokens, and what more of them is."""
    most, kind = longest
    rows: list[Light] = []
    lengths: list[int] = []
    for index, row in enumerate(_undecoded(loaded)):
        light = Light.of(row)
        rows.append(light)
        problem = _problem(row, processor)
        if problem is not None:
            findings.add("image", index, f"{row['uid']}: {problem}")
        elif processor is not None:
            lengths.append(prompt_lengths(processor, [row])[0])
            if most is not None and lengths[-1] > most:
                findings.add(kind, index, f"{row['uid']}: {lengths[-1]} tokens")
    return rows, lengths if processor is not None else None


def _problem(row: Row, processor: Any) -> str | None:
    """Say what is wrong with a row's images; their pixels are read, so that a truncated file is found."""
    if processor is not None and (problem := problem_of(row, processor)) is not None:
        return problem
    number = next((i for i, image in enumerate(images_of(row)) if not is_whole(image)), None)
    return None if number is None else f"image {number}: it does not open"


def _undecoded(loaded: Loaded) -> Iterable[Row]:
    return undecoded(loaded.rows) if len(loaded.rows) else ()


def _compare(
    rows: list[Light], loaded: Loaded, benchmarks: Mapping[str, Iterable[Row]], findings: Findings
) -> dict[str, int]:
    """Compare with benchmarks, and count the questions of each."""
    if not benchmarks:
        return {}
    overlap = Overlap(rows)
    num_compared = {name: overlap.compare(name, questions, findings) for name, questions in benchmarks.items()}
    overlap.compare_pixels(_undecoded(loaded), findings)
    return num_compared


def require_rows(report: DataReport) -> None:
    """Refuse a data set that training would refuse.

    Raises:
        UserError: no usable row is left, or one id belongs to two prompts.
    """
    if report.refusal is not None:
        raise UserError(report.refusal)
    if not report.num_usable:
        raise UserError(f"{report.loaded.source}: of {report.loaded.counts.num_rows} rows none can be trained on.")


def _benchmark_rows(folder: Path | None) -> Mapping[str, Iterable[Any]]:
    """Read the rows of the benchmarks that are in the folder.

    Raises:
        UserError: it contains none of them.
    """
    if folder is None:
        return {}
    there = {
        name: benchmark
        for name, benchmark in BENCHMARKS.items()
        if all((folder / part.repo).is_dir() for part in benchmark.parts)
    }
    if not there:
        repos = ", ".join(part.repo for benchmark in BENCHMARKS.values() for part in benchmark.parts[:1])
        raise UserError(f"--benchmarks {folder} holds none of {repos}. Download one of them into it, each by its id.")
    return {name: load_benchmark(benchmark, folder).facts() for name, benchmark in there.items()}
