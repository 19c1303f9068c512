"""The guidance cache: one verified trajectory a prompt, in a folder that can be trusted or is refused.

    folder/guidance.parquet    token ids, behaviour log-probs and text, one row a prompt
    folder/header.json         tokenizer, sampling, guide, verifier, counts, checksum of the table

    cache = GuidanceCache.open("runs/a/guidance")
    cache.check_compatible(tokenizer_hash=..., sampling=..., prompts=..., ...)
    cache.lookup("gsm8k/17")

Not here: how guidance is obtained (`collect`), when it is served (`sources`), whether it is used (`algo`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

from nearfuture.guidance import checks, files
from nearfuture.guidance.checks import Coverage
from nearfuture.guidance.header import CacheHeader, damaged, from_json, to_json
from nearfuture.guidance.table import Entry, TableReader, write_table
from nearfuture.types import Guidance, Sampling, UserError, Verdict


class GuidanceCache:
    """A frozen map from prompt id to guidance, read from disk one row group at a time."""

    def __init__(self, folder: Path, header: CacheHeader, table: TableReader) -> None:
        """Bind the opened parts; use `GuidanceCache.open`."""
        self.folder = folder
        self.header = header
        self._table = table
        self._rows = {prompt_id: row for row, prompt_id in enumerate(table.strings("prompt_id"))}

    @classmethod
    def write(cls, folder: Path | str, header: CacheHeader, entries: Iterable[Entry]) -> Self:
        """Write a cache and open it. What stood there before stays readable until the new one is complete.

        Args:
            folder: where the cache is to lie; an older cache there is replaced.
            header: what the entries mean; the fields about the table are filled in here.
            entries: trajectories with their text, in any order, one a prompt.

        Raises:
            UserError: an entry that cannot be trained on, a prompt with two entries, a folder with other files.
        """
        destination = Path(folder).absolute()
        with files.replacing(destination) as draft:
            table = draft / files.TABLE_NAME
            num_entries = write_table(table, _checked(entries, header))
            size, sha256 = table.stat().st_size, files.sha256_of(table)
            full = replace(header, num_entries=num_entries, num_bytes=size, sha256=sha256)
            files.write_text(draft / files.HEADER_NAME, to_json(full))
        return cls.open(destination)

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Open a cache: read its header and its keys.

        Raises:
            UserError: no cache there, an unknown format version, or damaged bytes.
        """
        home = files.settled(Path(folder).absolute())
        header = _read_header(home)
        path = home / files.TABLE_NAME
        if not path.is_file():
            raise UserError(f"{path} is missing, but its header is there. Restore it from a copy, or collect again.")
        if path.stat().st_size != header.num_bytes:
            raise damaged(str(path), f"{path.stat().st_size} bytes, its header says {header.num_bytes}")
        cache = cls(home, header, TableReader(path))
        if len(cache) != header.num_entries:
            raise damaged(str(path), f"{len(cache)} prompts, its header says {header.num_entries}")
        return cache

    def lookup(self, prompt_id: str) -> Guidance | None:
        """Return the guidance for a prompt, or None.

        Raises:
            UserError: the bytes are not those that were written.
        """
        row = self._rows.get(prompt_id)
        return None if row is None else self._table.entry(row)[0]

    def __len__(self) -> int:
        return len(self._rows)

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
        """How many row groups have been read from the file so far."""
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
        max_completion_length: int,
        verifier_version: str | None,
        require_same_temperature: bool = False,
    ) -> Coverage:
        """Check that this cache may be used by a run; reads every entry once.

        Entries for prompts that are not in the data are counted, not checked: they are never looked up.

        Args:
            tokenizer_hash: of the policy.
            sampling: of the run.
            prompts: prompt id -> prompt hash of the run's data.
            eos_token_ids: the stop tokens of the policy.
            max_completion_length: of the run, in tokens.
            verifier_version: of the run; None where the caller verifies again instead.
            require_same_temperature: True where behaviour log-probs are used as importance weights.

        Raises:
            NoSignalError: the cache is empty.
            UserError: what differs, the rule, the remedy.
        """
        checks.check_header(self.header, tokenizer_hash=tokenizer_hash, verifier_version=verifier_version)
        if require_same_temperature:
            checks.check_temperature(self.header, sampling)
        checks.check_prompts(dict(zip(self._rows, self._table.strings("prompt_hash"), strict=True)), prompts)
        usable = (guidance for guidance in self if guidance.prompt_id in prompts)
        checks.check_entries(usable, eos_token_ids=eos_token_ids, max_completion_length=max_completion_length)
        return checks.coverage(self.header, sampling, self._rows, prompts)

    def verify_again(
        self, judge: Callable[[str, str], Verdict], *, prompt_ids: Collection[str] | None = None
    ) -> dict[str, Verdict]:
        """Verify every entry once more: `judge(prompt_id, text)` must say correct.

        Args:
            judge: the verifier of this run.
            prompt_ids: the prompts it can judge, if not all.

        Returns:
            The verdict of each entry that was judged.

        Raises:
            UserError: entries that are not confirmed, a time-out included.
        """
        verdicts = {
            guidance.prompt_id: judge(guidance.prompt_id, text)
            for guidance, text in self.entries()
            if prompt_ids is None or guidance.prompt_id in prompt_ids
        }
        checks.check_verdicts(verdicts)
        return verdicts

    def summary(self) -> dict[str, Any]:
        """Say what the cache holds, for people; reads every entry once."""
        num_tokens, sum_logps = 0, 0.0
        for guidance in self:
            num_tokens += len(guidance.completion_ids)
            sum_logps += sum(guidance.behavior_logps)
        header = self.header
        return {
            "folder": str(self.folder),
            "guide": asdict(header.guide),
            **asdict(header.counts),
            "coverage_frac": len(self) / max(1, header.counts.num_prompts),
            "mean_length": num_tokens / max(1, len(self)),
            "mean_behavior_logp": sum_logps / max(1, num_tokens),
            "temperature": header.sampling.temperature,
            "tokenizer_hash": header.tokenizer_hash,
            "verifier_version": header.verifier_version,
            "num_bytes": header.num_bytes,
        }

    def close(self) -> None:
        """Close the file; look-ups are over."""
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
    limit = header.sampling.max_completion_length
    for guidance, text in entries:
        checks.check_entries([guidance], eos_token_ids=header.eos_token_ids, max_completion_length=limit)
        yield guidance, text
