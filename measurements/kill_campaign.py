"""SIGKILL at random moments, then the same command again, until it ends: are the bits those of an undisturbed one?

What it does: trains, collects, probes (AutoNPO), evaluates and compares, each in a process of its own that is killed
after a random share of the CPU time that the undisturbed command took (of a random length, so that early kills are
commoner and a command is killed several times on its way), again and again until it reaches its end; then
holds everything that lasts (weights, rows, lineage, caches, responses) against the undisturbed command's. Whatever
differs, a traceback, and an exit code that is not 0 are failures. Each result is a line of the output; a campaign that
was itself killed goes on after the last one.

What it leaves out: power cuts (files are synced, which a SIGKILL cannot test), several processes, GPUs.

    OMP_NUM_THREADS=1 python measurements/kill_campaign.py OUTPUT.jsonl --kills 1000
    python measurements/kill_campaign.py OUTPUT.jsonl --summary          # the table so far, as Markdown

The processes are forks of one that has imported everything, so that a kill costs seconds. A comparison starts
interpreters of its own, which a killed grid leaves behind: they are killed with it in every other trial.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from commands import MODEL  # noqa: E402 (a neighbour's folder)
from eager import eager  # noqa: E402 (a neighbour's folder)
from warm import WarmProcess  # noqa: E402 (a neighbour's folder)

CONFIG = ROOT / "configs" / "apprentice" / "tiny.yaml"
TASK = '''"""The apprentice world in small, with prompts that the base solves now and then."""

from dataclasses import replace

from nearfuture.tasks import load_task


def small():
    whole = load_task("apprentice")
    return replace(whole, train=whole.evaluation[:96], evaluation=whole.evaluation[96:112], test=whole.test[::4])
'''
SMALL = ["per_device_train_batch_size=64", "learning_rate=1e-3", "save_steps=2", "eval_every=0", "guide_batch_size=64"]
TIMES = ("seconds", "time", "runtime", "per_second", "since")
HANGS_AFTER = 900
"""Seconds after which a command counts as one that hangs, on a machine as busy as may be."""


@dataclass(frozen=True)
class Kind:
    """A command that is killed.

    Attributes:
        command: its arguments, for a folder.
        lasting: what must be the same in the end, for a folder.
        share: of all kills.
    """

    command: Callable[[Path], list[str]]
    lasting: Callable[[Path], dict[str, Any]]
    share: float


def task_in(folder: Path) -> str:
    """The task as it is named on the command line; its file lies beside the folders of the trials."""
    path = folder.parent / "small.py"
    if not path.exists():
        path.write_text(TASK)
    return f"{path}:small"


def run_with(folder: Path, *settings: str) -> list[str]:
    """A run in a folder, begun or gone on with."""
    given = [f"task={task_in(folder)}", f"model={MODEL}", f"run_dir={folder}/run", *SMALL, *settings]
    return ["train", str(CONFIG), *given, "--resume", "--quiet"]


def train(folder: Path) -> list[str]:
    """Both interventions within six steps."""
    plan = ["max_steps=6", "scout_steps=2", "guide_step=5", "rollback_to=3", "eval_every=3", "eval_num_samples=1"]
    return run_with(folder, *plan)


def probe(folder: Path) -> list[str]:
    """A trigger so eager that AutoNPO probes, weighs and goes back within nine steps."""
    auto = eager(probe_num_prompts=24, max_rollback_distance=8)
    plan = ["max_steps=9", "scout_steps=0", "guide_step=null", "rollback_to=null", "seed=2", "guide_num_samples=4"]
    return run_with(folder, *plan, *auto)


def collect(folder: Path) -> list[str]:
    """Guidance for every training prompt, in small batches."""
    wanted = [f"task={task_in(folder)}", "guide_num_samples=4", "guide_batch_size=16"]
    return ["guide", "collect", str(CONFIG), "--guide", str(MODEL), "--output", f"{folder}/cache", *wanted]


def evaluate(folder: Path) -> list[str]:
    """The test prompts of the task, in small batches."""
    asked = ["--suite", "task", "--task", task_in(folder), "--output", f"{folder}/evaluation"]
    return ["evaluate", str(MODEL), *asked, "max_completion_length=8", "batch_size=16"]


def compare(folder: Path) -> list[str]:
    """A grid of one method and one seed, with the evaluation of the base."""
    study = folder / "study.yaml"
    if not study.exists():
        base = {
            "task": task_in(folder),
            "model": str(MODEL),
            "max_steps": 2,
            "num_generations": 8,
            "max_completion_length": 8,
        }
        small = {"per_device_train_batch_size": 64, "save_steps": 1, "guide_batch_size": 512, "fast_generation": True}
        grid = {"run_dir": f"{folder}/study", "num_seeds": 1, "test_num_samples": 2, "pass_at": [1]}
        whole = {**grid, "first_seed": 7, "reference": "grpo", "base": {**base, **small}, "methods": {"grpo": {}}}
        study.write_text(json.dumps(whole))
    return ["compare", str(study), "--jobs", "1"]


def without_times(value: Any) -> Any:
    """Drop what a clock wrote, at any depth."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if not any(part in k for part in TIMES)}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def digest(path: Path) -> str:
    """Of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rows_of(path: Path) -> dict[str, Any]:
    """Merged rows of metrics by segment and step, as the report reads them."""
    merged: dict[str, Any] = {}
    for line in path.read_text().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # torn by a kill
        row.pop("crc", None)
        merged.setdefault(f"{row['segment']}/{row['step']}", {}).update(without_times(row))
    return merged


def of_run(run: Path) -> dict[str, Any]:
    """Weights, merged rows, kinds of events, lineage and guidance of a run."""
    lineage = without_times(json.loads((run / "lineage.json").read_text()))
    lineage.pop("crc", None)
    caches = sorted(run.glob("segments/*/guidance/guidance.parquet"))
    return {
        "weights": digest(run / "final" / "model.safetensors"),
        "metrics": rows_of(run / "metrics.jsonl"),
        "lineage": lineage,
        "guidance": {str(path.relative_to(run)): digest(path) for path in caches},
    }


def of_cache(folder: Path) -> dict[str, Any]:
    """Bytes of the table, and the header without its times."""
    header = without_times(json.loads((folder / "cache" / "header.json").read_text()))
    header.pop("checksum")
    return {"table": digest(folder / "cache" / "guidance.parquet"), "header": header}


def of_evaluation(folder: Path) -> dict[str, Any]:
    """Every response and every score."""
    responses = {str(p.relative_to(folder)): digest(p) for p in sorted(folder.rglob("responses/**/*.jsonl"))}
    return {
        "responses": responses,
        "scores": without_times(json.loads((folder / "evaluation/evaluation.json").read_text())),
    }


def of_study(folder: Path) -> dict[str, Any]:
    """The cell as a run, and the final evaluations."""
    tests = {name: json.loads((folder / "study" / name / "test.json").read_text()) for name in ("base", "grpo-7")}
    return {"run": of_run(folder / "study" / "grpo-7"), "tests": {k: v["prompts"] for k, v in tests.items()}}


KINDS = {
    "train": Kind(train, lambda folder: of_run(folder / "run"), 0.28),
    "probe": Kind(probe, lambda folder: of_run(folder / "run"), 0.17),
    "collect": Kind(collect, of_cache, 0.28),
    "evaluate": Kind(evaluate, of_evaluation, 0.25),
    "compare": Kind(compare, of_study, 0.02),
}


class Campaign:
    """Trials of every kind, a line each."""

    def __init__(self, output: Path, scratch: Path) -> None:
        self.output, self.scratch = output, scratch
        self.results = [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []
        git = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        self.commit = git.stdout.strip()
        self.undisturbed: dict[str, tuple[dict[str, Any], float]] = {}

    def num_kills(self, kind: str | None = None) -> int:
        """How many there were."""
        return sum(result["num_kills"] for result in self.results if kind in (None, result["kind"]))

    def run(self, num_kills: int, kinds: list[str]) -> None:
        """Go on until there are so many kills, every kind its share."""
        shares = {kind: KINDS[kind].share for kind in kinds}
        while (total := self.num_kills()) < num_kills:
            behind = {kind: share * max(total, 1) - self.num_kills(kind) for kind, share in shares.items()}
            result = self.trial(max(behind, key=lambda kind: behind[kind]), seed=len(self.results))
            self.results.append(result)
            with self.output.open("a") as file:
                file.write(json.dumps(result) + "\n")
            said = f"{result['kind']}: {result['num_kills']} kills, {result['failure'] or 'same'}"
            print(f"{said}; {self.num_kills()} in all", flush=True)

    def reference(self, kind: str) -> tuple[dict[str, Any], float]:
        """What the undisturbed command leaves behind, and the CPU seconds it took."""
        if kind not in self.undisturbed:
            folder = fresh(self.scratch / f"{kind}-undisturbed")
            process = start(KINDS[kind].command(folder), folder)
            seconds = follow(process, None)
            code, text = process.result()
            assert code == 0, text
            self.undisturbed[kind] = (KINDS[kind].lasting(folder), seconds)
        return self.undisturbed[kind]

    def trial(self, kind: str, seed: int) -> dict[str, Any]:
        """Kill one command until it ends."""
        expected, whole = self.reference(kind)
        rng, folder = random.Random(seed), fresh(self.scratch / f"{kind}-{seed}")
        moments: list[list[Any]] = []
        while True:
            process = start(KINDS[kind].command(folder), folder)
            at = rng.uniform(0, rng.uniform(0, whole))
            spent = follow(process, at)
            if not process.is_running:
                break
            kill(process, with_children=bool(rng.getrandbits(1)))
            moments.append([round(spent, 2), latest(folder)])
        code, text = process.result()
        failure = self._failure(kind, folder, expected, code, text)
        result = {
            "commit": self.commit,
            "kind": kind,
            "seed": seed,
            "num_kills": len(moments),
            "moments": moments,
            "failure": failure,
        }
        if failure is None:
            shutil.rmtree(folder)  # a folder that differs is kept, to be looked into
        return result

    def _failure(self, kind: str, folder: Path, expected: dict[str, Any], code: int, text: str) -> str | None:
        if code != 0:
            return f"exit code {code}: {text[-2000:]}"
        found = KINDS[kind].lasting(folder)
        differing = [name for name in expected if found.get(name) != expected[name]]
        return f"other {', '.join(differing)}" if differing else None


def fresh(folder: Path) -> Path:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def start(command: list[str], folder: Path) -> WarmProcess:
    """Start a command; what it prints goes beside its files."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}
    return WarmProcess(command, folder / "output.txt", environment)


def follow(process: WarmProcess, until: float | None) -> float:
    """Wait until a process has spent so many CPU seconds with its children, or has ended; return what it has spent."""
    spent, began = 0.0, time.monotonic()
    pid = process.process.pid
    assert pid is not None
    while process.is_running and (until is None or spent < until):
        if time.monotonic() - began > HANGS_AFTER:
            raise TimeoutError(f"process {pid} hangs after {spent:.1f} CPU seconds")
        spent = max(spent, cpu_seconds(pid))
        time.sleep(0.02)
    return spent


def cpu_seconds(pid: int) -> float:
    """Of a process, of its children that live, and of those that have ended; 0 where there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return own + sum(map(cpu_seconds, children(pid)))


def children(pid: int) -> list[int]:
    """Of a process, now."""
    try:
        return [
            int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()
        ]
    except OSError:
        return []


def descendants(pid: int) -> list[int]:
    """Children, and theirs."""
    return [one for child in children(pid) for one in (child, *descendants(child))]


def kill(process: WarmProcess, *, with_children: bool) -> None:
    """SIGKILL a process, alone or with everything it started."""
    assert process.process.pid is not None
    others = descendants(process.process.pid) if with_children else []
    process.kill()
    for pid in others:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def latest(folder: Path) -> str:
    """The file that was written last, its numbers left out: where in its work a command was killed."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "output.txt"]
    if not paths:
        return "nothing yet"
    return re.sub(r"\d+", "N", str(max(paths, key=lambda path: path.lstat().st_mtime_ns).relative_to(folder)))


def summary(results: list[dict[str, Any]]) -> str:
    """A table by kind, and where the kills fell."""
    lines = ["| command | kills | runs to the end | not the same, traceback or error |", "|---|---|---|---|"]
    for kind in KINDS:
        of_kind = [result for result in results if result["kind"] == kind]
        failed = sum(result["failure"] is not None for result in of_kind)
        lines.append(f"| {kind} | {sum(r['num_kills'] for r in of_kind)} | {len(of_kind)} | {failed} |")
    total, failed = sum(r["num_kills"] for r in results), sum(r["failure"] is not None for r in results)
    lines.append(f"| all | {total} | {len(results)} | {failed} |")
    places = Counter(place for result in results for _, place in result["moments"])
    lines += ["", "The file that was written last before a kill:", "", "| kills | file |", "|---|---|"]
    lines += [f"| {count} | `{place}` |" for place, count in places.most_common()]
    return "\n".join(lines)


def main() -> None:
    """Run the campaign, or tell what it has found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--scratch", type=Path, help="default: a temporary folder")
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    if options.summary:
        print(summary([json.loads(line) for line in options.output.read_text().splitlines()]))
        return
    scratch = options.scratch or Path(tempfile.mkdtemp())
    Campaign(options.output, scratch).run(options.kills, options.kinds.split(","))


if __name__ == "__main__":
    main()
