"""Turn a cache into rows of another framework, and report what does not fit.

    exporter = Exporter(format, cache, questions, encode)
    write_rows(path, exporter.rows())
    exporter.report ...

Not here: what a row looks like (the formats), the files (`rows`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from nearfuture.guidance.cache import GuidanceCache
from nearfuture.guidance.interop.prompts import as_messages
from nearfuture.guidance.interop.report import Finding, Reason, Report
from nearfuture.guidance.interop.traces import Codec, Format, Problem, Row
from nearfuture.guidance.table import Entry


class Exporter:
    """One export in progress.

    Args:
        format: the format of the rows.
        cache: what to write.
        questions: the prompts of the task by id; empty if the task is not known.
        codec: the tokenizer, to tell which texts it would read back with other ids; None if it is not known.
    """

    def __init__(
        self, format: Format, cache: GuidanceCache, questions: Mapping[str, Problem], codec: Codec | None
    ) -> None:
        self.format, self.cache, self.questions, self.codec = format, cache, questions, codec
        self.report = Report(num_traces=cache.num_trajectories)

    def rows(self) -> Iterator[Row]:
        """Yield the rows: solved prompts by id, then the others where the format has room for them."""
        for prompt_id, group in groupby(self.cache.entries(), lambda entry: entry[0].prompt_id):
            entries = list(group)
            question = self.questions.get(prompt_id, Problem(prompt_id))
            reason = self._obstacle(question, entries[0])
            if reason is None:
                yield from self._written(question, entries)
            else:
                self._say(prompt_id, 0, reason)
        if self.format.has_unsolved:
            for question in self.questions.values():
                if question.prompt_id not in self.cache and not question.has_images:
                    yield from self._written(question, [])

    def _obstacle(self, question: Problem, first: Entry) -> Reason | None:
        """Say why a prompt cannot be written, or None."""
        if question.prompt is None:
            return Reason.NO_PROMPT if self.format.needs_prompt else None
        if question.prompt_hash != first[0].prompt_hash:
            return Reason.OTHER_PROMPT
        return Reason.HAS_IMAGES if question.has_images and self.format.needs_prompt else None

    def _written(self, question: Problem, entries: list[Entry]) -> list[Row]:
        """Return the rows of a prompt, and record what they lose."""
        limit = self.format.max_traces
        usable = [entry for entry in entries if self._is_text(question, entry)]
        kept = usable if limit is None else usable[:limit]
        if not kept and entries:
            return []
        for place in range(len(kept) + 1, len(usable) + 1):
            self._say(question.prompt_id, place, Reason.DOES_NOT_FIT)
        for place, (guidance, text) in enumerate(kept, start=1):
            ids = list(guidance.completion_ids)
            if self.codec is not None and self.codec.ended(self.codec.encode(text)) != ids:
                self._say(question.prompt_id, place, Reason.OTHER_IDS)
        if kept and self.format.has_text_prompt and len(as_messages(question.prompt)) > 1:
            self._say(question.prompt_id, 0, Reason.MORE_MESSAGES)
        rows = self.format.write(question, kept, self.cache.header)
        self.report.num_rows += len(rows)
        self.report.num_kept += len(kept)
        self.report.num_prompts += bool(kept)
        return rows

    def _is_text(self, question: Problem, entry: Entry) -> bool:
        """Say whether a trajectory has a text to write; ids alone travel in our own rows only."""
        if entry[1].strip() or not self.format.needs_prompt:
            return True
        self._say(question.prompt_id, 0, Reason.NO_TRAJECTORY)
        return False

    def _say(self, prompt_id: str, trace: int, reason: Reason) -> None:
        self.report.findings.append(Finding(self.report.num_rows + 1, trace, prompt_id, reason))
