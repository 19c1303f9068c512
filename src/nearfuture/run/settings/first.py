"""A first configuration, commented and ready to run.

The sizes fit a CPU if the model is one that ships, and otherwise one GPU.

Not here: the user's first own task (`first_task`), configurations that ship (`nearfuture.options.shipped`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfuture.record.formats import command_line
from nearfuture.run.settings.config import RunConfig
from nearfuture.run.settings.methods import METHODS
from nearfuture.types import UserError, did_you_mean

TINY = "apprentice"
"""The task whose model is used to try the user's own task until it has one."""
MODEL = "Qwen/Qwen3-0.6B"
ON_CPU: dict[str, dict[str, Any]] = {
    "apprentice": {"max_steps": 40, "learning_rate": "5e-4", "batch": 256, "length": 8, "takes": "under a minute"},
    "countdown": {"max_steps": 40, "learning_rate": "1e-4", "batch": 256, "length": 16, "takes": "two minutes"},
    "shapes": {"max_steps": 20, "learning_rate": "3e-4", "batch": 128, "length": 12, "takes": "two minutes"},
}
"""Sizes by the task that ships with its model; each takes a minute or two on a CPU."""
ON_GPU = {"max_steps": 200, "learning_rate": "1e-6", "batch": 8, "length": 1024}
KINDS = ("grpo", *METHODS, "autonpo")
"""The values of `--method`: `grpo` is `npo` without an intervention, `autonpo` decides about them by itself."""


@dataclass(frozen=True)
class Wish:
    """What a first configuration is for.

    Attributes:
        name: the name of the file and of the run's folder.
        task: a task, shipped or `file.py:function`; None if `data` names the rows.
        data: a data set.
        model: a model; None: the one that ships with the task, or else `MODEL`.
        method: one of `KINDS`.
    """

    name: str
    task: str | None = TINY
    data: str | None = None
    model: str | None = None
    method: str = RunConfig.method

    def __post_init__(self) -> None:
        if self.method not in KINDS:
            raise UserError(
                f"--method {self.method} is not known.{did_you_mean(self.method, KINDS)} One of: {', '.join(KINDS)}."
            )
        if self.task is not None and self.data is not None:
            raise UserError(f"--task {self.task} and --data {self.data}: a run has one source of prompts. Give one.")

    @property
    def own_task(self) -> tuple[Path, str] | None:
        """File and function of the user's own task."""
        file, colon, function = (self.task or "").rpartition(":")
        return (Path(file), function) if colon else None

    @property
    def sizes(self) -> dict[str, Any]:
        """Steps, rate, batch and length."""
        is_tiny = self.model is None and self.data is None
        return ON_CPU.get(TINY if self.own_task else self.task or "", ON_GPU) if is_tiny else ON_GPU


def configuration(wish: Wish) -> str:
    """The text of a configuration."""
    return "\n".join(_lines(wish)) + "\n"


def _lines(wish: Wish) -> Iterator[str]:
    file, steps = f"{wish.name}.yaml", wish.sizes["max_steps"]
    takes = f"{wish.sizes['takes']} of a CPU" if "takes" in wish.sizes else "`nearfuture plan` says what it needs"
    yield f"# {file}: a first run. All keys: nearfuture docs configuration"
    for words, what in (
        (("train", file), f"train it: {takes}"),
        (("train", file, "--dry-run"), "say what would happen, and stop"),
        (("report", f"runs/{wish.name}"), "a page about it, while it runs and afterwards"),
    ):
        yield f"#   {command_line('nearfuture', *words):<39} {what}"
    yield "\n# What is learned, and by whom."
    yield from _source(wish)
    yield _line("run_dir", f"runs/{wish.name}", "everything that the run writes")
    yield "\n# How long, and what it learns from beside its own rollouts."
    yield _line("max_steps", steps, "optimizer steps on the path to the final policy")
    yield from _method(wish, steps)
    yield "\n# Training: TRL's own names and defaults; any field of GRPOConfig can be set here."
    yield from _training(wish)
    yield "\n# Checkpoints and evaluation."
    yield _line("save_steps", max(5, steps // 8), "also the steps that a run can be resumed or forked from")
    yield _line("eval_every", max(5, steps // 4), "steps between evaluations of the held-out prompts")
    yield _line("eval_num_samples", 1, "completions per held-out prompt")
    yield _line("seed", 0, "same seed, same bits")
    yield "\n# Often wanted."
    yield _line("# use_peft", "true", "LoRA; lora_r, lora_alpha, lora_target_modules")
    yield _line("# use_vllm", "true", "generate with vLLM")
    yield _line("# save_total_limit", 2, "what an intervention goes back to is kept beside them")
    yield _line("# report_to", "wandb", "or trackio, tensorboard")


def _line(key: str, value: Any, remark: str = "") -> str:
    return f"{f'{key}: {value}':<34} # {remark}" if remark else f"{key}: {value}"


def _source(wish: Wish) -> Iterator[str]:
    if wish.data is not None:
        yield _line("dataset_name", wish.data, "a known data set, an id on the Hub, a folder, or a file of rows")
        yield _line("dataset_num_held_out", 64, "rows that are evaluated and not trained on")
    else:
        remark = "the function in your file that returns the task" if wish.own_task else "ships with its own model"
        yield _line("task", wish.task, remark)
    has_model = wish.data is None and (wish.own_task or (wish.task or "") in ON_CPU)
    if wish.model is not None or not has_model:
        yield _line("model", wish.model or MODEL, "a folder, or a name on the Hub")
    else:
        yield _line("# model", MODEL, "in place of the task's own: a folder, or a name on the Hub")


def _method(wish: Wish, steps: int) -> Iterator[str]:
    ahead, late, back = steps // 4, steps * 3 // 4, steps // 2
    is_tiny = wish.sizes is not ON_GPU
    if wish.method not in ("grpo", "autonpo"):
        yield _line("method", wish.method, "stands for settings that can each be overridden")
    if wish.method in ("npo", "opd"):
        yield _line("scout_steps", ahead, f"early: train {ahead} steps, go back, learn from step {ahead}")
    if wish.method == "npo":
        yield _line("guide_step", late, f"late: from step {late} ...")
        yield _line("rollback_to", back, f"... go back to step {back}")
    if wish.method == "autonpo":
        yield _line("autonpo.mode", "act", "the run decides by itself when to go back, and how far")
    if wish.method == "luffy" and wish.task != TINY:
        yield _line("traces", "teacher.jsonl", "an external teacher's trajectories, a row per prompt")
    if wish.method == "exgrpo" and is_tiny:
        yield _line("experience_start_pass_rate", 0.01, "in so few steps 0.35 is not reached")
    if wish.method == "rlep" and is_tiny:
        yield from (_line(key, value) for key, value in (("guide_num_samples", 16), ("guide_num_kept", 16)))
        yield _line("guide_min_correct", 1)
    if wish.method == "grpo":
        yield _line("# scout_steps", ahead, f"early: train {ahead} steps, go back, learn from step {ahead}")


def _training(wish: Wish) -> Iterator[str]:
    sizes = wish.sizes
    yield _line("learning_rate", sizes["learning_rate"])
    if sizes is not ON_GPU:
        yield _line("adam_beta2", 0.95, "few steps: a shorter memory")
    yield _line("per_device_train_batch_size", sizes["batch"], "rollouts in one forward pass")
    if sizes is ON_GPU:
        yield _line("gradient_accumulation_steps", 8, "8 x 8 rollouts per step")
    yield _line("num_generations", 8, "rollouts per prompt")
    yield _line("max_completion_length", sizes["length"], "tokens")
    if sizes is not ON_GPU:
        yield _line("fast_generation", "true", "read each prompt once for all its completions")
