"""Verifiers: extract the answer from a response and judge it by kind. `verify` is all that most callers need.

    verify, verify_many, explain    judge one response, judge many, explain a verdict
    RowVerifier                     a task's `verify`, for rows with `gold` and `kind`
    load_verifier                   your own, in verl's or EasyR1's form
    MathReward                      a reward function for plain TRL

Not here: tasks, their reward and the check of gold answers (`nearfuture.tasks`).
"""

from nearfuture.verify.decide import Decision
from nearfuture.verify.external import ExternalVerifier, load_verifier
from nearfuture.verify.golds import KINDS
from nearfuture.verify.rows import RowVerifier
from nearfuture.verify.trl_reward import MathReward
from nearfuture.verify.verifier import VERIFIER_VERSION, Item, Verifier, explain, verify, verify_many

__all__ = [
    "KINDS",
    "VERIFIER_VERSION",
    "Decision",
    "ExternalVerifier",
    "Item",
    "MathReward",
    "RowVerifier",
    "Verifier",
    "explain",
    "load_verifier",
    "verify",
    "verify_many",
]
