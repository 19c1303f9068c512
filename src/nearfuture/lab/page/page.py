"""A page as a value: a title, sections, and in them texts, lists, tables and figures. One template, one style.

    Page("report", "npo", command, [Text(sentences, "lead")], [Section("Curves", [Figure(drawing)])]).write(path)

It opens without a network or an account. A block is one of the classes below, or a paragraph as a plain `str`; text is
escaped unless it is `Markup`. What is empty (no rows, no drawing, no block) is left out, so callers need not ask.

Not here: tables (`table`), drawings (`svg`, `charts`), the template (`page.html.j2`), colours (`style.css`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nearfuture.lab.page.table import Table
from nearfuture.record.records import RunRecords
from nearfuture.record.writing import write_whole

HERE = Path(__file__).parent


class _Holder:
    """What is empty where all its blocks are."""

    __slots__ = ()
    blocks: Sequence[Block]

    def __bool__(self) -> bool:
        return any(self.blocks)


@dataclass(frozen=True, slots=True)
class Text:
    """Paragraphs of one look: `lead`, `aside`, `reading` (beside a figure), `caution`, `told` or `where`."""

    kind: ClassVar = "text"
    sentences: Sequence[str]
    look: str = ""

    def __bool__(self) -> bool:
        return any(self.sentences)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading inside a section."""

    kind: ClassVar = "heading"
    words: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list; as a `legend`, the keys of a figure."""

    kind: ClassVar = "items"
    items: Sequence[str]
    look: str = "clauses"

    def __bool__(self) -> bool:
        return bool(self.items)


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing (`svg.drawing`) with its caption; `note` follows the name in a lighter hand."""

    kind: ClassVar = "figure"
    drawing: str | None
    name: str = ""
    note: str = ""
    look: str = ""
    legend: Items | None = None

    def __bool__(self) -> bool:
        return bool(self.drawing)


@dataclass(frozen=True, slots=True)
class Quote:
    """What a policy was asked or wrote, as it stands; `who` wrote it and the verifier's `mark` are its caption."""

    kind: ClassVar = "quote"
    text: str
    who: str = ""
    mark: str = ""
    verdict: str = ""
    look: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A small copy of an image, as a data URI, and what it shows in words."""

    kind: ClassVar = "picture"
    data: str
    words: str
    is_small: bool


@dataclass(frozen=True, slots=True)
class Group(_Holder):
    """Blocks set out together: as a `pair`, a `triple`, `side-by-side`, `beside` each other, `pictures`, a `sample`."""

    kind: ClassVar = "group"
    blocks: Sequence[Block]
    look: str = "pair"


@dataclass(frozen=True, slots=True)
class Folded(_Holder):
    """Blocks that a reader opens."""

    kind: ClassVar = "folded"
    summary: str
    blocks: Sequence[Block]


Block = str | Text | Heading | Items | Table | Figure | Quote | Picture | Group | Folded | None


@dataclass(frozen=True, slots=True)
class Section(_Holder):
    """A part of a page under a heading of its own."""

    title: str
    blocks: Sequence[Block]

    @property
    def id(self) -> str:
        """What a link to it ends with."""
        return re.sub(r"\W+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Attributes:
        kind: of the page: `report`, `explain`, `comparison`, `evaluation`, `signal`.
        title: its headline.
        command: what the user typed, for the footer.
        head: what precedes the sections.
        sections: in their order.
        runs: the runs it is about, for the footer.
    """

    kind: str
    title: str
    command: str
    head: Sequence[Block]
    sections: Sequence[Section]
    runs: Sequence[RunRecords] = ()

    def html(self) -> str:
        """The page as text."""
        loader = FileSystemLoader(HERE)
        environment = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        return environment.get_template("page.html.j2").render(
            page=self,
            style=Markup((HERE / "style.css").read_text()),
            versions=_versions(self.runs),
            written=datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0"),
        )

    def write(self, path: Path) -> Path:
        """Write the page, whole or not at all, and return its path."""
        write_whole(path, self.html())
        return path


def titled(words: str, blocks: Iterable[Block]) -> list[Block]:
    """Blocks under a heading; nothing where there are none."""
    found = [block for block in blocks if block]
    return [Heading(words), *found] if found else []


def _versions(runs: Sequence[RunRecords]) -> list[str]:
    try:
        own = metadata.version("nearfuture")
    except metadata.PackageNotFoundError:
        own = "from source"
    lines = [f"nearfuture {own} wrote this page"]
    for run in runs:
        packages = run.env.get("versions") or {}
        parts = [f"Python {run.env['python']}"] if "python" in run.env else []
        parts += [f"{name} {version}" for name, version in packages.items() if version]
        parts += [f"git {run.env['git']}"] if run.env.get("git") else []
        lines.append(f"{run.name}: {', '.join(parts) or 'no env.json'}")
    return lines
