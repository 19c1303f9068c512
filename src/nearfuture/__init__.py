"""Near-Future Policy Optimization: a policy learns from its own near future, on top of TRL.

    from nearfuture import NPOConfig, NPOTrainer, collect_guidance      # in a TRL script
    from nearfuture import Run                                          # a run with interventions

Names are imported when they are first used, so that reading a report needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearfuture.api import Run, advise, explain, report, signal
    from nearfuture.guidance import GuidanceCache, Harvest, WindowedCache, collect_guidance
    from nearfuture.tasks import Task, VerdictReward, load_task
    from nearfuture.train import NPOConfig, NPOTrainer, TRLEngine
    from nearfuture.types import Guidance, Intervention, PolicyRef, Sampling, UserError, Verdict

__version__ = "0.1.0"

_HOMES = {
    "nearfuture.api": ("Run", "advise", "explain", "report", "signal"),
    "nearfuture.guidance": ("GuidanceCache", "Harvest", "WindowedCache", "collect_guidance"),
    "nearfuture.tasks": ("Task", "VerdictReward", "load_task"),
    "nearfuture.train": ("NPOConfig", "NPOTrainer", "TRLEngine"),
    "nearfuture.types": ("Guidance", "Intervention", "PolicyRef", "Sampling", "UserError", "Verdict"),
}

__all__ = [
    "Guidance",
    "GuidanceCache",
    "Harvest",
    "Intervention",
    "NPOConfig",
    "NPOTrainer",
    "PolicyRef",
    "Run",
    "Sampling",
    "TRLEngine",
    "Task",
    "UserError",
    "Verdict",
    "VerdictReward",
    "WindowedCache",
    "advise",
    "collect_guidance",
    "explain",
    "load_task",
    "report",
    "signal",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'nearfuture' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
