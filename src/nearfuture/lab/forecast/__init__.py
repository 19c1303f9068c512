"""Forecast what a run needs before anybody pays for it: memory, disk, tokens and hours.

Not here: the command (`nearfuture.cli.plan`), what a run does when (`nearfuture.run.settings.plan`).
"""
