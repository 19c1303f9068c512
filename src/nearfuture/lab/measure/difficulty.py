"""`nearfuture data difficulty`: the pass rate of a model on every row of a data set, so that anybody can train on what
their own base fails, as the paper does (4 of 4 samples wrong).

    difficulty = correct samples / judged samples, as in the published sets: the lower, the harder

Rows are sampled in parts; a part that is finished lies in `<output>.partial` and is not sampled again, so that a killed
measurement continues and ends with the same file.

Not here: sampling (`nearfuture.train.engine`), filtering by it (the setting `dataset_max_difficulty`).
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nearfuture import seal
from nearfuture.guidance.held_out import answer
from nearfuture.record.lock import writing_file
from nearfuture.run import build, origin
from nearfuture.run.settings.config import Configuration
from nearfuture.tasks import Task
from nearfuture.tasks.fingerprint import fingerprint
from nearfuture.train import TRLEngine, factory, needs, processes
from nearfuture.types import UserError

PART = 64
"""Rows sampled before they are written down."""

Counts = dict[str, tuple[int, int]]
"""By uid: correct and judged samples."""


def measure_difficulty(
    config: Configuration, output: Path, *, num_samples: int, say: Callable[[str], None] = print
) -> Iterator[str]:
    """Measure and write; yields the lines to print at the end.

    Args:
        config: names a data set and a model.
        output: the new file, .parquet.
        num_samples: per row.
        say: called with the progress.

    Raises:
        UserError: the file exists or is not a .parquet, the configuration names a task, the partial file is another's,
        or
            another process measures.
    """
    if output.suffix != ".parquet":
        raise UserError(f"--output {output}: the rows keep their images, which parquet holds. Name a .parquet file.")
    if output.exists():
        raise UserError(f"--output {output} exists. Remove it, or choose another name.")
    if config.data.dataset_name is None:
        raise UserError(f"task={config.run.task} is not a data set. Set dataset_name.")
    task = build.load_run_task(config)
    needs.check_model(build.base_model(config, task), task, config.model_settings)
    processes.join(factory.make_args(output.parent, config.training_settings))
    with contextlib.ExitStack() as held:
        processes.from_main(lambda: held.enter_context(writing_file(output, "measurement")))
        yield from _measure(config, task, output, num_samples, say)


def _measure(
    config: Configuration, task: Task, output: Path, num_samples: int, say: Callable[[str], None]
) -> Iterator[str]:
    rows = build.training_rows(task)
    asked = _each_once(rows)
    data = fingerprint(rows)
    measurement = {
        "rows": data.digest,
        "ids of rows": data.names,
        "settings": origin.digest(config),
        "samples a row": num_samples,
    }
    journal = output.with_name(output.name + ".partial")
    done = _read_journal(journal, measurement, say)
    if done:
        say(f"continuing after {len(done)} of {len(asked)} rows")
    if len(done) < len(asked):
        for counted in _sample(config, task, asked, num_samples, set(done)):
            if processes.is_main():
                _append(journal, {"rows": [(uid, *count) for uid, count in counted.items()]})
            done |= counted
            say(f"{len(done)} of {len(asked)} rows")
    counts = [done[uid] for uid in rows["uid"]]
    rates = [correct / judged if judged else None for correct, judged in counts]
    kept = [name for name in rows.column_names if name not in ("difficulty", "prompt_id")]
    draft = output.with_name(output.name + ".tmp")
    rows.select_columns(kept).add_column("difficulty", rates).to_parquet(str(draft))
    draft.rename(output)
    journal.unlink()
    yield from _told(rates, num_samples, output)


def _each_once(rows: Any) -> Any:
    """The rows without those that ask again; these take the pass rate of the first."""
    first: dict[str, int] = {}
    for index, uid in enumerate(rows["uid"]):
        first.setdefault(uid, index)
    return rows if len(first) == len(rows) else rows.select(list(first.values()))


def _told(rates: list[float | None], num_samples: int, output: Path) -> Iterator[str]:
    known = [rate for rate in rates if rate is not None]
    never = sum(rate == 0 for rate in known)
    always = sum(rate == 1 for rate in known)
    mean = sum(known) / len(known) if known else float("nan")
    yield f"{len(rates)} rows x {num_samples} samples: mean pass rate {mean:.3f}"
    yield f"{never} never solved, {always} always, {len(rates) - len(known)} could not be judged"
    yield f"the paper's filter: dataset_name={output} dataset_max_difficulty=0"


def _read_journal(path: Path, measurement: dict[str, Any], say: Callable[[str], None]) -> Counts:
    """Counts by uid of the parts that are finished; what a kill cut short or a disk damaged is sampled again."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _append(path, {"measurement": measurement})
        return {}
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        path.write_bytes(whole)
    states = [(line, seal.state(line)) for line in whole.splitlines()]
    lines = [json.loads(line) for line, state in states if state == "whole"]
    before = lines[0].get("measurement", {}) if lines else {}
    if before != measurement:
        other = ", ".join(key for key in measurement if before.get(key) != measurement[key])
        raise UserError(
            f"{path} belongs to another measurement (what differs: {other}). Measure as before, with the data as it "
            "was; or remove it, or choose another --output."
        )
    if len(lines) < len(states):
        say(f"{path}: {len(states) - len(lines)} lines damaged; their rows are sampled again")
    return {uid: (correct, judged) for line in lines[1:] for uid, correct, judged in line["rows"]}


def _append(path: Path, value: Any) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(seal.sealed(json.dumps(value)) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _sample(config: Configuration, task: Task, rows: Any, num_samples: int, done: set[str]) -> Iterator[Counts]:
    """Sample the rows that are not done, a part at a time; yields the counts of each part."""
    with tempfile.TemporaryDirectory() as scratch:
        trainer = build.build_trainer(config, task, rows, Path(scratch))
        trainer.model.to(trainer.args.device)
        uids = rows["uid"][:]
        for start in range(0, len(rows), PART):
            numbers = range(start, min(start + PART, len(rows)))
            if done.issuperset(uids[start : numbers.stop]):
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
            yield dict(zip(uids[start : numbers.stop], counts, strict=True))
