"""A page as a value: a title and sections with texts, lists, tables and figures. One template, one style.

    Page("report", "npo", command, [Text(sentences, "lead")], [Section("Curves", [Figure(drawing)])]).write(path)

It opens without a network or an account and can be read without scripts; with scripts its plots and samples are
interactive. A block is one of the classes below, or a paragraph as a plain `str`; text is escaped unless it is
`Markup`. An empty block (no rows, no drawing, no inner block) is left out, so callers need not check.

Not here: tables (`table`), drawings (`svg`, `charts`), interactive figures (`plot`, `scripts/`), links between pages
(`links`), the template (`page.html.j2`), colours (`style.css`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nearfuture.lab.page import links
from nearfuture.lab.page.plot import PageData, Plot, Still
from nearfuture.lab.page.table import Table
from nearfuture.record.records import RunRecords
from nearfuture.record.writing import write_whole

HERE = Path(__file__).parent
UPLOT = "uplot-1.6.32.min"
"""The library that draws plots, as published; its licence is beside it."""
SCRIPTS = (f"{UPLOT}.js", "core.js", "figure.js", "toolbar.js", "samples.js", "start.js")
STYLES = (f"scripts/{UPLOT}.css", "style.css", "scripts/handled.css")


class _Holder:
    """A holder of blocks, which is empty if all its blocks are."""

    __slots__ = ()
    blocks: Sequence[Block]

    def __bool__(self) -> bool:
        return any(self.blocks)


@dataclass(frozen=True, slots=True)
class Text:
    """Paragraphs with one look: `lead`, `aside`, `reading` (beside a figure), `caution`, `told` or `where`."""

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
    """A list, or the keys of a figure if it is a `legend`."""

    kind: ClassVar = "items"
    items: Sequence[str]
    look: str = "clauses"

    def __bool__(self) -> bool:
        return bool(self.items)


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing (`svg.drawing`) with its caption; `note` follows the name in lighter text."""

    kind: ClassVar = "figure"
    drawing: str | None
    name: str = ""
    note: str = ""
    look: str = ""
    legend: Items | None = None

    def __bool__(self) -> bool:
        return bool(self.drawing)


@dataclass(frozen=True, slots=True)
class Plotted:
    """Interactive curves (`plot`), and their static drawing for readers without scripts."""

    kind: ClassVar = "plot"
    plot: Plot
    still: Still

    def __bool__(self) -> bool:
        return bool(self.plot)


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples that can be searched and filtered, and the few that readers without scripts see."""

    kind: ClassVar = "samples"
    name: str
    rows: Sequence[Mapping[str, Any]]
    still: Sequence[Block]

    def __bool__(self) -> bool:
        return bool(self.rows)


@dataclass(frozen=True, slots=True)
class Quote:
    """What a policy was asked or wrote, verbatim; `who` wrote it and the verifier's `mark` are its caption."""

    kind: ClassVar = "quote"
    text: str
    who: str = ""
    mark: str = ""
    verdict: str = ""
    look: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A small copy of an image, as a data URI, with a description."""

    kind: ClassVar = "picture"
    data: str
    words: str
    is_small: bool


@dataclass(frozen=True, slots=True)
class Group(_Holder):
    """Blocks laid out together: a `pair`, a `triple`, `side-by-side`, `beside` each other, `pictures`, a `sample`."""

    kind: ClassVar = "group"
    blocks: Sequence[Block]
    look: str = "pair"


@dataclass(frozen=True, slots=True)
class Folded(_Holder):
    """Blocks that are hidden until a reader opens them."""

    kind: ClassVar = "folded"
    summary: str
    blocks: Sequence[Block]


Block = str | Text | Heading | Items | Table | Figure | Plotted | Samples | Quote | Picture | Group | Folded | None


@dataclass(frozen=True, slots=True)
class Section(_Holder):
    """A part of a page under its own heading."""

    title: str
    blocks: Sequence[Block]

    @property
    def id(self) -> str:
        """The anchor that a link to it ends with."""
        return re.sub(r"\W+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Attributes:
        kind: the kind of page: `report`, `explain`, `comparison`, `evaluation`, `signal`.
        title: its headline.
        command: what the user typed, for the footer.
        head: the blocks before the sections.
        sections: the sections in order.
        runs: the runs it is about, for the footer.
    """

    kind: str
    title: str
    command: str
    head: Sequence[Block]
    sections: Sequence[Section]
    runs: Sequence[RunRecords] = ()

    def html(self, pages: str = "", live: Live | None = None) -> str:
        """The page as text.

        Args:
            pages: links to other pages (`links.nav`).
            live: set if the page is served while a run goes on: it polls for news, and has no static drawings for
                readers without scripts.
        """
        loader = FileSystemLoader(HERE)
        environment = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        return environment.get_template("page.html.j2").render(
            page=self,
            pages=Markup(pages),
            live=live,
            data=PageData(),
            style=_joined(STYLES),
            scripts=_joined(tuple(f"scripts/{name}" for name in SCRIPTS)),
            versions=_versions(self.runs),
            written=datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0"),
        )

    def write(self, path: Path) -> Path:
        """Write the page atomically, link the pages around it to it, and return its path."""
        write_whole(path, self.html(links.nav(path, self.label)))
        links.join(path)
        return path

    @property
    def label(self) -> str:
        """The text of a link to it."""
        return f"{self.title} · nearfuture {self.kind}"


@dataclass(frozen=True, slots=True)
class Live:
    """A page that polls for news every `seconds` seconds; `version` identifies the current one."""

    seconds: float
    version: str


def _joined(names: Sequence[str]) -> Markup:
    return Markup("\n".join((HERE / name).read_text("utf-8") for name in names))


def titled(words: str, blocks: Iterable[Block]) -> list[Block]:
    """Blocks under a heading; nothing if there are no blocks."""
    found = [block for block in blocks if block]
    return [Heading(words), *found] if found else []


def _versions(runs: Sequence[RunRecords]) -> list[str]:
    try:
        own = metadata.version("nearfuture")
    except metadata.PackageNotFoundError:
        own = "from source"
    lines = [f"nearfuture {own} wrote this page"]
    for run in runs:
        found = run.env.get("versions")
        packages = found if isinstance(found, dict) else {}
        parts = [f"Python {run.env['python']}"] if "python" in run.env else []
        parts += [f"{name} {version}" for name, version in packages.items() if version]
        parts += [f"git {run.env['git']}"] if run.env.get("git") else []
        lines.append(f"{run.name}: {', '.join(parts) or 'no env.json'}")
    return lines
