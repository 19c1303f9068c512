"""Does every `pip install` that this project documents have a solution? Each is resolved against the registry by uv.

    make test-installs

Lines that stand together make one environment. Nothing is installed: a resolution reads what packages say they need.

Not here: whether what was resolved works (`make test`, `make test-vllm`, `make test-distributed`); what of this can be
checked without a network (`tests/test_installs.py`).
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PATTERNS = (
    *("*.md", "docs/**/*.md", "integrations/**/*", "measurements/**/*.py", "recipes/*", "src/**/*.py", "scripts/*.py"),
    *("examples/**/*", "configs/**/*", "tests_engines/*", "Makefile"),
)
PYTHON = "3.11"
APART = {"eval"}  # integrations/lmms_eval/README.md says why
UNPINNED = {"trackio"}  # trackio 0.43 wants pillow below 13: documented, and resolved here, without constraints.txt
COMMAND = re.compile(r"(?:-m )?\bpip install ([^`\"#\n]+)")


@dataclass(frozen=True)
class Install:
    """One documented line.

    Attributes:
        file: relative to the project.
        line: its number.
        requirements: packages, folders and files of requirements that it asks for.
        constraints: files that bound them.
        follows: False where it brings all it needs (`--no-deps`).
    """

    file: str
    line: int
    requirements: tuple[str, ...]
    constraints: tuple[str, ...]
    follows: bool


def find_installs(root: Path = ROOT) -> list[Install]:
    """Every line of the project that tells somebody to install something with pip."""
    paths = sorted({path for pattern in PATTERNS for path in root.glob(pattern) if path.is_file()})
    found = []
    for path in paths:
        for number, text in enumerate(path.read_text().splitlines(), 1):
            match = COMMAND.search(text)
            if match is not None and "{" not in match.group(1):  # a message that fills in what is missing
                found.append(_read(str(path.relative_to(root)), number, match.group(1)))
    return found


def _read(file: str, line: int, arguments: str) -> Install:
    """Take the arguments of pip apart."""
    words = iter(shlex.split(arguments))
    requirements, constraints, follows = [], [], True
    for word in words:
        if word in ("-c", "--constraint"):
            constraints.append(next(words))
        elif word in ("-r", "--requirement"):
            requirements.append(f"-r {next(words)}")
        elif word == "--no-deps":
            follows = False
        elif not word.startswith("-"):
            requirements.append(word)
    return Install(file, line, tuple(requirements), tuple(constraints), follows)


def environments(installs: list[Install]) -> list[list[Install]]:
    """Lines that stand together make one environment; one that brings all it needs is resolved alone."""
    groups: list[list[Install]] = []
    for install in installs:
        last = groups[-1][-1] if groups else None
        stands_below = last is not None and last.file == install.file and install.line == last.line + 1
        if last is not None and stands_below and last.follows and install.follows:
            groups[-1].append(install)
        else:
            groups.append([install])
    return groups


def resolve(lines: list[Install], root: Path = ROOT) -> str | None:
    """What uv says against an environment; None: it has a solution."""
    command = ["uv", "pip", "compile", "--quiet", "--no-config", "--python-version", PYTHON]
    command += ["--python-platform", "x86_64-manylinux_2_28"]
    for name in sorted({name for line in lines for name in line.constraints}):
        command += ["--constraint", name]
    if not lines[0].follows:
        command.append("--no-deps")
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch) / "requirements.in"
        wanted.write_text("\n".join(_absolute(name, root) for line in lines for name in line.requirements))
        command += [str(wanted), "--output-file", str(Path(scratch) / "requirements.txt")]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stderr


def _absolute(requirement: str, root: Path) -> str:
    """A path as uv reads it from a file that lies elsewhere."""
    if requirement.startswith("-r "):
        return f"-r {root / requirement.removeprefix('-r ')}"
    if requirement.startswith("."):
        return f"nearfuture{requirement.removeprefix('.')} @ {root.as_uri()}"
    return requirement


def extras(root: Path = ROOT) -> list[Install]:
    """Each extra on the tested set of packages, and all at once that can live together: vLLM and verifiers cannot."""
    names = set(tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]) - APART
    pinned = names - UNPINNED
    asked = [*sorted(pinned), *(",".join(sorted(pinned - {other})) for other in ("vllm", "verifiers"))]
    return [
        *(Install("pyproject.toml", 0, (f".[{name}]",), ("constraints.txt",), True) for name in asked),
        *(Install("pyproject.toml", 0, (f".[{name}]",), (), True) for name in sorted(UNPINNED)),
    ]


def main() -> int:
    """Resolve everything, say what has no solution."""
    failed = 0
    for lines in [*environments(find_installs()), *([one] for one in extras())]:
        asked = " + ".join(" ".join(line.requirements) for line in lines)
        against = resolve(lines)
        failed += against is not None
        print(f"{'no solution' if against else 'resolved':12} {lines[0].file}:{lines[0].line}  {asked}", flush=True)
        if against:
            print(against)
    return failed


if __name__ == "__main__":
    sys.exit(main())
