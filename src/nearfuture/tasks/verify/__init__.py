"""Verifiers: extract the answer of a response and judge it by kind. `verify` is all most callers need.

Not here: tasks, rewards and checks of a whole data set (`nearfuture.tasks.task`).
"""

from nearfuture.tasks.verify.decide import KINDS, Decision
from nearfuture.tasks.verify.verifier import Item, Verifier, explain, verify, verify_many

__all__ = ["KINDS", "Decision", "Item", "Verifier", "explain", "verify", "verify_many"]
