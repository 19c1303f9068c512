"""The frame that all pages share: template, style, and the footer that says what was run and with what.

Not here: what a page holds (`page`, `explanation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nearfuture.record.records import RunRecords

HERE = Path(__file__).parent


def render_page(
    template: str, kind: str, title: str, runs: Sequence[RunRecords], command: str, content: dict[str, Any]
) -> str:
    """Fill a template.

    Args:
        template: its name; it extends `base.html.j2`.
        kind: of the page, for its title and head.
        title: its headline.
        runs: the runs it is about, for the footer.
        command: what the user typed, for the footer.
        content: what the template asks for.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    frame = {
        "kind": kind,
        "title": title,
        "style": Markup((HERE / "style.css").read_text()),
        "command": command,
        "versions": _versions(runs),
        "written": datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0"),
    }
    return environment.get_template(template).render(frame | content)


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
