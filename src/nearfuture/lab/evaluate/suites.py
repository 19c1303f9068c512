"""The questions of an evaluation: a benchmark, a task's own test prompts, or a file of rows in the project's schema.

    --suite paper                      the eight benchmarks of the paper's table
    --suite mathvista,mmstar           some of them
    --suite task                       the task's test prompts, by family
    --suite rows.jsonl                 your own rows, in any form of training data (docs/data.md)

Not here: the benchmarks (`nearfuture.lab.evaluate.benchmarks`), answering (`answering`).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from nearfuture.lab.evaluate.benchmarks import BENCHMARKS, PAPER, Benchmark, Question
from nearfuture.lab.evaluate.benchmarks.loading import Rows, load_benchmark
from nearfuture.lab.evaluate.benchmarks.metrics import accuracy, share_of
from nearfuture.lab.study.test_split import final_rows
from nearfuture.options.data import DataConfig
from nearfuture.options.npo import TrainingOptions
from nearfuture.run import build
from nearfuture.run.settings.config import Configuration, unresolved
from nearfuture.tasks import Task, load_task, shown
from nearfuture.tasks.data.loading import load_rows
from nearfuture.tasks.data.reading import FILES
from nearfuture.tasks.data.task import summary
from nearfuture.tasks.identity import images_of
from nearfuture.tasks.judging import judge_many
from nearfuture.train.answer.decoding import Decoding
from nearfuture.types import UserError, Verdict, did_you_mean
from nearfuture.verify import Item, explain, verify_many
from nearfuture.verify.verifier import VERIFIER_VERSION

Row = dict[str, Any]
Judged = tuple[Verdict, str | None]
Expected = Callable[[Row], str | None]
Judge = Callable[[Sequence[str], Sequence[Row]], list[Judged]]


def expected_gold(row: Row) -> str | None:
    """Return the gold answer of a row in the common schema."""
    return None if row.get("gold") is None else str(row["gold"])


def sampled_in_training(training: TrainingOptions) -> Decoding:
    """Return how a policy samples while it is trained."""
    names = {field.name for field in fields(Decoding)} & vars(training).keys()
    given = {name: value for name in names if (value := getattr(training, name)) is not None}
    return Decoding(**{"presence_penalty": 0.0, "min_p": 0.0, **given})


AS_TRAINED = sampled_in_training(unresolved(TrainingOptions, {}))


@dataclass(frozen=True)
class Suite:
    """Questions that are scored together.

    Attributes:
        benchmark: its description and metrics; for a task or a file, a benchmark of its own without parts.
        rows: the questions; images are decoded on demand.
        questions: what metrics know about them, in the same order.
        judge: (responses, rows) -> the verdict on each response, and the answer that was found in it.
        verifier_version: changes whenever verdicts may change.
        over: the fact over whose values pass@k is averaged with equal weights; None: over questions.
        decoding: how it is sampled unless something else is asked for.
        fingerprint: a hash of questions and gold answers without images; responses to other data do not count.
        expected: the right answer for a row, for people to look at.
    """

    benchmark: Benchmark
    rows: Sequence[Row]
    questions: Sequence[Question]
    judge: Judge
    verifier_version: str
    fingerprint: str
    over: str | None = None
    decoding: Decoding = field(default_factory=Decoding)
    expected: Expected = field(default=expected_gold, repr=False)

    @property
    def name(self) -> str:
        """Its name on the command line and in files."""
        return self.benchmark.name


@dataclass(frozen=True, slots=True)
class Sources:
    """Where suites come from.

    Attributes:
        data: a folder that mirrors the repositories of the Hub; None: the Hub's cache.
        task: the task of `--suite task`: its name, or the configuration of the run that was trained on it.
        task_decoding: how that task's policy samples in training.
        rows: how files of rows are read.
        instruction: replaces the sentence at the end of every benchmark prompt.
        limit: the most questions to ask, with clusters kept whole; None: all.
    """

    data: Path | None = None
    task: str | Configuration | None = None
    task_decoding: Decoding = AS_TRAINED
    rows: DataConfig = field(default_factory=DataConfig)
    instruction: str | None = None
    limit: int | None = None


def load_suites(names: Sequence[str], sources: Sources) -> list[Suite]:
    """Load suites.

    Raises:
        UserError: a name is unknown, data is missing, or a file lacks the columns.
    """
    wanted = [name for given in names for name in ([b.name for b in PAPER] if given == "paper" else [given])]
    suites = [_limited(_load(name, sources), sources.limit) for name in dict.fromkeys(wanted)]
    if not suites:
        raise UserError("no suite was named. Give --suite paper, task, a file, or benchmarks: " + ", ".join(BENCHMARKS))
    twice = [name for name, number in Counter(suite.name for suite in suites).items() if number > 1]
    if twice:
        raise UserError(f"two suites are called {twice[0]}. Rename one of the files.")
    return suites


def _load(name: str, sources: Sources) -> Suite:
    if name == "task":
        return _of_task(sources)
    if Path(name).suffix in FILES:
        return _of_file(Path(name), sources.rows)
    if name not in BENCHMARKS:
        known = ["paper", "task", *BENCHMARKS]
        hint = did_you_mean(name, known)
        raise UserError(f"--suite {name} is not known.{hint} One of {', '.join(known)}, or a file of rows.")
    return _judged_by_gold(BENCHMARKS[name], load_benchmark(BENCHMARKS[name], sources.data, sources.instruction))


def _judged_by_gold(benchmark: Benchmark, rows: Rows) -> Suite:
    questions, fingerprint = survey(rows)
    over = "part" if len(benchmark.parts) > 1 else None
    return Suite(benchmark, rows, questions, judge_answers, VERIFIER_VERSION, fingerprint, over)


def survey(rows: Rows) -> tuple[list[Question], str]:
    """Return what metrics know about every row, and a hash of questions and gold answers."""
    digest = hashlib.sha256()
    questions = []
    for row in rows.texts():
        questions.append(Question.of(row))
        digest.update(_canonical(row))
    return questions, digest.hexdigest()[:16]


def _canonical(row: Row) -> bytes:
    """Return a row without its images, as the same bytes on every machine."""
    kept = {name: value for name, value in row.items() if name not in ("images", "image")}
    return json.dumps(kept, sort_keys=True, default=str).encode()


def judge_answers(responses: Sequence[str], rows: Sequence[Row]) -> list[Judged]:
    """Judge responses by their rows' gold answers, and say which answer was found in each."""
    items = [
        Item(response, row["gold"], row["kind"], row.get("options"), row.get("tolerance"))
        for response, row in zip(responses, rows, strict=True)
    ]
    verify_many(items)  # on several workers at once, with a cache
    decisions = [
        explain(one.response, one.gold, kind=one.kind, options=one.options, tolerance=one.tolerance) for one in items
    ]
    return [(decision.verdict, decision.answer) for decision in decisions]


def _of_task(sources: Sources) -> Suite:
    if sources.task is None:
        raise UserError("--suite task needs a task. Name a run, or give --task NAME.")
    task = load_task(sources.task) if isinstance(sources.task, str) else build.load_run_task(sources.task)
    split, rows = final_rows(task)
    families = sorted({str(row["family"]) for row in rows if row.get("family") is not None})
    over = "family" if families else None
    note = f"{split} prompts" + (f", mean over {len(families)} families" if families else "")
    return Suite(
        _own(task.name, families, note, over),
        rows,
        [Question(row["prompt_id"], row["prompt_id"], split, {"family": row.get("family")}) for row in rows],
        partial(_judge_task, task),
        task.verifier_version,
        hashlib.sha256(b"".join(map(_canonical, rows))).hexdigest()[:16],
        over,
        sources.task_decoding,
        partial(shown.expected, task),
    )


def _own(name: str, families: Sequence[str], note: str, over: str | None = None) -> Benchmark:
    """Make a benchmark of a task or a file, with accuracy overall and per family."""
    others = tuple(share_of(family, "family", family) for family in families)
    return Benchmark(name, name, (), accuracy(over=over), others, note=note)


def _judge_task(task: Task, responses: Sequence[str], rows: Sequence[Row]) -> list[Judged]:
    decisions = judge_many(task.verify, responses, rows)
    read = shown.read(task, responses, rows)
    return [(decision.verdict, answer) for decision, answer in zip(decisions, read, strict=True)]


def _of_file(path: Path, settings: DataConfig) -> Suite:
    loaded = load_rows(replace(settings, dataset_name=str(path)))
    rows = Rows([loaded.rows if len(loaded.rows) else []], [_with_list_of_images])
    suite = _judged_by_gold(_own(path.stem, (), summary(loaded)), rows)
    if len({question.uid for question in suite.questions}) < len(suite.questions):
        raise UserError(f"{path} holds one uid twice. One uid must mean one question; drop the column to use hashes.")
    families = sorted({question.fact("family") for question in suite.questions} - {"none"})
    return replace(suite, benchmark=_own(path.stem, families, summary(loaded)))


def _with_list_of_images(row: Row) -> Row:
    """Turn a single image, under TRL's other name, into a list of one."""
    return {**row, "images": images_of(row) or None}


def _limited(suite: Suite, limit: int | None) -> Suite:
    """Take whole clusters of questions, in the order of their hashes, up to the limit.

    The first rows of a data set are often of one kind; by hash, a smaller limit asks a subset of a larger one's.
    """
    if not len(suite.questions):
        raise UserError(f"{suite.name} has no questions, so nothing can be scored. Look at the data it was read from.")
    if limit is None or limit >= len(suite.questions):
        return suite
    sizes = Counter(question.cluster for question in suite.questions)
    kept: set[str] = set()
    num_kept = 0
    for cluster in sorted(sizes, key=lambda name: hashlib.sha256(name.encode()).digest()):
        if num_kept >= limit:
            break
        kept.add(cluster)
        num_kept += sizes[cluster]
    indices = [i for i, question in enumerate(suite.questions) if question.cluster in kept]
    rows = suite.rows.take(indices) if isinstance(suite.rows, Rows) else [suite.rows[i] for i in indices]
    questions = [suite.questions[i] for i in indices]
    found = replace(suite, rows=rows, questions=questions)
    if suite.over != "family":
        return found
    num_there, num_asked = (len({one.fact("family") for one in each}) for each in (suite.questions, questions))
    note = f"{suite.benchmark.note}; {num_asked} of {num_there} families have a question within --limit {limit}"
    return replace(found, benchmark=replace(suite.benchmark, note=note))
