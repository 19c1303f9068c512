"""The proof of exactness that a user runs on their own machine, on the world that ships.

    GRPO      without guidance `NPOTrainer` is TRL's `GRPOTrainer`
    resume    k steps, stop, a fresh trainer, m steps   ==   k + m steps
    rollback  k + m steps, back to k on the same trainer, m steps again   ==   the abandoned tail
    kill      a run killed with SIGKILL and resumed     ==   a run that was not killed

What is compared are weights and every metric of every step except times, bit for bit, inside a generation cycle and
across the end of an epoch. On a GPU the first three may differ where its kernels are not deterministic.

Not here: the suite's property tests over many settings (tests/), which this does not replace.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import PrinterCallback
from trl import GRPOConfig, GRPOTrainer

from nearfuture.run import build
from nearfuture.tasks import Task, VerdictReward, load_task
from nearfuture.train import NPOConfig, NPOTrainer
from nearfuture.train.callbacks import StopAt

TIMES = ("step_time", "runtime", "per_second", "flos", "train_loss")
TINY = {
    "task": "apprentice",
    "max_steps": 12,
    "scout_steps": 4,
    "guide_step": 9,
    "rollback_to": 6,
    "per_device_train_batch_size": 64,
    "max_completion_length": 8,
    "learning_rate": 1e-3,
    "save_steps": 2,
}


@dataclass(frozen=True)
class Comparison:
    """One law: what was compared, and the first difference if there is one."""

    law: str
    compared: str
    first: str | None

    @property
    def is_identical(self) -> bool:
        """True where not one bit differs."""
        return self.first is None


def run_selftest(steps: int) -> list[Comparison]:
    """Run all four proofs with `steps` optimizer steps each, in a temporary folder."""
    task = load_task("apprentice")
    rows, _ = build.prepare_task(task)
    rows = rows.select(range(8 * (steps // 2)))  # an epoch ends in the middle of each run
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        return [
            _grpo(task, rows, folder, steps),
            _resume(task, rows, folder, steps),
            _rollback(task, rows, folder, steps),
            _kill(folder),
        ]


def _settings(steps: int) -> dict[str, Any]:
    return {
        "max_steps": steps,
        "per_device_train_batch_size": 16,
        "steps_per_generation": 4,
        "gradient_accumulation_steps": 2,
        "num_generations": 8,
        "max_completion_length": 8,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "bf16": False,
        "seed": 7,
    }


def _trainer(kind: type[GRPOTrainer], task: Task, rows: Dataset, folder: Path, steps: int, until: int | None = None) -> Any:
    config = NPOConfig if kind is NPOTrainer else GRPOConfig
    on_cpu = not torch.accelerator.is_available()
    extra = {} if kind is NPOTrainer else {"activation_checkpointing": not on_cpu}
    args = config(output_dir=str(folder), **_settings(steps), **extra)
    stop = [] if until is None else [StopAt(until)]
    assert task.model is not None
    trainer = kind(task.model, reward_funcs=VerdictReward(task), args=args, train_dataset=rows, callbacks=stop)
    trainer.remove_callback(PrinterCallback)
    return trainer


def metrics_of(trainer: GRPOTrainer) -> list[dict[str, Any]]:
    """Every logged metric of every step, without times."""
    rows = [row for row in trainer.state.log_history if "loss" in row]
    return [{k: v for k, v in row.items() if not any(time in k for time in TIMES)} for row in rows]


def first_difference(one: GRPOTrainer, other: GRPOTrainer, *, last: int | None = None) -> str | None:
    """Name the first metric or weight in which two trainers differ; `last` compares the last rows only.

    Metrics that only one of them logs are not compared.
    """
    rows, other_rows = metrics_of(one), metrics_of(other)
    if last is not None:
        rows, other_rows = rows[-last:], other_rows[-last:]
    if [row["step"] for row in rows] != [row["step"] for row in other_rows]:
        return f"steps {[row['step'] for row in rows]} against {[row['step'] for row in other_rows]}"
    for a, b in zip(rows, other_rows, strict=True):
        for key in a.keys() & b.keys():
            if a[key] != b[key]:
                return f"step {a['step']} {key}: {a[key]!r} against {b[key]!r}"
    weights = dict(other.model.named_parameters())
    for name, value in one.model.named_parameters():
        if not torch.equal(value, weights[name]):
            return f"weights of {name}"
    return None


def _what(trainer: GRPOTrainer, num_rows: int) -> str:
    num_weights = sum(p.numel() for p in trainer.model.parameters())
    return f"{num_rows} steps x {max(map(len, metrics_of(trainer))) - 2} metrics, {num_weights} weights"


def _grpo(task: Task, rows: Dataset, folder: Path, steps: int) -> Comparison:
    theirs = _trainer(GRPOTrainer, task, rows, folder / "theirs", steps)
    theirs.train()
    ours = _trainer(NPOTrainer, task, rows, folder / "ours", steps)
    ours.train()
    return Comparison("without guidance = TRL's GRPOTrainer", _what(theirs, steps), first_difference(theirs, ours))


def _resume(task: Task, rows: Dataset, folder: Path, steps: int) -> Comparison:
    whole = _trainer(NPOTrainer, task, rows, folder / "whole", steps)
    whole.train()
    k = steps // 2
    _trainer(NPOTrainer, task, rows, folder / "part", steps, until=k).train()
    resumed = _trainer(NPOTrainer, task, rows, folder / "part", steps)
    resumed.train(resume_from_checkpoint=True)
    return Comparison(f"{k} steps, resume = {steps} steps", _what(whole, steps), first_difference(whole, resumed))


def _rollback(task: Task, rows: Dataset, folder: Path, steps: int) -> Comparison:
    k = steps // 2 - 1
    trainer = _trainer(NPOTrainer, task, rows, folder / "back", steps)
    trainer.add_callback(StopAt(steps, save_at={k}))
    trainer.train()
    tail = metrics_of(trainer)[k:]
    weights = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    trainer.train(resume_from_checkpoint=str(folder / "back" / f"checkpoint-{k}"))
    again = metrics_of(trainer)[k:]
    first = next((f"step {a['step']}: {a} against {b}" for a, b in zip(tail, again, strict=True) if a != b), None)
    for name, value in trainer.model.named_parameters():
        if first is None and not torch.equal(value, weights[name]):
            first = f"weights of {name}"
    return Comparison(f"back to step {k}, replay = abandoned tail", _what(trainer, len(tail)), first)


def _kill(folder: Path) -> Comparison:
    """Two runs with both interventions through the command line; one of them is killed while it trains."""
    config = folder / "tiny.yaml"
    config.write_text("".join(f"{key}: {value}\n" for key, value in TINY.items()))
    _command(config, folder / "unkilled").wait()
    killed = _command(config, folder / "killed")
    _wait_for(folder / "killed" / "segments" / "001" / "checkpoint-6" / "nearfuture_state.json", killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    _command(config, folder / "killed", "--resume").wait()
    finals = [folder / run / "final" / "model.safetensors" for run in ("unkilled", "killed")]
    missing = [str(path) for path in finals if not path.exists()]
    if missing:
        return Comparison("SIGKILL, --resume = never killed", "final weights", f"no {missing[0]}")
    one, other = map(load_file, finals)
    first = next((f"weights of {name}" for name in one if not torch.equal(one[name], other[name])), None)
    return Comparison("SIGKILL, --resume = never killed", f"final weights, {sum(map(torch.numel, one.values()))}", first)


def _command(config: Path, run_dir: Path, *flags: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "nearfuture", "train", str(config), f"run_dir={run_dir}", "--quiet", *flags]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wait_for(path: Path, process: subprocess.Popen[bytes], timeout: float = 120) -> None:
    end = time.monotonic() + timeout
    while not path.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
