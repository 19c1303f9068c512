"""Synthetic folders of a comparison, as `nearfuture compare` leaves them; every number is set by the test.

A run has one segment of `num_steps` steps (plus a scout of `scout_steps` for the methods that have one), 100 rollout
tokens and 2 seconds a step, is evaluated every `eval_every` steps, and ends with `test.json`: prompts by family, so
many of `num_samples` correct.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from run_folders import eval_row, intervention, segment, step_row, write_run

Rate = Callable[[str, int, int], float]
FAMILIES = ("long", "short")


def write_study(
    folder: Path,
    methods: Mapping[str, Mapping[str, Any]],
    seeds: Sequence[int],
    correct: Callable[[str, int, str, int], int],
    *,
    rate: Rate = lambda method, seed, step: 0.2 + 0.04 * step,
    num_steps: int = 12,
    eval_every: int = 3,
    num_samples: int = 8,
    pass_at: Sequence[int] = (1, 4),
    num_prompts: int = 4,
    families: Sequence[str] = FAMILIES,
    reference: str | None = None,
    row: Callable[[str, int, int], dict[str, Any]] = lambda method, seed, step: {},
) -> Path:
    """Write a finished study.

    Args:
        folder: of the study.
        methods: settings by method; `scout_steps` makes a run with a scout.
        seeds: training seeds of every method.
        correct: (method, seed, family, prompt) -> correct samples of `num_samples`; the method `base` has seed 0.
        rate: (method, seed, step) -> held-out pass rate on the way.
        row: (method, seed, step) -> what replaces parts of a metrics row.
    """
    folder.mkdir(parents=True)
    grid = {
        "version": 1,
        "base": {"task": "apprentice", "max_steps": num_steps},
        "methods": {name: dict(settings) for name, settings in methods.items()},
        "cells": [[method, seed] for method in methods for seed in seeds],
        "test_num_samples": num_samples,
        "pass_at": list(pass_at),
        "reference": reference or list(methods)[-1],
    }
    (folder / "grid.json").write_text(json.dumps(grid))

    def test(method: str, seed: int) -> str:
        prompts = [
            {
                "prompt_id": f"{family}-{i}",
                "family": family,
                "num_correct": correct(method, seed, family, i),
                "num_judged": num_samples,
            }
            for family in families
            for i in range(num_prompts)
        ]
        facts = {"version": 1, "task": "apprentice", "split": "test", "num_samples": num_samples, "seed": 1}
        return json.dumps({**facts, "num_unjudged": 0, "verifier_version": "1", "prompts": prompts})

    (folder / "base").mkdir()
    (folder / "base" / "test.json").write_text(test("base", 0))
    for method, settings in methods.items():
        for seed in seeds:
            run = folder / f"{method}-{seed}"
            scout = int(settings.get("scout_steps", 0))
            _write_run(run, method, seed, scout, num_steps, eval_every, rate, row)
            (run / "final").mkdir()
            (run / "test.json").write_text(test(method, seed))
            text = "".join(f"{key}: {value}\n" for key, value in {**settings, "seed": seed}.items())
            (run / "config.yaml").write_text(text)
    return folder


def _write_run(
    run: Path, method: str, seed: int, scout: int, num_steps: int, eval_every: int, rate: Rate, row: Any
) -> None:
    segments = [segment(0, 0, num_steps, reason="horizon")]
    events = []
    if scout:
        segments = [
            segment(0, 0, scout, reason="scout", abandoned_from=0),
            segment(
                1,
                0,
                num_steps,
                reason="horizon",
                total_steps_before=scout,
                intervention=intervention("early", 0, scout, 0, scout),
            ),
        ]
        events = [
            {"event": "collected", "kind": "early", "segment": 0, "step": scout, "total_steps": scout}
            | {"guide_segment": 0, "guide_step": scout, "guide_tokens": 50, "seconds": 5.0, "num_samples": 40}
        ]
    metrics = [eval_row(0, 0, 0, rate(method, seed, 0))]
    for part in segments:
        for step in range(1, part["end_step"] + 1):
            total = part["total_steps_before"] + step
            metrics.append(step_row(part["id"], step, total) | row(method, seed, step))
            if step % eval_every == 0:
                metrics.append(eval_row(part["id"], step, total, rate(method, seed, step)))
    write_run(run, segments, metrics, events=events)
