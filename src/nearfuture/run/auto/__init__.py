"""AutoNPO within a run: when to go back, how far, and whether it was right.

Not here: the trigger and the choice as pure functions (`nearfuture.method`).
"""
