"""The guidance cache: verified trajectories by prompt, in a folder that can be trusted or is refused.

    folder/guidance.parquet    token ids, behaviour log-probs and text, one row per trajectory
    folder/header.json         tokenizer, sampling, guide, verifier, counts, checksum of the table

    cache = GuidanceCache.open("runs/a/guidance")
    cache.check_compatible(tokenizer_hash=..., sampling=..., prompts=..., ...)
    cache.lookup("gsm8k/17")     the trajectory that NPO uses
    cache.pool("gsm8k/17")       all trajectories of the prompt, at most `num_kept`

Not here: how guidance is obtained (`collect`), when it is served (`sources`), whether it is used (`method`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Self

from nearfuture.guidance import checks, files
from nearfuture.guidance.checks import Coverage, EntryRules
from nearfuture.guidance.engine import Row
from nearfuture.guidance.header import CacheHeader, damaged, from_json, to_json
from nearfuture.guidance.table import ROW_GROUP_SIZE, Entry, TableReader, write_table
from nearfuture.tasks.judging import Verify, judge_many
from nearfuture.types import Guidance, Sampling, UserError, Verdict


class GuidanceCache:
    """A frozen map from prompt id to guidance, read from disk one row group at a time."""

    def __init__(self, folder: Path, header: CacheHeader, table: TableReader) -> None:
        """Bind the opened parts; use `GuidanceCache.open`."""
        self.folder = folder
        self.header = header
        self._table = table
        ids = table.column("prompt_id")
        pools = ((prompt_id, list(rows)) for prompt_id, rows in groupby(range(len(ids)), ids.__getitem__))
        self._rows = {prompt_id: range(rows[0], rows[-1] + 1) for prompt_id, rows in pools}

    @classmethod
    def write(cls, folder: Path | str, header: CacheHeader, entries: Iterable[Entry]) -> Self:
        """Write a cache and open it. An older cache in its place stays readable until the new one is complete.

        Args:
            folder: the folder of the cache; an older cache there is replaced.
            header: what the entries mean; the fields about the table are filled in here.
            entries: trajectories with their text; those of one prompt keep their order. If a prompt may have several,
                one with the token ids of another is left out and counted (`num_duplicates`).

        Raises:
            UserError: an entry cannot be trained on, a prompt has more than `header.num_kept` of them, or the folder
                has other files.
        """
        destination = Path(folder).absolute()
        with files.replacing(destination) as draft:
            table = draft / files.TABLE_NAME
            checked = _checked(entries, header)
            num_entries, num_twice = write_table(table, checked, num_kept=header.num_kept)
            size, sha256 = table.stat().st_size, files.sha256_of(table)
            counts = replace(header.counts, num_duplicates=header.counts.num_duplicates + num_twice)
            full = replace(header, counts=counts, num_entries=num_entries, num_bytes=size, sha256=sha256)
            files.write_text(draft / files.HEADER_NAME, to_json(full))
        return cls.open(destination)

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Open a cache: read its header and its keys.

        Raises:
            UserError: there is no cache, its format version is unknown, or its bytes are damaged.
        """
        home = files.settled(Path(folder).absolute())
        header = _read_header(home)
        path = home / files.TABLE_NAME
        if not path.is_file():
            raise UserError(f"{path} is missing, but its header is there. Restore it from a copy, or collect again.")
        if path.stat().st_size != header.num_bytes:
            raise damaged(str(path), f"{path.stat().st_size} bytes, its header says {header.num_bytes}")
        cache = cls(home, header, TableReader(path))
        if cache.num_trajectories != header.num_entries:
            raise damaged(str(path), f"{cache.num_trajectories} trajectories, its header says {header.num_entries}")
        return cache

    def lookup(self, prompt_id: str, number: int = 0) -> Guidance | None:
        """Return trajectory `number` of a prompt's pool, or None if the prompt has no guidance.

        Raises:
            IndexError: the pool is smaller.
            UserError: the bytes are not those that were written.
        """
        rows = self._rows.get(prompt_id)
        return None if rows is None else self._table.entry(rows[number])[0]

    def pool(self, prompt_id: str) -> tuple[Guidance, ...]:
        """Return all trajectories of a prompt, beginning with that of `lookup`; empty if there is no guidance.

        Raises:
            UserError: the bytes are not those that were written.
        """
        return tuple(self._table.entry(row)[0] for row in self._rows.get(prompt_id, ()))

    def pool_size(self, prompt_id: str) -> int:
        """Return how many trajectories a prompt has; reads nothing."""
        return len(self._rows.get(prompt_id, ()))

    def num_correct(self) -> dict[str, int]:
        """Return how many samples of each prompt were correct when they were collected; reads one column."""
        found = self._table.column("num_correct")
        return {prompt_id: found[rows[0]] for prompt_id, rows in self._rows.items()}

    def __len__(self) -> int:
        """The number of prompts with guidance."""
        return len(self._rows)

    @property
    def num_trajectories(self) -> int:
        """The number of trajectories over all prompts."""
        return sum(map(len, self._rows.values()))

    def __contains__(self, prompt_id: object) -> bool:
        return prompt_id in self._rows

    def __iter__(self) -> Iterator[Guidance]:
        """Yield all guidance in the order of the prompt ids."""
        return (guidance for guidance, _ in self._table)

    def entries(self) -> Iterator[Entry]:
        """Yield all guidance with its text, in the order of the prompt ids."""
        return iter(self._table)

    @property
    def num_groups_read(self) -> int:
        """The number of row groups read from the file so far."""
        return self._table.num_groups_read

    def check_integrity(self) -> None:
        """Hash the whole table and compare with the header.

        Raises:
            UserError: the bytes are not those that were written.
        """
        found = files.sha256_of(self.folder / files.TABLE_NAME)
        if found != self.header.sha256:
            why = f"sha256 {found[:8]}... on the disk, {self.header.sha256[:8]}... in its header"
            raise damaged(str(self.folder / files.TABLE_NAME), why)

    def check_compatible(
        self,
        *,
        tokenizer_hash: str,
        sampling: Sampling,
        prompts: Mapping[str, str],
        eos_token_ids: Collection[int],
        verifier_version: str | None,
        require_same_temperature: bool = False,
    ) -> Coverage:
        """Check that this cache may be used by a run; reads every entry once.

        Entries for prompts that are not in the data are counted but not checked, since they are never looked up.

        Args:
            tokenizer_hash: the policy's.
            sampling: the run's settings; no entry may be longer than their `max_completion_length`.
            prompts: prompt id -> prompt hash of the run's data.
            eos_token_ids: the stop tokens of the policy.
            verifier_version: the run's; None if the caller verifies again instead.
            require_same_temperature: whether behaviour log-probs are used as importance weights: the cache must then
                have them, at the temperature of the run.

        Raises:
            NoSignalError: the cache is empty.
            UserError: something differs; the message has the value, the rule and the remedy.
        """
        checks.check_header(self.header, tokenizer_hash=tokenizer_hash, verifier_version=verifier_version)
        if require_same_temperature:
            checks.check_importance(self.header, sampling)
        hashes = self._table.column("prompt_hash")
        checks.check_prompts({prompt_id: hashes[rows[0]] for prompt_id, rows in self._rows.items()}, prompts)
        rules = EntryRules(eos_token_ids, sampling.max_completion_length, self.header.has_behavior_logps)
        checks.check_entries((guidance for guidance in self if guidance.prompt_id in prompts), rules)
        return checks.coverage(self.header, sampling, self._rows, prompts)

    def verify_again(self, verify: Verify, rows: Mapping[str, Row]) -> dict[str, Verdict]:
        """Verify the trajectories of these prompts once more.

        Args:
            verify: a task's `verify`, or any function of (completion text, row).
            rows: the rows that it can judge, by prompt id.

        Returns:
            The verdict of each prompt whose trajectories were judged: correct if all of them are.

        Raises:
            UserError: entries are not confirmed; a time-out counts as that.
        """
        judged: list[tuple[str, Verdict]] = []
        entries = ((guidance.prompt_id, text) for guidance, text in self.entries() if guidance.prompt_id in rows)
        while batch := list(islice(entries, ROW_GROUP_SIZE)):
            decisions = judge_many(verify, [text for _, text in batch], [rows[prompt_id] for prompt_id, _ in batch])
            judged += [(prompt_id, one.verdict) for (prompt_id, _), one in zip(batch, decisions, strict=True)]
        verdicts = checks.verdict_by_prompt(judged)
        checks.check_verdicts(verdicts)
        return verdicts

    def summary(self) -> dict[str, Any]:
        """Summarise the cache for people; reads every entry once."""
        num_tokens, sum_logps = 0, 0.0
        for guidance in self:
            num_tokens += len(guidance.completion_ids)
            sum_logps += sum(guidance.behavior_logps)
        header, number = self.header, self.num_trajectories
        return {
            "folder": str(self.folder),
            "guide": asdict(header.guide),
            **asdict(header.counts),
            "coverage_frac": len(self) / max(1, header.counts.num_prompts),
            "num_trajectories": number,
            "num_kept": header.num_kept,
            "mean_length": num_tokens / max(1, number),
            "mean_behavior_logp": sum_logps / max(1, num_tokens) if header.has_behavior_logps else None,
            "temperature": header.sampling.temperature,
            "tokenizer_hash": header.tokenizer_hash,
            "verifier_version": header.verifier_version,
            "num_bytes": header.num_bytes,
        }

    def close(self) -> None:
        """Close the file; no look-up is possible afterwards."""
        self._table.close()


def _read_header(home: Path) -> CacheHeader:
    path = home / files.HEADER_NAME
    if not path.is_file():
        is_begun = files.partial(home).exists()
        remedy = "Run the collection again: it resumes." if is_begun else "Collect guidance first, or correct the path."
        raise UserError(f"no guidance cache at {home}: {files.HEADER_NAME} is missing. {remedy}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise damaged(str(path), "not UTF-8") from error
    return from_json(text, str(path))


def _checked(entries: Iterable[Entry], header: CacheHeader) -> Iterator[Entry]:
    """Pass on what may be trained on under the header's own settings, and refuse the rest."""
    rules = EntryRules.of(header)
    for guidance, text in entries:
        checks.check_entries([guidance], rules)
        yield guidance, text
