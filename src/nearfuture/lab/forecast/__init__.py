"""What a run needs, on paper, before anybody pays for it: memory, disk, tokens and hours.

Not here: the command (`nearfuture.cli.plan`), what a run does when (`nearfuture.run.settings.plan`).
"""

from nearfuture.lab.forecast.planner import ResourcePlan, make_plan
from nearfuture.lab.forecast.wanted import Wanted

__all__ = ["ResourcePlan", "Wanted", "make_plan"]
