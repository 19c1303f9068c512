"""The method as pure functions and values: the gate, the lineage. Needs numpy and torch, never TRL.

Not here: reading guidance (`nearfuture.guidance`), training (`nearfuture.train`), running (`nearfuture.run`).
"""

from nearfuture.algo.gate import pass_rate, select_guided
from nearfuture.algo.lineage import Lineage, Segment

__all__ = ["Lineage", "Segment", "pass_rate", "select_guided"]
