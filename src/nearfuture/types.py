"""The plain values every layer speaks about, and the errors a user sees.

Standard library only: these values can be printed, compared, pickled and written as JSON.

Not here: anything that computes (`method`), reads or writes files (`guidance`, `run`) or trains (`train`).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

NUM_SAMPLES = 8
"""Most samples per prompt, where guidance is collected and nothing else is asked for."""
BATCH_SIZE = 256
"""Completions that are sampled at once, likewise."""


class Verdict(StrEnum):
    """What a verifier said about one completion.

    Only `CORRECT` opens or closes the gate. The last three say that no judgement was possible: they are counted
    apart, earn no reward (neither 0 nor 1), and do not enter a pass rate.
    """

    CORRECT = "correct"
    WRONG = "wrong"
    NO_ANSWER = "no_answer"
    INVALID_GOLD = "invalid_gold"
    TIMEOUT = "timeout"
    CRASH = "crash"

    @property
    def is_judged(self) -> bool:
        """True if the completion was judged (an answer that cannot be parsed is a wrong one)."""
        return self in (Verdict.CORRECT, Verdict.WRONG, Verdict.NO_ANSWER)

    @property
    def is_failure(self) -> bool:
        """True if the verifier failed: it is never remembered, since asking again may give a verdict."""
        return self in (Verdict.TIMEOUT, Verdict.CRASH)


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """A checkpoint on the lineage: `path` is relative to the run folder."""

    segment: int
    step: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """The sampling settings a trajectory was drawn with; they are part of what its log-probs mean."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    max_completion_length: int


@dataclass(frozen=True, slots=True)
class Guidance:
    """One verified trajectory of a guide for one prompt.

    `completion_ids` end with an end-of-sequence token. `behavior_logps` are the guide's per-token log-probs at the
    sampling temperature, one per token (nats), or `()` if they are unknown (a trace that came as text).
    `num_samples` and `num_correct` are those of the prompt: how many were drawn, and how many of them were correct.
    """

    prompt_id: str
    prompt_hash: str
    completion_ids: tuple[int, ...]
    behavior_logps: tuple[float, ...]
    guide_segment: int
    guide_step: int
    verdict: Verdict
    num_samples: int
    num_correct: int


class Kind(StrEnum):
    """Who asked for an intervention: the configuration, or AutoNPO.

    `early` is that of `scout_steps`, `late` that of `guide_step`. Resampling (`resample_steps`), where the base policy
    guides itself, is called `again` in a lineage.
    """

    EARLY = "early"
    LATE = "late"
    RESAMPLING = "again"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Intervention:
    """Train again from `start_step` with guidance of a later policy, until `end_step` at most.

    Attributes:
        kind: who asked for it, a `Kind`.
        guide: the policy that was trained ahead.
        start_step: where training goes back to.
        end_step: the first step without guidance; None: guidance lasts as long as the gate admits it.
        evidence: the numbers that led to it.
    """

    kind: str
    guide: PolicyRef
    start_step: int
    end_step: int | None
    evidence: dict[str, Any] = field(default_factory=dict)


class UserError(ValueError):
    """Bad configuration or data: what was seen, the rule, the remedy. The command line exits with `exit_code`."""

    exit_code = 2


class NoSignalError(UserError):
    """Nothing to learn from: no usable rows, a guide that solved nothing, batches without signal."""

    exit_code = 3


class DiskError(UserError):
    """The disk cannot hold what the run will write."""

    exit_code = 4


def did_you_mean(name: str, known: Iterable[str], say: Callable[[str], str] = str) -> str:
    """A question at the end of an error that names what was probably meant; empty if nothing is close.

    Args:
        name: what was written.
        known: what there is.
        say: how a name is shown: `repr` for what stands in quotes beside it.

    Example:
        >>> did_you_mean("temperatur", ["top_p", "temperature"])
        ' Did you mean temperature?'
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {say(near[0])}?" if near else ""
