"""The apprentice: a small world with a verifier, a tiny base model and prompts, for tests and studies on a CPU.

Not here: the description and the measured dynamics (docs/world.md), and how it was built (scripts/build_apprentice.py).
"""

from nearfuture.tasks.worlds.apprentice.shipped import apprentice_task

__all__ = ["apprentice_task"]
