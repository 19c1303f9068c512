"""A plan as tables, and as JSON.

Not here: the numbers (`planner`).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from rich.table import Table

from nearfuture.lab.forecast.generation import cache_bytes_per_token, sequences_at_once
from nearfuture.lab.forecast.planner import ResourcePlan
from nearfuture.lab.forecast.wanted import GB
from nearfuture.record.formats import format_bytes
from nearfuture.run.settings.sizes import BYTES


def heading_lines(plan: ResourcePlan) -> list[str]:
    """Model, data, batch and disk, one line each."""
    count, text = plan.shape.parameters, plan.shape.text
    trained = (
        f"{count.trained:,} trained ({count.trained / count.total:.2%})" if count.trained != count.total else "all"
    )
    width = BYTES["bfloat16"]
    lines = [
        f"model:  {plan.shape.name} ({plan.shape.origin})",
        f"        {count.total:,} parameters, {count.vision:,} of them the vision tower; trained: {trained}",
        f"data:   {plan.rows.num_train:,} training prompts, {plan.rows.num_held_out:,} held-out prompts",
        *(f"data:   {note}" for note in plan.rows.notes),
        f"batch:  {plan.batch}",
        f"length: {plan.lengths.prompt} prompt + {plan.lengths.completion} completion tokens; a token's keys and "
        f"values are {format_bytes(cache_bytes_per_token(plan.shape, width))} in bfloat16 ({text.num_layers} layers)",
    ]
    if plan.generation.backend == "colocate":
        room = sequences_at_once(plan.generation, plan.shape, plan.lengths, plan.memory.device_bytes)
        lines.append(
            f"vLLM:   {plan.generation.share:.0%} of a device holds its weights and {max(room, 0):,.1f} sequences of "
            f"full length, of {plan.batch.local * plan.generation.tensor_parallel} that are wanted at once"
        )
    elif plan.generation.backend == "server":
        lines.append("vLLM:   a server on its own devices, which are not in this plan")
    return [*lines, f"disk:   {plan.disk}"]


def memory_table(plan: ResourcePlan) -> Table:
    """Bytes of one device, by part and moment."""
    table = Table(title=f"Memory of one of {plan.num_devices} device(s), GB")
    table.add_column("part", no_wrap=True)
    table.add_column("training", justify="right")
    table.add_column("generation", justify="right")
    table.add_column("note")
    for part in plan.memory.parts:
        cells = [_gb(part.num_bytes) if m in part.moments else "" for m in ("training", "generation")]
        table.add_row(part.name, *cells, part.note)
    table.add_section()
    has = f"of {_gb(plan.memory.device_bytes)} GB" if plan.memory.device_bytes else ""
    table.add_row("together", _gb(plan.memory.at("training")), _gb(plan.memory.at("generation")), has)
    return table


def stage_table(plan: ResourcePlan) -> Table:
    """Tokens and hours, stage by stage."""
    table = Table(title="Tokens and time")
    table.add_column("stage")
    for name in ("rollouts", "generated,\nM tokens", "trained,\nM tokens", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    rates = plan.rates
    for stage in plan.stages:
        bound, hours = "<= " if stage.is_bound else "", stage.hours(rates, plan.num_devices)
        tokens = (_millions(stage.generated(rates)), _millions(stage.trained(rates)))
        table.add_row(stage.name, f"{bound}{stage.rollouts:,.0f}", *tokens, in_hours(hours))
    table.add_section()
    table.add_row(
        "together",
        f"{sum(stage.rollouts for stage in plan.stages):,.0f}",
        _millions(sum(stage.generated(rates) for stage in plan.stages)),
        _millions(sum(stage.trained(rates) for stage in plan.stages)),
        in_hours(plan.hours),
    )
    return table


def in_hours(hours: float) -> str:
    """Hours in a readable unit; nothing that takes time is shown as 0.

    Example:
        >>> [in_hours(hours) for hours in (0.0, 0.002, 0.25, 3.14, 1234.0)]
        ['0', '7.2 s', '15.0 min', '3.1 h', '1,234.0 h']
    """
    if not hours:
        return "0"
    if hours >= 1:
        return f"{hours:,.1f} h"
    return f"{hours * 60:.1f} min" if hours * 60 >= 1 else f"{hours * 3600:.1f} s"


def _millions(tokens: float) -> str:
    """Millions of tokens with two significant digits."""
    millions = tokens / 1e6
    return f"{millions:,.1f}" if millions >= 1 else f"{millions:.2g}"


def _gb(num_bytes: float) -> str:
    return f"{num_bytes / GB:,.2f}" if num_bytes >= GB / 10 else f"{num_bytes / GB:.2g}"


def as_json(plan: ResourcePlan) -> dict[str, Any]:
    """Everything the tables show, in bytes, tokens and hours."""
    rates = plan.rates
    return {
        "model": dataclasses.asdict(plan.shape),
        "data": {
            "num_train": plan.rows.num_train,
            "num_held_out": plan.rows.num_held_out,
            "notes": list(plan.rows.notes),
        },
        "batch": dataclasses.asdict(plan.batch),
        "lengths": dataclasses.asdict(plan.lengths),
        "memory": {
            "parts": [dataclasses.asdict(part) for part in plan.memory.parts],
            "training_bytes": plan.memory.at("training"),
            "generation_bytes": plan.memory.at("generation"),
            "device_bytes": plan.memory.device_bytes,
            "fits": plan.memory.fits,
        },
        "disk": {**dataclasses.asdict(plan.disk), "peak_bytes": plan.disk.peak_bytes},
        "stages": [
            {
                **dataclasses.asdict(stage),
                "generated_tokens": stage.generated(rates),
                "trained_tokens": stage.trained(rates),
                "hours": stage.hours(rates, plan.num_devices),
            }
            for stage in plan.stages
        ],
        "hours": plan.hours,
        "device_hours": plan.hours * plan.num_devices,
        "rates": dataclasses.asdict(rates),
        "assumptions": list(plan.assumptions),
        "warnings": list(plan.warnings),
    }
