"""A trigger so eager that AutoNPO goes back within a dozen steps, for tests of what follows, not of when."""

from __future__ import annotations

from typing import Any

EAGER: dict[str, Any] = {
    "mode": "act",
    "min_evidence": -1e9,
    "max_entropy_evidence": 1e9,
    "min_entropy_drop": -0.9,
    "min_stretch": 6,
    "warmup": 6,
    "cooldown": 20,
    "max_interventions": 1,
    "probe_min_pass_rate": 0.001,
    "probe_min_solved": 1,
    "min_prompts": 2,
    "max_rollback_distance": 12,
}


def eager(**others: Any) -> list[str]:
    """Overrides for a command line."""
    return [f"autonpo.{key}={value}" for key, value in {**EAGER, **others}.items()]
