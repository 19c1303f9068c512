"""What can be set, as plain values: readable in milliseconds, without torch or TRL.

Not here: what a run makes of its settings (`nearfuture.run.settings`).
"""
