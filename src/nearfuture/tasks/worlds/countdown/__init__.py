"""Compact Countdown: a second small world, with many right answers per prompt, a tiny base model and prompts.

Not here: the description and the measured dynamics (docs/countdown.md), and how it was built
(scripts/build_countdown.py).
"""

from nearfuture.tasks.worlds.countdown.shipped import countdown_task

__all__ = ["countdown_task"]
