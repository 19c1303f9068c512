"""Turn traces from a file into guidance: tokenise, read back, verify, and report what was left out.

    importer = Importer(format, header, prompts, codec, judge)
    importer.take(read_rows(path))
    importer.report ...
    cache = importer.write("guidance")

Not here: what a row says (the formats), which prompt it means (`prompts`), the rules for an entry (`guidance.checks`).
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from nearfuture.guidance.cache import GuidanceCache
from nearfuture.guidance.checks import EntryRules, defect
from nearfuture.guidance.header import CacheHeader, CollectionCounts
from nearfuture.guidance.interop.prompts import KnownPrompts
from nearfuture.guidance.interop.report import Finding, Reason, RefusedError, Report
from nearfuture.guidance.interop.traces import Codec, DamagedRowError, Format, Row, Trace
from nearfuture.guidance.table import Entry
from nearfuture.types import Guidance, NoSignalError, Verdict

Judge = Callable[[str, str], Verdict]
"""Judges (prompt id, text)."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A trace that may be used, with its numbers at 4 bytes each."""

    prompt_id: str
    trace: Trace
    ids: array[int]
    logps: array[float]


class Importer:
    """One import in progress.

    Args:
        format: the format of the rows.
        header: the cache's header, in which counts, size of the pools and log-probs are filled in.
        prompts: the prompts that guidance may be for.
        codec: the tokenizer.
        judge: the verifier; None if the task is not known.
    """

    def __init__(
        self, format: Format, header: CacheHeader, prompts: KnownPrompts, codec: Codec, judge: Judge | None
    ) -> None:
        self.format, self.header, self.prompts, self.codec, self.judge = format, header, prompts, codec, judge
        self.report = Report()
        self._kept: list[_Kept] = []
        self._seen: set[tuple[str, bytes]] = set()
        self._num_samples: Counter[str] = Counter()
        self._num_correct: Counter[str] = Counter()
        self._num_unjudged = 0
        self._started = time.monotonic()

    def take(self, rows: Iterable[tuple[int, Row | DamagedRowError]]) -> None:
        """Read the rows of a file, with their numbers; a row that cannot be used is reported, and raises nothing."""
        for number, row in rows:
            self.report.num_rows += 1
            prompt_id = None
            try:
                if isinstance(row, DamagedRowError):
                    raise row
                offer = self.format.read(row)
                prompt_id = offer.prompt_id
                if not offer.traces:
                    raise RefusedError(Reason.NO_TRAJECTORY)
                prompt_id = self.prompts.find(offer)
            except DamagedRowError as error:
                self._say(number, 0, prompt_id, Reason.DAMAGED, str(error))
            except RefusedError as refused:
                self._say(number, 0, prompt_id, refused.reason, refused.detail)
            else:
                self._take_traces(number, prompt_id, offer.traces)

    def write(self, folder: Path | str) -> GuidanceCache:
        """Write what was kept as a cache.

        Raises:
            NoSignalError: nothing was kept.
        """
        if not self._kept:
            counts = "; ".join(f"{number} x {reason}" for reason, number in self.report.counts().items())
            raise NoSignalError(
                f"none of the {self.report.num_rows} rows has a trajectory that can be used "
                f"({counts or 'the file is empty'}). Check the format, the prompts and the tokenizer."
            )
        num_with_logps = sum(len(kept.logps) > 0 for kept in self._kept)
        has_logps = num_with_logps == len(self._kept)
        if num_with_logps and not has_logps:
            self.report.remarks.append(
                f"{num_with_logps} of {len(self._kept)} trajectories have log-probs; a cache has them in all entries "
                "or in none, so it has none"
            )
        header = replace(
            self.header,
            counts=self._counts(),
            num_kept=max(Counter(kept.prompt_id for kept in self._kept).values()),
            has_behavior_logps=has_logps,
        )
        return GuidanceCache.write(folder, header, (self._entry(kept, has_logps) for kept in self._kept))

    def _take_traces(self, number: int, prompt_id: str, traces: Iterable[Trace]) -> None:
        for place, trace in enumerate(traces, start=1):
            self.report.num_traces += 1
            self._num_samples[prompt_id] += 1
            try:
                ids = self._token_ids(trace)
                logps = self._logps(trace)
                self._check(prompt_id, trace, ids, logps)
            except RefusedError as refused:
                self._say(number, place, prompt_id, refused.reason, refused.detail)
                continue
            if trace.completion_ids and ids != self.codec.ended(self.codec.encode(trace.text)):
                self._say(number, place, prompt_id, Reason.OTHER_IDS)
            if trace.behavior_logps and not logps:
                self._say(number, place, prompt_id, Reason.OTHER_TEMPERATURE, str(trace.temperature))
            bare = replace(trace, completion_ids=(), behavior_logps=())
            self._kept.append(_Kept(prompt_id, bare, array("i", ids), array("f", logps)))

    def _token_ids(self, trace: Trace) -> list[int]:
        """Return the ids to train on: the row's own if they mean its text, otherwise the tokenizer's."""
        if trace.completion_ids:
            if self.codec.decode(trace.completion_ids) != trace.text:
                raise RefusedError(Reason.OTHER_MEANING, repr(self.codec.decode(trace.completion_ids))[:80])
            return self.codec.ended(trace.completion_ids)
        if not trace.text.strip():
            raise RefusedError(Reason.NO_TRAJECTORY)
        ids = self.codec.encode(trace.text)
        if self.codec.decode(ids) != trace.text:
            raise RefusedError(Reason.OTHER_TEXT, repr(self.codec.decode(ids))[:80])
        return self.codec.ended(ids)

    def _logps(self, trace: Trace) -> tuple[float, ...]:
        is_ours = trace.temperature == self.header.sampling.temperature
        return trace.behavior_logps if is_ours else ()

    def _check(self, prompt_id: str, trace: Trace, ids: list[int], logps: tuple[float, ...]) -> None:
        """Refuse what may not be guidance; count correct traces, including repeated ones."""
        limit = self.header.sampling.max_completion_length
        if len(ids) > limit:
            raise RefusedError(Reason.TOO_LONG, f"{len(ids)} tokens, max_completion_length={limit}")
        rules = EntryRules(self.header.eos_token_ids, limit, has_behavior_logps=bool(logps))
        why = defect(self._guidance(prompt_id, trace, tuple(ids), logps), rules)
        if why:
            raise RefusedError(Reason.NOT_TRAINABLE, why)
        verdict = Verdict.CORRECT if self.judge is None else self.judge(prompt_id, trace.text)
        self._num_unjudged += not verdict.is_judged
        if verdict is not Verdict.CORRECT:
            raise RefusedError(Reason.NOT_CORRECT, verdict.value)
        self._num_correct[prompt_id] += 1
        key = (prompt_id, array("i", ids).tobytes())
        if key in self._seen:
            raise RefusedError(Reason.DUPLICATE)
        self._seen.add(key)

    def _guidance(self, prompt_id: str, trace: Trace, ids: tuple[int, ...], logps: tuple[float, ...]) -> Guidance:
        """Make an entry; a prompt's counts are those that its row states or those of this file, whichever is larger."""
        return Guidance(
            prompt_id=prompt_id,
            prompt_hash=self.prompts.hashes[prompt_id],
            completion_ids=ids,
            behavior_logps=logps,
            guide_segment=trace.guide_segment,
            guide_step=trace.guide_step,
            verdict=Verdict.CORRECT,
            num_samples=max(trace.num_samples, self._num_samples[prompt_id]),
            num_correct=max(trace.num_correct, self._num_correct[prompt_id]),
        )

    def _entry(self, kept: _Kept, has_logps: bool) -> Entry:
        logps = tuple(kept.logps) if has_logps else ()
        return self._guidance(kept.prompt_id, kept.trace, tuple(kept.ids), logps), kept.trace.text

    def _counts(self) -> CollectionCounts:
        found = self.report.counts()
        self.report.num_kept = len(self._kept)
        self.report.num_prompts = len({kept.prompt_id for kept in self._kept})
        return CollectionCounts(
            num_prompts=len(self.prompts.hashes),
            num_solved=self.report.num_prompts,
            num_samples=self.report.num_traces,
            num_dropped_too_long=found.get(Reason.TOO_LONG, 0),
            num_duplicates=found.get(Reason.DUPLICATE, 0),
            num_unjudged=self._num_unjudged,
            seconds=time.monotonic() - self._started,
        )

    def _say(self, row: int, trace: int, prompt_id: str | None, reason: Reason, detail: str = "") -> None:
        self.report.findings.append(Finding(row, trace, prompt_id, reason, detail))
