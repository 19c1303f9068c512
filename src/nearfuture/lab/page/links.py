"""Links between pages that belong together, such as those of a run or a study, whenever each was written.

    RUN/report/*.html, RUN/evaluation/*.html     the pages of a run
    STUDY/report/*.html, STUDY/*/report/*.html   those of a study and of its runs
    anywhere else                                the pages in one folder

A new page lists the others, and their own lists are rewritten.

Not here: the list of a page's own sections (`page.html.j2`).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path

from nearfuture.record.writing import write_whole

FOLDERS = ("report", "evaluation")
MARK = '<meta name="generator" content="nearfuture">'
HEAD = 4096
"""Characters at the start of a page that contain its marker and its title."""
TITLE = re.compile(r"<title>(.*?)</title>", re.S)
NAV = re.compile(r'<details class="pages">.*?</details>\n|(?=<ul class="contents">)', re.S)
MANY = 8


def nav(path: Path, label: str) -> str:
    """The list of pages that a page shows: itself and the others; empty if it is the only one."""
    others = {other: title for other in neighbours(path) if (title := title_of(other))}
    if not others:
        return ""
    listed = sorted({**others, path: label}.items(), key=lambda item: (len(item[0].parts), str(item[0])))
    items = [_item(path, other, title) for other, title in listed]
    return f'<details class="pages"><summary>{len(items)} pages</summary><ul>{"".join(items)}</ul></details>'


def _item(path: Path, other: Path, title: str) -> str:
    words = escape(title.replace(" · nearfuture ", " · "))
    if other == path:
        return f'<li aria-current="page">{words}</li>'
    return f'<li><a href="{escape(os.path.relpath(other, path.parent))}">{words}</a></li>'


def join(path: Path) -> None:
    """Rewrite the lists of the pages around one, if they changed and may be written."""
    for other in neighbours(path):
        if label := title_of(other):
            with contextlib.suppress(OSError, UnicodeDecodeError):  # somebody else's page: all it lacks is a link
                _relist(other, label)


def _relist(page: Path, label: str) -> None:
    before = page.read_text("utf-8")
    listed = f"{nav(page, label)}\n".lstrip("\n")
    place = NAV.search(before)
    after = f"{before[: place.start()]}{listed}{before[place.end() :]}" if place else before
    if after != before:
        write_whole(page, after)


def neighbours(path: Path) -> list[Path]:
    """The files near a page that may be pages belonging to it."""
    if path.exists() and not path.is_file():
        return []  # a device or a pipe
    return sorted({found for found in _around(path) if found != path and found.is_file()})


def _around(path: Path) -> Iterator[Path]:
    yield from path.parent.glob("*.html")
    if path.parent.name not in FOLDERS:
        return
    root = path.parent.parent
    for folder in FOLDERS:
        yield from (root / folder).glob("*.html")
        yield from (root.parent / folder).glob("*.html")
        yield from root.glob(f"*/{folder}/*.html")


def title_of(path: Path) -> str:
    """The title of a page; empty for a file that is not one of our pages, or cannot be read."""
    try:
        with path.open(encoding="utf-8") as file:
            head = file.read(HEAD)
    except (OSError, UnicodeDecodeError):
        return ""
    found = TITLE.search(head)
    return unescape(found[1]) if MARK in head and found else ""
