"""What a run needs, on paper, before anybody pays for it: memory, disk, tokens and hours.

Not here: the command (`nearfuture.cli.plan`), what a run does when (`nearfuture.run.plan`).
"""

from nearfuture.run.resources.planner import ResourcePlan, make_plan
from nearfuture.run.resources.wanted import Wanted

__all__ = ["ResourcePlan", "Wanted", "make_plan"]
