"""The worlds that ship, each with its prompts, verifier and base model.

Not here: families that others keep (`nearfuture.tasks.gyms`), data sets (`nearfuture.tasks.data`).
"""
