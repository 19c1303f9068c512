"""Collect guidance: sample a guide on a set of prompts, verify, and keep one or more correct trajectories per prompt.

    cache = collect_guidance(engine, rows, verify, "runs/a/guidance", guide=PolicyRef(0, 120, "checkpoints/120"))

See "Near-Future Policy Optimization", section 3.1. Ours, because no account of the paper says it: how many samples are
drawn (`num_samples=8`), and which correct one is kept (`select="uniform"`); see docs.

Not here: sampling and judging (`ask`), the order of the draws (`draws`, `allocation`), the choice (`choose`), the file
(`cache`), what survives a kill (`journal`).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from nearfuture.guidance import files
from nearfuture.guidance.allocation import Chances
from nearfuture.guidance.ask import Score, judged
from nearfuture.guidance.cache import GuidanceCache
from nearfuture.guidance.checks import nothing_solved
from nearfuture.guidance.choose import Candidate, choose_closest, choose_uniform, distinct, score_longest_first
from nearfuture.guidance.draws import BatchResult, Draws
from nearfuture.guidance.engine import Engine, Row
from nearfuture.guidance.header import FORMAT_VERSION, CacheHeader, CollectionCounts, digest
from nearfuture.guidance.journal import Journal, discard
from nearfuture.guidance.prompts import Prompt, digest_prompts, unique_prompts
from nearfuture.guidance.table import Entry
from nearfuture.tasks.identity import hashed_seed
from nearfuture.tasks.judging import Verify
from nearfuture.types import BATCH_SIZE, NUM_SAMPLES, Guidance, NoSignalError, PolicyRef, UserError, Verdict

logger = logging.getLogger(__name__)

Given = Mapping[str, Sequence[Sequence[int]]]
Known = Mapping[str, tuple[int, int]]
Progress = Callable[[CollectionCounts], None]
Scored = list[tuple[Candidate, list[float]]]


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a collection; together with the engine and the prompts, they determine the result."""

    guide: PolicyRef
    num_samples: int
    select: Literal["uniform", "closest"]
    batch_size: int
    seed: int
    verifier_version: str
    learner: PolicyRef | None
    num_kept: int = 1
    allocation: Literal["even", "adaptive"] = "even"

    def __post_init__(self) -> None:
        for name in ("num_samples", "batch_size", "num_kept"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}={getattr(self, name)}, at least 1 is needed.")
        if self.num_kept > self.num_samples:
            raise UserError(
                f"num_kept={self.num_kept} trajectories cannot come from num_samples={self.num_samples} samples per "
                "prompt. Draw more, or keep fewer."
            )
        if self.select not in ("uniform", "closest"):
            raise UserError(f"select={self.select!r} is not a way to choose. Use 'uniform' or 'closest'.")
        if self.allocation == "adaptive" and self.select == "closest":
            raise UserError(
                "allocation='adaptive' with select='closest': the closest of a fixed number of samples needs all of "
                "them. Use select='uniform', or allocation='even'."
            )

    def described(self) -> dict[str, Any]:
        """Return the settings as plain JSON, newer ones only if set, so that older caches keep their fingerprint."""
        usual = {"num_kept": 1, "allocation": "even"}
        return {name: value for name, value in asdict(self).items() if name not in usual or usual[name] != value}


def collect_guidance(
    engine: Engine,
    rows: Sequence[Row],
    verify: Verify,
    folder: Path | str,
    *,
    guide: PolicyRef,
    num_samples: int = NUM_SAMPLES,
    num_kept: int = 1,
    select: Literal["uniform", "closest"] = "uniform",
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
    learner_score: Score | None = None,
    learner: PolicyRef | None = None,
    verifier_version: str = "1",
    given: Given | None = None,
    harvested: Mapping[str, Guidance] | None = None,
    allocation: Literal["even", "adaptive"] = "even",
    known: Known | None = None,
    kinds: Collection[str] = (),
    progress: Progress | None = None,
) -> GuidanceCache:
    """Sample the guide until every prompt has its trajectories or has had `num_samples` tries, and write the cache.

    With `select="uniform"` a prompt is not sampled again once it is solved. Nothing is lost by that [derived]: samples
    are i.i.d., so given which of them are correct, each correct one has the law pi_guide(o | x, correct), and so has
    any one picked by a rule that looks only at the verdicts: the first, or a uniformly chosen one. But
    `num_correct / num_samples` is then not an unbiased pass rate. With `select="closest"` all samples are drawn.

    With `num_kept` > 1 a prompt is sampled until that many different correct trajectories are found; its pool consists
    of the first of them in the order they were drawn (`closest`: the closest, best first). The first one drawn still
    has the law of a correct sample, but the pool as a whole does not: a frequent trajectory is in it only once
    [derived]. RLEP (arXiv:2507.07451) keeps all valid ones of 64 samples: `num_samples=64, num_kept=64`.

    A sample without a stop token, or longer than `engine.sampling.max_completion_length`, is dropped whether correct
    or not. A collection that was killed continues after its last finished batch, with the same result as without the
    kill; a complete cache with the same settings is opened as it is. With several processes all of them call this.

    With `allocation="adaptive"` `num_samples` is a mean over all prompts: every sample goes where it is most likely to
    be the first correct one (`allocation`), and what a solved prompt does not use is spent on others.

    Scripts call this by keyword, hence the many parameters; inside they are `Settings` and one collection.

    Args:
        engine: the guide.
        rows: prompts; one without a `prompt_id` gets the id that the trainer would give it. A repeated id is
            collected once.
        verify: a task's `verify`, or any function of (completion text, row); called once per completion, on one
            of the processes. If it raises, that counts as a crash and says nothing about the completion.
        folder: the folder of the cache; `<folder>.partial` holds the unfinished work.
        guide: which policy the engine holds, for the record.
        num_samples: the most samples per prompt.
        num_kept: the most different trajectories kept per prompt.
        select: which correct sample is kept: "uniform", or the "closest" one to the learner.
        batch_size: samples per call of the engine.
        seed: determines the result, together with everything else.
        learner_score: scores (rows, completion ids) under the learner; needed by "closest".
        learner: which policy `learner_score` holds, so that another learner counts as another collection.
        verifier_version: the version of `verify`, for the record.
        given: completions that this guide has drawn before (in a probe), by prompt id; they are judged first, count
            against `num_samples`, and are not generated again.
        harvested: existing answers by prompt id: they enter the cache unchanged, with their own log-probs and step,
            and their prompts are not asked.
        allocation: whether samples go to all prompts evenly, or where they are most likely to succeed.
        known: correct and judged earlier tries of a prompt, by its id; for "adaptive".
        kinds: columns of the rows; prompts that agree in them inform each other; for "adaptive".
        progress: called after each batch with the counts so far, on the main process.

    Returns:
        The opened cache.

    Raises:
        NoSignalError: there are no rows, or the guide solved none of them; no cache is kept.
        UserError: the settings cannot be used, or the folder holds something else.
    """
    settings = Settings(guide, num_samples, select, batch_size, seed, verifier_version, learner, num_kept, allocation)
    if select == "closest" and learner_score is None:
        raise UserError("select='closest' needs learner_score, the learner's log-probs. Pass it, or use 'uniform'.")
    home = Path(folder).absolute()
    files.check_replaceable(home)
    prompts, free = unique_prompts(engine, rows), harvested or {}
    asked = [prompt for prompt in prompts if prompt.prompt_id not in free]
    reused = [(prompt, free[prompt.prompt_id]) for prompt in prompts if prompt.prompt_id in free]
    chances = _chances(asked, known or {}, kinds) if allocation == "adaptive" else None
    collection = _Collection(engine, verify, asked, settings, learner_score, given or {}, reused, chances)
    described = collection.described()
    if not engine.broadcast(engine.is_main and _is_collected(home, described)):
        collection.run(home, described, progress)
    return GuidanceCache.open(home)


@dataclass(slots=True)
class _Collection:
    """One collection in progress: draw, choose, score, write."""

    engine: Engine
    verify: Verify
    prompts: list[Prompt]
    settings: Settings
    learner_score: Score | None
    given: Given
    reused: list[tuple[Prompt, Guidance]]
    chances: Chances | None
    draws: Draws = field(init=False)

    def __post_init__(self) -> None:
        asked = self.settings
        num_kept = asked.num_kept if asked.select == "uniform" else None
        self.draws = Draws(len(self.prompts), asked.num_samples, asked.batch_size, num_kept, self.chances)

    def described(self) -> dict[str, Any]:
        """Return everything that determines the result as plain JSON: the same description means the same cache."""
        given = {prompt_id: [list(ids) for ids in completions] for prompt_id, completions in self.given.items()}
        younger = {
            "harvested": [asdict(guidance) for _, guidance in self.reused],
            "known": [] if self.chances is None else [list(self.chances.known.items()), list(self.chances.kinds)],
        }
        return {
            "format_version": FORMAT_VERSION,
            "rows": digest_prompts(self.prompts),
            "num_prompts": len(self.prompts),
            "tokenizer_hash": self.engine.tokenizer_hash,
            "eos_token_ids": list(self.engine.eos_token_ids),
            "sampling": asdict(self.engine.sampling),
            **self.settings.described(),
            "given": digest(given),
            **{name: digest(value) for name, value in younger.items() if value},
        }

    def run(self, home: Path, described: Mapping[str, Any], progress: Progress | None) -> None:
        """Draw what is not in the journal yet, and write the cache."""
        journal = Journal(files.partial(home), described) if self.engine.is_main else None
        for result in self.engine.broadcast([BatchResult(**fields) for fields in journal.records] if journal else []):
            self.draws.observe(result)
        if self.given and not self.draws.num_batches:
            self._take(self._judged_given(), journal)
        if progress and self.engine.is_main and self.draws.num_batches:
            progress(self.draws.counts())  # paid for before a kill
        while numbers := self.draws.next_batch():
            self._take(self._sampled(numbers), journal)
            if progress and self.engine.is_main:
                progress(self.draws.counts())
        try:
            self._write(home, digest(described))
        except NoSignalError:
            if journal:
                discard(files.partial(home))
            raise
        if journal:
            discard(files.partial(home))
        self.engine.broadcast(None)  # the other processes open the cache only now

    def _take(self, result: BatchResult, journal: Journal | None) -> None:
        if journal:
            journal.append(asdict(result))
        self.draws.observe(result)

    def _sampled(self, numbers: list[int]) -> BatchResult:
        """Sample the prompts of these numbers, and judge."""
        started = time.monotonic()
        seed = hashed_seed(self.settings.seed, self.draws.num_batches)
        completions = self.engine.generate([self.prompts[number].row for number in numbers], seed)
        stops = self.engine.eos_token_ids
        assert not any(token in stops for ids in completions for token in ids[:-1]), "it continued after a stop token"
        return self._judged(numbers, completions, [len(ids) for ids in completions], started)

    def _judged_given(self) -> BatchResult:
        """Judge what was drawn before, at most `num_samples` per prompt; its tokens were paid for then."""
        started = time.monotonic()
        numbers: list[int] = []
        completions: list[list[int]] = []
        for number, prompt in enumerate(self.prompts):
            found = list(self.given.get(prompt.prompt_id, ()))[: self.settings.num_samples]
            numbers += [number] * len(found)
            completions += map(list, found)
        return self._judged(numbers, completions, [0] * len(numbers), started)

    def _judged(
        self, numbers: list[int], completions: list[list[int]], num_tokens: list[int], started: float
    ) -> BatchResult:
        samples = judged(self.engine, self.verify, [self.prompts[number].row for number in numbers], completions)
        return BatchResult(
            index=self.draws.num_batches,
            prompts=numbers,
            num_tokens=num_tokens,
            outcomes=[sample.outcome for sample in samples],
            correct=[
                (number, sample.completion_ids)
                for number, sample in zip(numbers, samples, strict=True)
                if sample.verdict is Verdict.CORRECT
            ],
            seconds=time.monotonic() - started,
        )

    def _write(self, home: Path, fingerprint: str) -> None:
        """Choose the trajectories of each prompt, score them under the guide, and write the cache."""
        started = time.monotonic()
        chosen = self._choose()
        logps = self._score(self.engine.score, chosen)
        kept = [pair for pair in zip(chosen, logps, strict=True) if all(map(math.isfinite, pair[1]))]
        counts = self.draws.counts()
        num_chosen = sum(min(number, self.settings.num_kept) for number in self.draws.num_distinct)
        if not self.reused or num_chosen:
            _check_kept(len(kept), num_chosen, counts)
        if self.engine.is_main:
            seconds = counts.seconds + time.monotonic() - started
            num_solved = len({candidate.number for candidate, _ in kept})
            num_dropped = num_chosen - len(kept)
            counts = replace(counts, num_solved=num_solved, num_dropped_logps=num_dropped, seconds=seconds)
            counts = self._with_reused(counts)
            GuidanceCache.write(home, self._header(counts, fingerprint), self._entries(kept)).close()

    def _with_reused(self, counts: CollectionCounts) -> CollectionCounts:
        """Count existing answers among the prompts and the solved ones; they were neither sampled nor paid for."""
        num = len(self.reused)
        num_tokens = sum(len(guidance.completion_ids) for _, guidance in self.reused)
        return replace(
            counts,
            num_prompts=counts.num_prompts + num,
            num_solved=counts.num_solved + num,
            num_harvested=num,
            harvested_tokens=num_tokens,
        )

    def _choose(self) -> list[Candidate]:
        """Choose among the correct samples of every solved prompt; those of one prompt stay together."""
        num_kept = self.settings.num_kept
        solved = [
            [Candidate(number, self.prompts[number], completion_ids) for completion_ids in completions]
            for number, samples in enumerate(self.draws.candidates)
            if (completions := distinct(samples) if num_kept > 1 else samples)
        ]
        if self.learner_score is None or self.settings.select == "uniform":
            if num_kept == 1:
                return [choose_uniform(candidates, self.settings.seed) for candidates in solved]
            return [candidate for candidates in solved for candidate in candidates[:num_kept]]
        flat = [candidate for candidates in solved for candidate in candidates]
        logps = iter(self._score(self.learner_score, flat))
        chosen = [choose_closest(candidates, [next(logps) for _ in candidates], num_kept) for candidates in solved]
        return [candidate for candidates in chosen for candidate in candidates]

    def _score(self, score: Score, candidates: list[Candidate]) -> list[list[float]]:
        return self.engine.broadcast(score_longest_first(score, candidates, self.settings.batch_size))

    def _entries(self, kept: Scored) -> Iterator[Entry]:
        """Make the rows of the cache."""
        texts = self.engine.decode([c.prompt.row for c, _ in kept], [c.completion_ids for c, _ in kept])
        for (candidate, logps), text in zip(kept, texts, strict=True):
            prompt, ids = candidate.prompt, candidate.completion_ids
            guidance = Guidance(
                prompt_id=prompt.prompt_id,
                prompt_hash=prompt.prompt_hash,
                completion_ids=tuple(ids),
                behavior_logps=tuple(logps),
                guide_segment=self.settings.guide.segment,
                guide_step=self.settings.guide.step,
                verdict=Verdict.CORRECT,
                num_samples=self.draws.num_drawn[candidate.number],
                num_correct=len(self.draws.candidates[candidate.number]),
            )
            yield guidance, text
        rows = [prompt.row for prompt, _ in self.reused]
        written = self.engine.decode(rows, [list(found.completion_ids) for _, found in self.reused])
        yield from zip((found for _, found in self.reused), written, strict=True)

    def _header(self, counts: CollectionCounts, fingerprint: str) -> CacheHeader:
        return CacheHeader(
            tokenizer_hash=self.engine.tokenizer_hash,
            eos_token_ids=self.engine.eos_token_ids,
            verifier_version=self.settings.verifier_version,
            sampling=self.engine.sampling,
            guide=self.settings.guide,
            counts=counts,
            fingerprint=fingerprint,
            num_kept=self.settings.num_kept,
        )


def _chances(prompts: Sequence[Prompt], known: Known, kinds: Collection[str]) -> Chances:
    """What is known about the prompts to ask: the tries of each, and which of them are of one kind."""
    tried = {number: known[prompt.prompt_id] for number, prompt in enumerate(prompts) if prompt.prompt_id in known}
    of_kind = [tuple(str(prompt.row[name]) for name in kinds if name in prompt.row) for prompt in prompts]
    return Chances(of_kind, tried)


def _is_collected(home: Path, described: Mapping[str, Any]) -> bool:
    """Say whether the complete and undamaged cache of this same collection exists already."""
    if not files.settled(home).exists():
        return False
    try:
        cache = GuidanceCache.open(home)
        cache.check_integrity()
    except UserError as error:
        logger.warning("Collecting guidance again: %s", error)
        return False
    if cache.header.fingerprint != digest(described):
        logger.warning("%s holds the guidance of another collection; it is replaced when this one is complete.", home)
        return False
    logger.info("%s holds this collection already; nothing is sampled.", home)
    discard(files.partial(home))
    return True


def _check_kept(num_kept: int, num_chosen: int, counts: CollectionCounts) -> None:
    """Refuse a collection without a trajectory, and say how many lost theirs."""
    if not counts.num_solved:
        raise nothing_solved(counts)
    if not num_kept:
        raise UserError(
            f"none of the {num_chosen} chosen trajectories has finite log-probs, so the guide's weights or its "
            "precision are broken. Check the checkpoint, score in float32, and collect again."
        )
    if num_kept < num_chosen:
        logger.warning("Dropped %d of %d trajectories: no finite log-probs.", num_chosen - num_kept, num_chosen)
