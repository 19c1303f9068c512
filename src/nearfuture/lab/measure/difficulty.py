"""`nearfuture data difficulty`: the pass rate of a model on every training row of a data set or a task, so that anybody
can train on what their own base model fails, as the paper does (4 of 4 samples wrong).

    difficulty = correct samples / judged samples, as in the published sets: the lower, the harder

Rows are sampled in parts. A finished part is not sampled again, so a killed measurement continues and ends with the
same file. All processes sample; the main one writes.

Not here: what is finished (`difficulty_journal`), sampling (`nearfuture.train.engine`), filtering by it (the settings
`dataset_max_difficulty` and `task_difficulty`).
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nearfuture.guidance.held_out import answer
from nearfuture.lab.measure.difficulty_journal import Counts, Journal, measurement
from nearfuture.record.lock import writing_file
from nearfuture.run import build
from nearfuture.run.settings.config import Configuration
from nearfuture.tasks import Task
from nearfuture.tasks.fingerprint import fingerprint
from nearfuture.train import TRLEngine, factory, needs, processes
from nearfuture.types import UserError

PART = 64
"""Rows per part, which is written down once it is sampled."""


def measure_difficulty(
    config: Configuration, output: Path, *, num_samples: int, say: Callable[[str], None] = print
) -> Iterator[str]:
    """Measure and write; yields the lines to print at the end.

    Args:
        config: names a data set or a task, and a model.
        output: the new .parquet file.
        num_samples: per row.
        say: called with the progress, on the main process.

    Raises:
        UserError: the file exists or is not a .parquet, the partial file belongs to another measurement, or another
            process is measuring.
    """
    if output.suffix != ".parquet":
        raise UserError(f"--output {output}: the rows keep their images, which parquet holds. Name a .parquet file.")
    if output.exists():
        raise UserError(f"--output {output} exists. Remove it, or choose another name.")
    task = build.load_run_task(config)
    model = build.base_model(config, task)
    needs.check_model(model, task, config.model_settings)
    build.check_positions(config, task)
    processes.join(factory.make_args(output.parent, config.training_settings))
    with contextlib.ExitStack() as held:
        processes.from_main(lambda: held.enter_context(writing_file(output, "measurement")))
        yield from _measure(config, task, output, num_samples, say if processes.is_main() else lambda _: None)


def _measure(
    config: Configuration, task: Task, output: Path, num_samples: int, say: Callable[[str], None]
) -> Iterator[str]:
    rows = build.training_rows(task)
    asked = _each_once(rows)
    data = fingerprint(rows)
    processes.require_same({"rows": data.digest})
    journal = processes.from_main(lambda: _journal(config, task, output, data, num_samples))
    done = processes.from_main(lambda: journal.begin(say))
    if done:
        say(f"continuing after {len(done)} of {len(asked)} rows")
    if len(done) < len(asked):
        for counted in _sample(config, task, asked, num_samples, set(done)):
            if processes.is_main():
                journal.add(counted)
            done |= counted
            say(f"{len(done)} of {len(asked)} rows")
    rates = [correct / judged if judged else None for correct, judged in map(done.__getitem__, rows["prompt_id"])]
    processes.from_main(lambda: _write(rows, rates, output, journal.path))
    if processes.is_main():
        yield from _told(config, rates, num_samples, output)


def _journal(config: Configuration, task: Task, output: Path, data: Any, num_samples: int) -> Journal:
    what = measurement(
        config,
        data,
        model=build.base_model(config, task),
        verifier=task.verifier_version,
        num_samples=num_samples,
        num_processes=processes.number(),
    )
    return Journal(output.with_name(output.name + ".partial"), what)


def _write(rows: Any, rates: list[float | None], output: Path, journal: Path) -> None:
    """Write all rows with their pass rates, and only then delete the parts.

    Rows of a task keep their id, by which `task_difficulty` finds them; rows of a data set have it as `uid`.
    """
    left_out = {"difficulty", *(["prompt_id"] if "uid" in rows.column_names else [])}
    kept = rows.select_columns([name for name in rows.column_names if name not in left_out])
    draft = output.with_name(output.name + ".tmp")
    kept.add_column("difficulty", rates).to_parquet(str(draft))
    draft.rename(output)
    journal.unlink()


def _each_once(rows: Any) -> Any:
    """Drop rows that repeat a question; they take the pass rate of the first."""
    first: dict[str, int] = {}
    for index, prompt_id in enumerate(rows["prompt_id"]):
        first.setdefault(prompt_id, index)
    return rows if len(first) == len(rows) else rows.select(list(first.values()))


def _told(config: Configuration, rates: list[float | None], num_samples: int, output: Path) -> Iterator[str]:
    known = [rate for rate in rates if rate is not None]
    never = sum(rate == 0 for rate in known)
    always = sum(rate == 1 for rate in known)
    mean = sum(known) / len(known) if known else float("nan")
    yield f"{len(rates)} rows x {num_samples} samples: mean pass rate {mean:.3f}"
    yield f"{never} never solved, {always} always, {len(rates) - len(known)} could not be judged"
    key = "dataset_name" if config.run.task is None else "task_difficulty"
    yield f"the paper's filter: {key}={output} dataset_max_difficulty=0"


def _sample(config: Configuration, task: Task, rows: Any, num_samples: int, done: set[str]) -> Iterator[Counts]:
    """Sample the remaining rows, a part at a time; yields the counts of each part."""
    with tempfile.TemporaryDirectory() as scratch:
        trainer = build.build_trainer(config, task, rows, Path(scratch))
        trainer.model.to(trainer.args.device)
        uids = rows["prompt_id"][:]
        for start in range(0, len(rows), PART):
            numbers = [i for i in range(start, min(start + PART, len(rows))) if uids[i] not in done]
            if not numbers:
                continue
            answers = answer(
                TRLEngine(trainer),
                [dict(row) for row in rows.select(numbers)],
                task.verify,
                num_samples=num_samples,
                batch_size=config.run.guide_batch_size,
                seed=trainer.args.seed + start,
            )
            counts = zip(answers.num_correct, answers.num_judged, strict=True)
            yield dict(zip([uids[i] for i in numbers], counts, strict=True))
