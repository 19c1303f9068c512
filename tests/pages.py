"""Reads a page as a reader would: whether its elements nest, what it loads, what it says."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "link", "br", "hr", "img", "input"}


def unscripted(html: str) -> str:
    """A page as a reader without scripts has it."""
    return re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def asks_nobody(html: str) -> bool:
    """True where nothing is loaded but, while `nearfuture watch` serves it, the page itself."""
    scripts = " ".join(re.findall(r"<script.*?</script>", html, flags=re.DOTALL))
    asked = set(re.findall(r"(?:fetch|import|XMLHttpRequest|WebSocket|EventSource)\((.*?)[,)]", scripts))
    return asked <= {"location.pathname"} and not re.search(r"https?://|@import|url\((?!#)", unscripted(html))


class Page(HTMLParser):
    """Checks that elements nest, and collects what a test wants to see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.labels: list[str] = []
        self.scripts: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given_attrs = dict(attrs)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "srcset")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag == "svg":
            assert given_attrs.get("aria-label") or given_attrs.get("aria-hidden") == "true"
            self.labels.append(given_attrs.get("aria-label") or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        else:
            self.words.append(data)

    @property
    def data(self) -> dict[str, Any]:
        """What the scripts read."""
        return next(json.loads(script) for script in self.scripts if script.startswith("{"))

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\N{NARROW NO-BREAK SPACE}", " ").split())
