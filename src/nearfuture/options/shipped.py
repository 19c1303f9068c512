"""What ships with the code, for users who have only installed the wheel: configurations and documentation.

In a wheel they are inside the package, in a checkout beside `src`; there is only one copy of them.

Not here: reading a configuration (`nearfuture.run.settings.load`), writing one (`nearfuture.run.settings.first`).
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def folder(name: str) -> Path:
    """The location of `configs` or `docs`."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parents[1] / name


def configurations() -> dict[str, Path]:
    """The configurations that ship, by the names that `train` and `compare` take: `apprentice/tiny`."""
    root = folder("configs")
    return {str(path.relative_to(root).with_suffix("")): path for path in sorted(root.rglob("*.yaml"))}


def pages() -> dict[str, Path]:
    """The pages of documentation that ship, by name: `configuration`, `methods/npo`."""
    root = folder("docs")
    return {str(path.relative_to(root).with_suffix("")): path for path in sorted(root.rglob("*.md"))}
