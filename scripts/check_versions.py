"""The oldest and the newest set of packages that pyproject.toml admits: do they install, does a slice of tests pass?

    make test-versions                                     # both, with PyTorch's builds for a CPU
    make test-versions TORCH_BACKEND=                      # with the builds of the package index: gigabytes on Linux
    python scripts/check_versions.py oldest --torch 2.13.0 # this torch in place of the oldest

Each set has an environment of its own, `.venv-versions/oldest` and `newest`. A torch of the right version that is there
stays as it is, whatever it was built for.

Not here: the set that everything else is tested with (`constraints.txt`), whether documented lines resolve
(`resolve_installs`).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".venv-versions"
PYTHON = "3.11"
RESOLUTIONS = {"oldest": "lowest-direct", "newest": "highest"}
ONLY_FOR_TORCH = re.compile(r"torch|triton|nvidia-.*|cuda-.*|setuptools")
SLICE = (
    *("test_seams", "test_drop_in", "test_exact", "test_trainer_laws", "test_generation", "test_adapters"),
    *("test_vision", "test_two_processes", "test_cache", "test_evaluate", "test_report", "test_resources"),
)
"""Where the project touches its hosts: TRL's methods, transformers' loop, peft, accelerate, parquet, pages."""


def resolve(end: str, torch: str | None, backend: str) -> dict[str, str]:
    """The set of packages at one end of the ranges: name -> version."""
    wanted = HOME / f"{end}.txt"
    command = ["uv", "pip", "compile", "--quiet", "--no-config", "--python-version", PYTHON, "pyproject.toml"]
    command += ["--extra", "dev", "--resolution", RESOLUTIONS[end], "--no-annotate", "--no-header", "-o", str(wanted)]
    command += ["--torch-backend", backend] if backend else []
    if torch:
        overrides = HOME / "torch.txt"
        overrides.write_text(f"torch=={torch}\n")
        command += ["--overrides", str(overrides)]
    subprocess.run(command, cwd=ROOT, check=True)
    lines = [line.strip() for line in wanted.read_text().splitlines()]
    return dict(line.split("==", 1) for line in lines if "==" in line and not line.startswith("#"))


def install(end: str, packages: dict[str, str], backend: str) -> Path:
    """Put a set into its environment; its interpreter."""
    python = HOME / end / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "--quiet", "--python", PYTHON, str(HOME / end)], check=True)
    into = ["uv", "pip", "install", "--quiet", "--python", str(python)]
    if _torch_in(python) != packages["torch"].partition("+")[0]:
        subprocess.run(
            [*into, f"torch=={packages['torch']}", *(["--torch-backend", backend] if backend else [])], check=True
        )
    rest = [f"{name}=={version}" for name, version in packages.items() if not ONLY_FOR_TORCH.fullmatch(name)]
    subprocess.run([*into, "--no-deps", *rest, "--editable", str(ROOT)], check=True)
    return python


def _torch_in(python: Path) -> str | None:
    said = "from importlib.metadata import version; print(version('torch').partition('+')[0])"
    done = subprocess.run([str(python), "-c", said], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def run_slice(python: Path, files: tuple[str, ...]) -> int:
    """The exit code of pytest."""
    command = [str(python), "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "--override-ini", "addopts="]
    command += [f"tests/{name}.py" for name in files]
    # warnings of old releases are theirs
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False).returncode


def main() -> int:
    """Check the sets that are named; how many failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ends", nargs="*", metavar="oldest|newest", help="default: both")
    parser.add_argument("--torch", help="a version, in place of the oldest and the newest")
    parser.add_argument("--torch-backend", default="cpu", help="of uv; empty: what the package index has")
    parser.add_argument("--only", nargs="*", default=SLICE, help="files of the slice")
    given = parser.parse_args()
    if unknown := set(given.ends) - set(RESOLUTIONS):
        parser.error(f"{', '.join(unknown)}: not an end of the ranges. Name oldest, newest, or none of them for both.")
    HOME.mkdir(exist_ok=True)
    failed = 0
    for end in given.ends or RESOLUTIONS:
        try:
            packages = resolve(end, given.torch, given.torch_backend)
        except subprocess.CalledProcessError:
            sys.exit(
                "uv could not resolve the packages; it says why above. Where PyTorch's own index cannot be reached: "
                "make test-versions TORCH_BACKEND= takes torch from the package index, which on Linux means gigabytes; "
                f"an environment in {HOME} that has a torch keeps it, if --torch names its version."
            )
        hosts = ("torch", "transformers", "trl", "accelerate", "peft", "datasets", "numpy", "pyarrow")
        print(f"{end}: {' '.join(f'{name} {packages[name]}' for name in hosts)}", flush=True)
        failed += run_slice(install(end, packages, given.torch_backend), tuple(given.only)) != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
