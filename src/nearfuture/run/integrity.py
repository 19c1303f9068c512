"""Check that everything in a run folder is as it was written, and name the files that are not.

    lineage, configuration, environment, data, ledger    sealed objects
    metrics, events, samples, responses                  sealed rows
    checkpoints, final policy                            sizes and digests in their markers
    guidance                                             header, and the digest of its table

A run from before seals existed need not have any; those it has are checked. Pages and tables of a report are not
checked, since they can be written again.

Not here: continuing without what is damaged (`executor`, `origin`), caches alone (`nearfuture guide verify`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nearfuture import seal
from nearfuture.guidance.files import HEADER_NAME
from nearfuture.guidance.journal import JOURNAL_NAME
from nearfuture.guidance.journal import damage as journal_damage
from nearfuture.json_text import loads
from nearfuture.method.lineage import COPY, Lineage
from nearfuture.record.reading import read_rows
from nearfuture.record.records import LOGS
from nearfuture.run.origin import DATA
from nearfuture.run.whole import damage_of
from nearfuture.train import checkpoint
from nearfuture.types import UserError

OBJECTS = ("config.yaml", "env.json", DATA)
"""Sealed objects that every run has from the start."""
LATER = ("ledger.json", "test.json")


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that is not as it was written."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def damages(run: Path, *, with_weights: bool = True) -> list[Damage]:
    """Check a run folder.

    Args:
        run: the folder.
        with_weights: also read every byte of checkpoints and caches; otherwise only their markers and headers.

    Raises:
        UserError: it is not a run folder, or neither copy of its lineage can be used.
    """
    lineage = Lineage.read(run / "lineage.json")
    found = [*_lineages(run), *_objects(run, is_sealed=lineage.origin is not None)]
    found += _rows(run, is_sealed=lineage.origin is not None)
    for folder in _checkpoints(run):
        try:
            checkpoint.verified(folder) if with_weights else checkpoint.read_state(folder)
        except UserError as error:
            found.append(Damage(str(folder.relative_to(run)), str(error)))
    return [*found, *_caches(run, with_tables=with_weights)]


def _lineages(run: Path) -> Iterator[Damage]:
    for name in ("lineage.json", COPY):
        try:
            Lineage.read_alone(run / name)
        except UserError as error:
            if name != COPY or (run / name).exists():
                yield Damage(name, str(error))


def _objects(run: Path, *, is_sealed: bool) -> Iterator[Damage]:
    for name in (*OBJECTS, *LATER, *_names(run, "evaluation/**/responses/**/*.json")):
        path = run / name
        if not path.exists():
            if is_sealed and name in OBJECTS:
                yield Damage(name, "missing")
            continue
        state = seal.state(path.read_bytes())
        if state == "damaged" or (state == "unsealed" and is_sealed and name != "test.json"):
            yield Damage(name, "not as it was written")


def _rows(run: Path, *, is_sealed: bool) -> Iterator[Damage]:
    for name, required in LOGS.items():
        path = run / f"{name}.jsonl"
        if numbers := read_rows(path, required, is_sealed=is_sealed).damaged:
            yield Damage(path.name, f"not as it was written: {_lines(numbers)}")
    for name in _names(run, "evaluation/**/responses/**/*.jsonl"):
        required = "answers" if name.endswith(".part.jsonl") else "uid"
        if numbers := read_rows(run / name, required, is_sealed=_has_seals(run / name)).damaged:
            yield Damage(name, f"not as it was written: {_lines(numbers)}")


def _has_seals(path: Path) -> bool:
    """True if the protocol beside a file of responses says that its rows are sealed."""
    head = path.with_name(f"{path.name.removesuffix('.jsonl').removesuffix('.part')}.json")
    try:
        return bool(loads(head.read_bytes()).get("is_sealed"))
    except (OSError, ValueError, AttributeError):
        return False


def _checkpoints(run: Path) -> list[Path]:
    """Find folders with a marker, wherever they are."""
    return sorted(path.parent for path in run.rglob(checkpoint.MARKER))


def _caches(run: Path, *, with_tables: bool) -> Iterator[Damage]:
    for path in sorted(run.rglob(HEADER_NAME)):
        if what := damage_of(path.parent, with_table=with_tables):
            yield Damage(str(path.parent.relative_to(run)), what)
    for path in sorted(run.rglob(JOURNAL_NAME)):
        if what := journal_damage(path):
            yield Damage(str(path.relative_to(run)), what)


def _names(run: Path, pattern: str) -> list[str]:
    return sorted(str(path.relative_to(run)) for path in run.glob(pattern))


def _lines(numbers: list[int]) -> str:
    return f"line{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
