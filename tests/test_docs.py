"""The docs describe what is there: every setting, every metric, every command."""

from __future__ import annotations

import ast
import dataclasses
import re
from functools import cache
from pathlib import Path

import pytest
from test_layers import ROOMS
from tiny import guidance_for, npo
from trl import GRPOConfig

import nearfuture
from nearfuture.method.trigger_config import TriggerConfig
from nearfuture.run.settings.config import AutoNPOConfig, RunConfig
from nearfuture.tasks.data import SOURCES, DataConfig
from nearfuture.train import NPOConfig

DOCS = Path(__file__).parent.parent / "docs"
ROOT = DOCS.parent
README = ROOT / "README.md"
PACKAGE = Path(nearfuture.__file__).parent
FOLDERS = ("src", "tests", "tests_engines", "examples", "measurements", "scripts", "integrations", "recipes", "configs")
TEXTS = sorted(
    path
    for folder in (*FOLDERS, "docs")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".md", ".yaml", ".sh", ".j2") and path != Path(__file__)
)
TEXTS += [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "pyproject.toml")]
LOG = DOCS / "log.md"
"""Its old entries name what was there at the time."""


def test_every_setting_is_documented() -> None:
    text = (DOCS / "configuration.md").read_text()
    ours = {f.name for f in dataclasses.fields(NPOConfig)} - {f.name for f in dataclasses.fields(GRPOConfig)}
    kinds = (RunConfig, DataConfig, AutoNPOConfig, TriggerConfig)
    ours |= {f.name for kind in kinds for f in dataclasses.fields(kind)} - {"trigger"}
    for name in ours:
        assert f"`{name}`" in text, name


def test_every_data_set_is_documented() -> None:
    text = (DOCS / "data.md").read_text()
    for name, source in SOURCES.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        assert source.repo in row and f"{source.num_rows:,}" in row


def test_every_metric_we_log_is_documented(tmp_path: Path) -> None:
    text = (DOCS / "metrics.md").read_text()
    trainer = npo(tmp_path, max_pass_rate=1.0)
    trainer.set_guidance(guidance_for(trainer, tmp_path / "guidance"))
    trainer.train()
    logged = {key for row in trainer.state.log_history for key in row}
    ours = {key for key in logged if key.startswith(("npo/", "mix_policy/"))}
    assert "npo/guide/kl_k3" in ours
    for name in ours:
        assert f"`{name}`" in text, name


@pytest.mark.parametrize(
    "path", [README, ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))], ids=lambda path: path.name
)
def test_links_exist(path: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#?([^)#:]*)\)", path.read_text()):
        place = path.parent / target if target else path
        assert place.exists(), target
        assert not anchor or anchor in headings(place), (target, anchor)


def headings(path: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    found = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in found}


def test_every_path_that_is_named_exists() -> None:
    path = re.compile(rf"\b((?:{'|'.join((*FOLDERS, 'docs'))})/[\w./-]+\.(?:md|py|yaml|csv|txt|jsonl?|sh))\b")
    named = [(text, name) for text in TEXTS if text != LOG for name in path.findall(text.read_text())]
    assert [(text.name, name) for text, name in named if not (ROOT / name).exists()] == []


def test_make_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE).group(1).split()
    assert phony == [name for name in phony if re.search(rf"^{name}:.*## \w", text, re.MULTILINE)]


@cache
def names_in(path: Path) -> set[str]:
    """Functions, classes, variables and imports of a file."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    defined = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    imported = {node.asname or node.name for node in nodes if isinstance(node, ast.alias)}
    return defined | imported | {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def is_there(dotted: str) -> bool:
    """True where a name below `nearfuture` is a room, a file, or something in a file."""
    place = PACKAGE
    for part in dotted.split("."):
        if place.suffix == ".py":
            return part in names_in(place)
        if (place / part).is_dir():
            place = place / part
        elif (place / f"{part}.py").exists():
            place = place / f"{part}.py"
        else:
            return (place / "__init__.py").exists() and part in names_in(place / "__init__.py")
    return True


def test_every_file_that_contributors_are_sent_to_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text() + (DOCS / "design.md").read_text()
    rooms = "|".join(path.name for path in PACKAGE.iterdir() if path.is_dir())
    named = re.findall(rf"(?<![\w/])((?:{rooms})/[\w/]*(?:\.py)?)(?![\w./])", text)
    assert len(named) > 30
    assert [name for name in named if not (PACKAGE / name).exists()] == []


def test_every_room_is_drawn() -> None:
    text = (DOCS / "design.md").read_text()
    rooms = [room for rooms in ROOMS for room in rooms if (PACKAGE / room).is_dir()]
    assert [room for room in rooms if f"`{room}/`" not in text] == []


def test_every_module_and_function_that_is_named_exists() -> None:
    rooms = "|".join(path.name for path in PACKAGE.iterdir() if path.is_dir())
    in_code, in_docs = re.compile(r"\bnearfuture\.([a-z]\w+(?:\.\w+)*)"), re.compile(rf"`((?:{rooms})\.\w+\.\w+)")
    named = [(text, name) for text in TEXTS if text != LOG for name in in_code.findall(text.read_text())]
    named += [(text, name) for text in DOCS.rglob("*.md") if text != LOG for name in in_docs.findall(text.read_text())]
    assert [(text.name, name) for text, name in named if not is_there(name)] == []


def test_every_file_says_what_is_not_in_it_and_the_neighbours_exist() -> None:
    missing, unknown = [], []
    for path in PACKAGE.rglob("*.py"):
        doc = ast.get_docstring(ast.parse(path.read_text())) or ""
        place = path.relative_to(PACKAGE).parts[:-1]
        if path.name not in ("__init__.py", "__main__.py") and "Not here:" not in doc:
            missing.append(path.name)
        lists = re.findall(r"\(((?:`[^`]+`(?:, )?)+)\)", doc.partition("Not here:")[2])
        named = [name for one in lists for name in re.findall(r"`([a-z]\w*(?:\.\w+)*)`", one)]
        named = [name for name in named if not name.endswith((".j2", ".css"))]
        rooms = [".".join((*place[:depth], "")) for depth in range(len(place) + 1)]
        files = [
            name for name in named if not name.startswith("nearfuture") and (ROOT / "tests" / f"{name}.py") not in TEXTS
        ]
        unknown += [(path.name, name) for name in files if not any(is_there(room + name) for room in rooms)]
    assert missing == []
    assert unknown == []


def test_code_cites_sections_that_exist() -> None:
    page = (DOCS / "methods" / "reconstruction.md").read_text()
    sections = set(re.findall(r"^#+ (\d(?:\.\d)?) ", page, re.MULTILINE))
    cited = {(text, at) for text in TEXTS for at in re.findall(r"reconstruction\.md\s+(\d(?:\.\d)?)", text.read_text())}
    assert len(cited) > 10
    assert [(text.name, at) for text, at in cited if at not in sections] == []
    assert [text.name for text in TEXTS if re.search(r"\bMETHOD('s)?\s+\d", text.read_text())] == []
