"""What a run is asked to do: its keys, their values and what they mean to each other, and the plan that follows.

Not here: doing it (`nearfuture.run.executor`).
"""
