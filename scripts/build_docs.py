"""Builds the documentation site from what lies in the repository: `make docs`, without a network.

    python scripts/build_docs.py            # build/site/index.html

The pages are the repository's own Markdown files, each at its own place, so that a link works on the site as it does in
the repository; a file that a page links to (a configuration, a script, a table of results) is copied beside it. The
reference comes from the docstrings of the public names. Formulas become MathML here, which a browser draws without a
script. mkdocs then checks every link and every anchor; one that leads nowhere fails the build.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from latex2mathml.converter import convert

ROOT = Path(__file__).resolve().parent.parent
STAGE = ROOT / "build" / "docs"
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"(```.*?```|`[^`\n]+`|^    [^\n]*$)", re.DOTALL | re.MULTILINE)
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", re.DOTALL)


def main() -> int:
    """Gather, and build; the exit code of mkdocs."""
    shutil.rmtree(STAGE, ignore_errors=True)
    pages = [path for pattern in ("*.md", "docs/**/*.md") for path in ROOT.glob(pattern)]
    seen: set[Path] = set()
    while pages:
        page = pages.pop()
        if page not in seen:
            seen.add(page)
            pages += [other for other in copy(page) if other.suffix == ".md"]
    write_reference()
    command = [sys.executable, "-m", "mkdocs", "build", "--config-file", str(ROOT / "mkdocs.yml")]
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, check=False).returncode


def copy(page: Path) -> Iterator[Path]:
    """Put a page into the stage with the files it links to; the Markdown files among these."""
    text = page.read_text()
    write(page, with_formulas(text))
    for link in LINK.findall(CODE.sub("", text)):
        target = (page.parent / urlsplit(link).path).resolve()
        if urlsplit(link).scheme or not urlsplit(link).path or not target.is_file():
            continue
        if target.suffix != ".md":
            (STAGE / target.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(target, STAGE / target.relative_to(ROOT))
        yield target


def write(page: Path, text: str) -> None:
    """Write a page at its place in the stage."""
    place = STAGE / page.relative_to(ROOT)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def with_formulas(text: str) -> str:
    """Formulas as MathML; code is left as it is."""
    parts = CODE.split(text)
    return "".join(part if i % 2 else FORMULA.sub(_mathml, part) for i, part in enumerate(parts))


def _mathml(found: re.Match[str]) -> str:
    block, inline = found.groups()
    return f'\n<div style="overflow-x: auto">{convert(block, display="block")}</div>\n' if block else convert(inline)


def write_reference() -> None:
    """A page per home of public names, and one that lists them; read from the source, so that no torch is needed."""
    lines = ["# Reference", "", "Every public name, from its docstring.", ""]
    for home, names in homes().items():
        place = f"{home.rpartition('.')[2]}.md"
        lines += [f"* [{home}]({place}): {', '.join(f'`{name}`' for name in names)}"]
        write(ROOT / "reference" / place, "\n\n".join([f"# {home}", *(f"::: {home}.{name}" for name in names)]) + "\n")
    write(ROOT / "reference" / "index.md", "\n".join(lines) + "\n")


def homes() -> dict[str, tuple[str, ...]]:
    """The public names by the module that the package takes them from."""
    tree = ast.parse((ROOT / "src/nearfuture/__init__.py").read_text())
    found = [node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets) == "_HOMES"]
    return ast.literal_eval(found[0])


if __name__ == "__main__":
    sys.exit(main())
