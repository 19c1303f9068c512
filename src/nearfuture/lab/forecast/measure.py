"""Measure on this machine what a plan otherwise assumes: tokens per second, and the lengths of prompts and answers.

    generation   one batch of rollouts from the base policy, sampled as from a guide
    training     the time of an optimizer step apart from generating its rollouts

It takes a few steps of the run itself, in a folder that is deleted afterwards: seconds for a small model, and as much
memory as the run. The base policy's answers may be shorter or longer than those of later policies.

Not here: the plan (`planner`).
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from nearfuture.lab.forecast.wanted import Wanted
from nearfuture.run import build
from nearfuture.run.rows import plain_rows
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.sizes import batch_of
from nearfuture.train import TRLEngine, callbacks
from nearfuture.train.factory import release

NUM_STEPS = 3
"""Optimizer steps to run; the first one warms up and is not counted."""


def measure(config: Configuration, wanted: Wanted) -> Wanted:
    """Return `wanted` with the rates and mean lengths measured on one device of this machine.

    Raises:
        UserError: as at the start of the run.
    """
    task = build.load_checked_task(config)
    rows = build.training_rows(task)
    short = config.with_training(max_steps=NUM_STEPS, save_steps=NUM_STEPS + 1)
    logs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        hooks = [callbacks.OnLog(lambda step, row: logs.append({**row, "at": time.perf_counter()}))]
        trainer = build.build_trainer(short, task, rows, Path(scratch), callbacks=hooks)
        trainer.model.to(trainer.args.device)
        engine, asked = TRLEngine(trainer), plain_rows(rows)[: trainer.args.generation_batch_size]
        engine.generate(asked[:2], seed=0)
        began = time.perf_counter()
        lengths = [len(ids) for ids in engine.generate(asked, seed=1)]
        seconds = time.perf_counter() - began
        prompt = sum(engine.prompt_lengths(asked)) / len(asked)
        trainer.train()
        release(trainer)
    rate, completion = sum(lengths) / seconds, sum(lengths) / len(lengths)
    steps = len(logs) - 1
    update = (logs[-1]["at"] - logs[0]["at"]) / steps - logs[-1]["rollout_tokens"] / rate
    trained = batch_of(config, 1).trained * (prompt + completion)
    return replace(
        wanted,
        tokens_per_second=rate,
        train_tokens_per_second=trained / max(update, 1e-9),
        prompt_tokens=round(prompt),
        completion_tokens=round(completion),
        is_measured=True,
        is_cpu=not torch.accelerator.is_available(),
    )
