"""Have a policy answer a suite batch by batch; each response has its own seed and is judged and stored at once.

A response's seed is a function of the evaluation's seed, the question and the sample's number, so that a subset, a
resumed evaluation and another policy draw the same random numbers. Batches are cut from all questions in order. A batch
that was finished before a kill is not sampled again, so an evaluation ends with the same responses however often it was
interrupted.

Not here: the files (`responses`), what is computed from them (`scores`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nearfuture.lab.evaluate.responses import Answer, ResponseFile
from nearfuture.lab.evaluate.suites import Judged, Suite
from nearfuture.train import processes
from nearfuture.train.answer.decoding import Decoding, Policy, Row

Progress = Callable[[int, int], None]
MASK_63 = 2**63 - 1


def seed_of(seed: int, uid: str, sample: int) -> int:
    """Derive the seed of one response, in 63 bits."""
    digest = hashlib.sha256(f"{seed}/{uid}/{sample}".encode()).digest()
    return int.from_bytes(digest[:8], "big") & MASK_63


@dataclass(frozen=True, slots=True)
class Sampling:
    """How responses are sampled.

    Attributes:
        decoding: sampling settings.
        num_samples: responses per question.
        batch_size: responses sampled at once.
        seed: the evaluation's seed.
    """

    decoding: Decoding
    num_samples: int
    batch_size: int
    seed: int


def answer_suite(
    load: Callable[[], Policy],
    suite: Suite,
    file: ResponseFile,
    sampling: Sampling,
    progress: Progress = lambda done, asked: None,
) -> list[list[Answer]]:
    """Have every question answered.

    Args:
        load: returns the policy; not called if nothing is left to sample.
        suite: the questions.
        file: the responses so far, and where the others go.
        sampling: how many responses, and how they are sampled.
        progress: called after every batch with the number of responses so far and the total.

    Returns:
        The answers to each question.
    """
    num_samples, batch_size = sampling.num_samples, sampling.batch_size
    keys = [(question.uid, sample) for question in suite.questions for sample in range(num_samples)]
    is_judged_anew = _judge_again(suite, file)
    batches = [keys[start : start + batch_size] for start in range(0, len(keys), batch_size)]
    missing = [[key for key in batch if key not in file.answers] for batch in batches]
    processes.wait_for_everyone()  # all have read the file before one writes
    if processes.is_main():
        file.begin()
    place = {question.uid: index for index, question in enumerate(suite.questions)}
    for batch in filter(None, missing):
        _answer_batch(load(), suite, file, sampling, [(place[uid], sample) for uid, sample in batch])
        progress(sum(key in file.answers for key in keys), len(keys))
    if processes.is_main() and (file.part.exists() or is_judged_anew):
        file.finish([question.uid for question in suite.questions])
    return [[file.answers[question.uid, s] for s in range(num_samples)] for question in suite.questions]


def _answer_batch(
    policy: Policy, suite: Suite, file: ResponseFile, sampling: Sampling, batch: Sequence[tuple[int, int]]
) -> None:
    numbers = {index: suite.rows[index] for index, _ in dict.fromkeys(batch)}
    rows = [numbers[index] for index, _ in batch]
    uids = [suite.questions[index].uid for index, _ in batch]
    seeds = [seed_of(sampling.seed, uid, sample) for uid, (_, sample) in zip(uids, batch, strict=True)]
    responses = policy.sample(rows, seeds, sampling.decoding)
    judged = _judged(suite, [response.text for response in responses], rows)
    answers = [
        Answer(uid, sample, response.text, *found, response.num_tokens, response.is_truncated)
        for uid, (_, sample), response, found in zip(uids, batch, responses, judged, strict=True)
    ]
    if processes.is_main():
        file.add(answers)
    else:
        file.answers |= {(answer.uid, answer.sample): answer for answer in answers}


def _judge_again(suite: Suite, file: ResponseFile) -> bool:
    """Judge stored responses with today's verifier, also those it failed on; True if there was something to judge."""
    place = {question.uid: index for index, question in enumerate(suite.questions)}
    known = [(key, answer) for key, answer in file.answers.items() if answer.uid in place]
    again = [(key, answer) for key, answer in known if file.is_judged_anew or answer.verdict.is_failure]
    rows = [suite.rows[place[answer.uid]] for _, answer in again]
    judged = _judged(suite, [answer.response for _, answer in again], rows)
    for (key, answer), (verdict, extracted) in zip(again, judged, strict=True):
        file.answers[key] = replace(answer, verdict=verdict, extracted=extracted)
    return file.is_judged_anew or bool(again)


def _judged(suite: Suite, texts: Sequence[str], rows: Sequence[Row]) -> list[Judged]:
    """Judge responses, each with its row, once for all processes: each process judges its share."""
    return processes.shared(lambda mine: suite.judge([texts[i] for i in mine], [rows[i] for i in mine]), len(rows))


def responses_folder(output: Path, label: str) -> Path:
    """The folder of a policy's responses."""
    return output / "responses" / "".join(c if c.isalnum() or c in "._-@" else "-" for c in label)
