"""The reward of a task: what a verdict earns, and when a failing verifier must stop the run.

    verdict   correct   wrong, no answer   invalid gold, timeout, crash
    reward    1.0       0.0                None (TRL leaves the row out)

Time-outs and crashes say nothing about the completions. But if there are many, the run learns only from the others,
which are a biased sample; beyond `Task.max_failure_frac` it stops.

Not here: judging (`judging`, `verify`), a reward for scripts without a task (`verify.trl_reward`).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from nearfuture.tasks.judging import OWN_RULE, completion_text, judge_many
from nearfuture.tasks.task import Task
from nearfuture.types import UserError, Verdict
from nearfuture.verify.decide import RULES, Decision

NOT_COLUMNS = ("trainer_state", "log_extra", "log_metric", "environments")
"""What TRL passes to a reward function in addition to the columns of the data set."""

MIN_VERDICTS, MIN_WHEN_MOST_FAIL = 1000, 100
"""The fewest recent verdicts that can stop a run; the smaller number is enough if more than half failed."""


class VerdictReward:
    """A reward function for TRL: 1 for a correct completion, 0 for a wrong one, None if nothing was judged.

    Attributes:
        verdicts: how often each verdict was given so far in this process.
    """

    def __init__(self, task: Task) -> None:
        self.__name__ = "correct"
        self.task = task
        self.verdicts: Counter[Verdict] = Counter()
        self._latest: deque[Counter[Verdict]] = deque()

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Any], completion_ids: Any = None, **columns: Any
    ) -> list[float | None]:
        """Judge every completion with its row; `columns` holds one list per column, and what TRL adds.

        Raises:
            UserError: too many of the latest verdicts were time-outs or crashes.
        """
        log_metric = columns.get("log_metric")
        data = {name: values for name, values in columns.items() if name not in NOT_COLUMNS} | {"prompt": prompts}
        rows = [{name: values[i] for name, values in data.items()} for i in range(len(completions))]
        decisions = judge_many(self.task.verify, [completion_text(one) for one in completions], rows)
        counts = Counter(decision.verdict for decision in decisions)
        self.verdicts.update(counts)
        if log_metric is not None:
            _log(decisions, log_metric)
        self._check_failures(counts)
        return [verdict_reward(decision.verdict) for decision in decisions]

    def _check_failures(self, counts: Counter[Verdict]) -> None:
        self._latest.append(counts)
        while sum(one.total() for one in self._latest) - self._latest[0].total() >= MIN_VERDICTS:
            self._latest.popleft()
        latest = sum(self._latest, Counter())
        failures = latest[Verdict.TIMEOUT] + latest[Verdict.CRASH]
        limit = self.task.max_failure_frac
        is_known = latest.total() >= (MIN_WHEN_MOST_FAIL if 2 * failures > latest.total() else MIN_VERDICTS)
        if not is_known or failures <= limit * latest.total():
            return
        raise UserError(
            f"the verifier of task {self.task.name!r} failed on {failures} of the latest {latest.total()} completions "
            f"({latest[Verdict.TIMEOUT]} time-outs, {latest[Verdict.CRASH]} crashes); at most "
            f"{limit:.0%} may (Task.max_failure_frac). Training on the rest would be biased. The "
            "first crash of a kind is in the log above; resume when the verifier is fixed, or raise the limit."
        )


def verdict_reward(verdict: Verdict) -> float | None:
    """Return the reward of a verdict; None if nothing was judged."""
    return float(verdict is Verdict.CORRECT) if verdict.is_judged else None


def _log(decisions: Sequence[Decision], log_metric: Callable[[str, float], None]) -> None:
    """Log the share of every verdict, and of every rule of the built-in verifier."""
    total = max(len(decisions), 1)
    verdicts = Counter(decision.verdict for decision in decisions)
    for verdict in Verdict:
        log_metric(f"verifier/{verdict.value}_frac", verdicts[verdict] / total)
    rules = Counter(decision.rule for decision in decisions)
    if OWN_RULE not in rules:
        for rule in RULES:
            log_metric(f"verifier/rule/{rule}_frac", rules[rule] / total)
