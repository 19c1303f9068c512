"""Everything that can be set, as plain values, readable in milliseconds and without torch or TRL.

Not here: how a run uses its settings (`nearfuture.run.settings`).
"""
