"""Measure the signal of near-future guides on a finished run, from the run's own files.

Not here: the protocol at one anchor (`measurement`), the estimators (`nearfuture.method`), figures
(`nearfuture.lab.report`).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nearfuture.lab.measure.measurement import MIN_FAILED, Measurement, Say
from nearfuture.lab.measure.scope import Scope
from nearfuture.lab.measure.signal_rows import CLIP, DEFAULT_COST, DEFAULT_QUALITY
from nearfuture.run import build
from nearfuture.run.checkpoints import Policies, find_checkpoints
from nearfuture.run.rows import plain_rows
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.load import load_configuration
from nearfuture.types import UserError

MAX_DISTANCES = 8


def measure_signal(
    run: Path,
    scope: Scope,
    *,
    config: Path | None = None,
    task: str | None = None,
    overrides: Sequence[str] = (),
    say: Say = print,
) -> dict[str, Any]:
    """Measure Q, V and S over distance on the checkpoints of a run.

    Args:
        run: a run folder, or a TRL output folder with `checkpoint-*`.
        scope: what to measure.
        config: configuration with task, base model and sampling; None: the run's own.
        task: replaces the configuration's task; enough by itself for a foreign run of a task that ships its model.
        overrides: `key=value` settings of the configuration.
        say: called with a message about each part of the work.

    Returns:
        What `nearfuture signal --json` writes: plain values, `anchors[].distances[]` and more.

    Raises:
        UserError: there is no run, there are too few checkpoints or failed prompts, or a step has no checkpoint.
    """
    _check(scope)
    checkpoints = find_checkpoints(run)
    pairs = choose_steps([0, *checkpoints], scope, run)
    configuration = _configuration(run, config, task, list(overrides), max(checkpoints))
    loaded_task = build.load_checked_task(configuration)
    rows = build.training_rows(loaded_task)
    with (
        tempfile.TemporaryDirectory() as scratch,
        Policies(configuration, loaded_task, rows, checkpoints, Path(scratch)) as policies,
    ):
        measurement = Measurement(configuration, loaded_task, plain_rows(rows), policies, scope, say)
        anchors = [measurement.anchor(anchor, distances) for anchor, distances in pairs]
    return {
        "run": str(run),
        "task": loaded_task.name,
        "default": {"quality": DEFAULT_QUALITY, "variance_cost": DEFAULT_COST},
        "k": measurement.k,
        "num_samples": scope.num_samples,
        "num_resamples": scope.num_resamples,
        "level": 0.95,
        "clip": CLIP,
        "anchors": anchors,
    }


def _check(scope: Scope) -> None:
    for name, least in (("num_prompts", MIN_FAILED), ("num_samples", 2), ("num_resamples", 100), ("num_gradients", 0)):
        if getattr(scope, name) < least:
            raise UserError(f"{name}={getattr(scope, name)} must be at least {least}.")
    if scope.k is not None and not 1 <= scope.k <= scope.num_samples:
        raise UserError(f"k={scope.k} must lie between 1 and num_samples={scope.num_samples}.")
    if min((*scope.anchors, *scope.distances, 0)) < 0:
        raise UserError("anchors and distances are steps, 0 or more; a guide lies in the learner's future.")


def choose_steps(steps: Sequence[int], scope: Scope, run: Path) -> list[tuple[int, list[int]]]:
    """Choose the anchors and distances to measure; every list of distances begins with 0.

    Args:
        steps: the steps that have a policy, ascending; 0 (the base weights) comes first.
        scope: the anchors and distances that were asked for, if any.
        run: the run, for the messages.

    Raises:
        UserError: there are fewer than two checkpoints, or a requested step has none.
    """
    there = f"There are: {', '.join(map(str, steps))} (0 is the base weights)"
    if len(steps) < 3:
        raise UserError(
            f"{run} has {len(steps) - 1} checkpoint(s); the signal over distance needs at least 2. "
            "Train with a smaller save_steps (and no save_total_limit)."
        )
    anchors = sorted(set(scope.anchors)) or sorted({0, steps[(len(steps) - 1) // 2]})
    pairs = []
    for anchor in anchors:
        ahead = [step - anchor for step in steps if step > anchor]
        wanted = sorted(set(scope.distances) - {0}) or _spread_out(ahead)
        missing = [anchor, *(anchor + distance for distance in wanted)]
        missing = [step for step in missing if step not in steps]
        if missing or not ahead:
            what = f"no checkpoint at step {', '.join(map(str, missing))}" if missing else "nothing lies after it"
            raise UserError(
                f"anchor {anchor}, distances {', '.join(map(str, wanted)) or 'none'}: {what}. {there}; an anchor and "
                "anchor + distance must be among them. Choose others, or train with a smaller save_steps."
            )
        pairs.append((anchor, [0, *wanted]))
    return pairs


def _spread_out(ahead: list[int]) -> list[int]:
    if len(ahead) <= MAX_DISTANCES:
        return ahead
    return [ahead[round(i)] for i in np.linspace(0, len(ahead) - 1, MAX_DISTANCES)]


def _configuration(run: Path, config: Path | None, task: str | None, overrides: list[str], last: int) -> Configuration:
    own = run / "config.yaml"
    path = config or (own if own.exists() else None)
    if path is None and task is None:
        raise UserError(
            f"{run} has no config.yaml, so its task and base model are unknown. Give --config CONFIG.yaml, or --task "
            "where the task ships its model."
        )
    needed = [f"run_dir={json.dumps(str(run))}", f"max_steps={last}"] if path != own else []
    chosen = [f"task={json.dumps(task)}"] if task is not None else []
    configuration = load_configuration(path, [*needed, *chosen, *overrides])
    return replace(configuration, run=replace(configuration.run, run_dir=run))
