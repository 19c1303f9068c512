"""An evaluation from beginning to end: policies answer suites, are scored, and are compared.

All results are computed once, as plain values; text, tables and page are made from them.

Not here: the parts (`subjects`, `suites`, `answering`, `scores`, `comparison`), what is shown (`output`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from nearfuture.lab.evaluate import subjects as finding
from nearfuture.lab.evaluate.answering import Sampling, answer_suite, responses_folder
from nearfuture.lab.evaluate.comparison import compare, mean_score
from nearfuture.lab.evaluate.responses import ResponseFile
from nearfuture.lab.evaluate.samples import MIN_QUESTIONS, NUM_QUESTIONS, kept
from nearfuture.lab.evaluate.scores import LEVEL, NUM_RESAMPLES, Score, score
from nearfuture.lab.evaluate.subjects import Subject
from nearfuture.lab.evaluate.suites import Sources, Suite, load_suites
from nearfuture.record.lock import writing
from nearfuture.record.writing import finite
from nearfuture.train import checkpoint, processes
from nearfuture.train.answer.decoding import Decoding, EngineSettings, Policy
from nearfuture.train.answer.policy import TransformersPolicy
from nearfuture.train.answer.vllm_policy import VLLMPolicy
from nearfuture.types import UserError

VERSION = 1
LINES = 10
"""Lines of progress per suite."""
Load = Callable[[str, EngineSettings], Policy]
Say = Callable[[str], None]


def load_policy(model: str, settings: EngineSettings) -> Policy:
    """Load a model with the engine that the settings ask for.

    Raises:
        UserError: the model cannot be loaded, or vLLM is not installed.
    """
    return VLLMPolicy(model, settings) if settings.use_vllm else TransformersPolicy(model, settings)


@dataclass(frozen=True)
class Asked:
    """What an evaluation has to do.

    Attributes:
        suites: names or files.
        output: the evaluation's folder.
        num_samples: responses per question.
        seed: the seed for sampling.
        sources: where the questions come from.
        decoding: sampling settings that replace a suite's own.
        engine: what runs the models.
        is_clean: whether to discard existing responses.
    """

    suites: tuple[str, ...]
    output: Path
    num_samples: int
    seed: int = 0
    sources: Sources = field(default_factory=Sources)
    decoding: dict[str, Any] = field(default_factory=dict)
    engine: EngineSettings = field(default_factory=EngineSettings)
    is_clean: bool = False


def evaluate(
    names: Sequence[str], asked: Asked, *, lineage: bool = False, load: Load = load_policy, say: Say = print
) -> dict[str, Any]:
    """Evaluate policies.

    Args:
        names: one or two policies; with `lineage` one run.
        asked: what to do.
        lineage: whether to evaluate every checkpoint on the run's path, base weights included.
        load: loads a policy.
        say: called with a message about each part of the work.

    Returns:
        Plain values: the protocol, `policies[]` with their scores, `comparisons[]`.

    Raises:
        UserError: a policy or data is missing, settings differ from those of existing responses, nothing could be
            judged, or another process writes the same evaluation.
    """
    if asked.num_samples < 1:
        raise UserError(f"--num-samples {asked.num_samples} must be at least 1.")
    subjects = finding.find_subjects(names, lineage=lineage)
    suites = load_suites(asked.suites, asked.sources)
    decodings = [replace(suite.decoding, **asked.decoding) for suite in suites]
    with contextlib.ExitStack() as held:
        processes.from_main(lambda: held.enter_context(writing(asked.output, "evaluation")))
        scores = [_answered(subject, suites, decodings, asked, load, say) for subject in subjects]
    pairs = [(0, 1)] if len(names) == 2 else [(len(subjects) - 1, 0)] if len(subjects) > 1 else []
    paired = [compare(subjects[a].label, scores[a], subjects[b].label, scores[b]) for a, b in pairs]
    described = [_suite(suite, decoding) for suite, decoding in zip(suites, decodings, strict=True)]
    return finite(
        {
            "version": VERSION,
            "num_samples": asked.num_samples,
            "seed": asked.seed,
            "limit": asked.sources.limit,
            "instruction": asked.sources.instruction,
            "engine": asdict(asked.engine),
            "level": LEVEL,
            "num_resamples": NUM_RESAMPLES,
            "is_lineage": lineage,
            "suites": described,
            "policies": [_policy(subject, found) for subject, found in zip(subjects, scores, strict=True)],
            "comparisons": paired,
            "samples": [row for found in scores for one in found for row in one.samples],
        }
    )


def _answered(
    subject: Subject, suites: Sequence[Suite], decodings: Sequence[Decoding], asked: Asked, load: Load, say: Say
) -> list[Score]:
    """Let one policy answer every suite; it is loaded only if something is left to sample, and released afterwards."""
    loaded: list[Policy] = []

    def get() -> Policy:
        if not loaded:
            say(f"{subject.label}: loading {subject.model}")
            checkpoint.require_whole(Path(subject.model))
            loaded.append(load(subject.model, asked.engine))
        return loaded[0]

    scores = []
    try:
        for suite, decoding in zip(suites, decodings, strict=True):
            scores.append(_answered_suite(subject, suite, decoding, asked, get, say))
    finally:
        for policy in loaded:
            policy.release()
    return scores


def _answered_suite(
    subject: Subject, suite: Suite, decoding: Decoding, asked: Asked, get: Callable[[], Policy], say: Say
) -> Score:
    file = open_responses(subject, suite, decoding, asked)
    told = Progress(f"{subject.label} {suite.name}", len(file.answers), say)
    sampling = Sampling(decoding, asked.num_samples, asked.engine.num_at_once, asked.seed)
    answers = answer_suite(get, suite, file, sampling, told)
    shown = kept(subject.label, suite, answers, max(MIN_QUESTIONS, NUM_QUESTIONS // len(asked.suites)))
    return replace(score(suite, answers), samples=shown)


class Progress:
    """Reports the progress of a suite from time to time.

    Args:
        name: the policy and the suite.
        num_before: how many responses existed at the start.
        say: called with each message.
    """

    def __init__(self, name: str, num_before: int, say: Say) -> None:
        self.name, self.num_before, self.say = name, num_before, say
        self.began = time.monotonic()
        self.num_lines = 0

    def __call__(self, done: int, wanted: int) -> None:
        """Report the number of responses so far and the total."""
        lines = LINES * done // wanted
        if lines > self.num_lines:
            self.num_lines = lines
            pace = max(done - self.num_before, 0) / max(time.monotonic() - self.began, 1e-9)
            self.say(f"{self.name}: {done} of {wanted} responses, {pace:.3g} per second")


def open_responses(subject: Subject, suite: Suite, decoding: Decoding, asked: Asked) -> ResponseFile:
    """Open the responses of a policy to a suite, with those that exist already.

    Raises:
        UserError: those were sampled with other settings.
    """
    folder = responses_folder(asked.output, subject.label)
    protocol = {
        "weights": subject.fingerprint,
        "data": suite.fingerprint,
        "seed": asked.seed,
        "decoding": asdict(decoding),
        "instruction": asked.sources.instruction,
        "use_vllm": asked.engine.use_vllm,
        "dtype": asked.engine.dtype,
        "max_image_pixels": asked.engine.max_image_pixels,
        "verifier_version": suite.verifier_version,
    }
    if asked.is_clean:
        ResponseFile.clear(folder, suite.name)
    return ResponseFile(folder, suite.name, protocol)


def _suite(suite: Suite, decoding: Decoding) -> dict[str, Any]:
    return {
        "name": suite.name,
        "title": suite.benchmark.title,
        "metric": suite.benchmark.metric.name,
        "num_questions": len(suite.questions),
        "num_clusters": len({question.cluster for question in suite.questions}),
        "verifier_version": suite.verifier_version,
        "decoding": asdict(decoding),
        "licence": suite.benchmark.licence,
        "note": ", ".join(filter(None, [suite.benchmark.note, suite.benchmark.remark(suite.questions)])),
    }


def _policy(subject: Subject, scores: Sequence[Score]) -> dict[str, Any]:
    return {
        "label": subject.label,
        "model": subject.model,
        "run": subject.run and str(subject.run),
        "step": subject.step,
        "mean": asdict(mean_score(scores)),
        "scores": {one.suite.name: _score(one) for one in scores},
    }


def _score(one: Score) -> dict[str, Any]:
    return {
        **asdict(one.value),
        "bounds": list(one.bounds),
        "num_responses": one.num_responses,
        "tokens": one.tokens,
        "mean_length": one.tokens / one.num_responses,
        "rates": one.rates,
        "invalid_golds": list(one.invalid),
        "metrics": {name: asdict(found) for name, found in one.others.items()},
        "pass_at": {str(k): asdict(found) for k, found in one.pass_at.items()},
    }
