"""What a run needs, on paper, before anybody pays for it: memory, disk, tokens and hours.

Not here: the command (`nearfuture.cli.plan`), what a run does when (`nearfuture.run.plan`).
"""

from nearfuture.run.resources.planner import ResourcePlan, Wanted, make_plan

__all__ = ["ResourcePlan", "Wanted", "make_plan"]
