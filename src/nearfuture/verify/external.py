"""The user's own verifiers: `path/to/file.py:function` in verl's or EasyR1's form, run in processes that can be killed.

    verl                  compute_score(data_source, solution_str, ground_truth, extra_info=None) -> float | dict
    a task's own          verify(completion, row: dict) -> bool | float
    EasyR1, a batch       compute_score(reward_inputs: list[dict]) -> list[dict]
    EasyR1, one by one    compute_score(reward_input: dict) -> dict
    EasyR1, older         compute_score(predicts: list, ground_truths: list), compute_score(predict, ground_truth)

The form follows from the parameter names. A score of at least `threshold` is correct. From a dict the first of
`accuracy`, `acc`, `score` and `overall` that is present is read: a format bonus must not open or close the gate.

Not here: the forms on the worker's side (`external_service`), the pool (`pool`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nearfuture.json_text import loads
from nearfuture.types import UserError, Verdict, did_you_mean
from nearfuture.verify.decide import Decision
from nearfuture.verify.files import require_function, split_spec
from nearfuture.verify.pool import Crashed, TimedOut, WorkerPool, last_line
from nearfuture.verify.rows import GOLD_COLUMNS, RowVerifier

logger = logging.getLogger(__name__)

TIME_LIMIT = 10.0
"""Seconds of CPU time that the user's own verifier may take per completion."""

VERL = ("data_source", "extra_info", "ground_truth")
NOT_EXTRA = frozenset(("prompt", "image", "images", "trainer_state"))
BUILT_IN: dict[str | None, Callable[[], RowVerifier]] = {
    None: RowVerifier,
    "lenient": RowVerifier,
    "strict": lambda: RowVerifier(strict=True),
}


def load_verifier(spec: str | None = None, *, threshold: float = 1.0) -> RowVerifier | ExternalVerifier:
    """Load a verifier for the rows of a task.

    Args:
        spec: `path/to/file.py:function`; or the built-in verifier: `lenient` (also None) or `strict` (tag or box only).
        threshold: lowest score that counts as correct.

    Raises:
        UserError: there is no such file or function, or the function has no known form.
    """
    if spec in BUILT_IN:
        return BUILT_IN[spec]()
    return ExternalVerifier(spec or "", threshold=threshold)


def require_verifier(spec: str | None) -> None:
    """Refuse a verifier that does not exist, judging by names and files: nothing is imported.

    Raises:
        UserError: unknown name, missing file or function.
    """
    if spec not in BUILT_IN:
        require_function(*_place(spec or ""), key="verifier", spec=spec or "")


def _place(spec: str) -> tuple[Path, str]:
    """Return file and function of a verifier that is not built in."""
    hint = did_you_mean(spec, [name for name in BUILT_IN if name])
    unknown = f"verifier={spec!r} is neither lenient nor strict.{hint} Give one of these, or path/to/file.py:function."
    return split_spec(spec, key="verifier", otherwise=unknown)


class ExternalVerifier:
    """The user's own verifier, in workers with a limit on CPU time but none on memory.

    It is given the response, the gold answer, the row's source and everything else in the row that fits in JSON
    (`extra_info`), but no images. Its `version` changes with the file.
    """

    def __init__(
        self, spec: str, *, threshold: float = 1.0, time_limit: float = TIME_LIMIT, size: int | None = None
    ) -> None:
        path, function = _place(spec)
        self.version = hashlib.sha256(path.read_bytes() + f"{function} {threshold}".encode()).hexdigest()[:16]
        self.spec, self.threshold, self.time_limit = spec, threshold, time_limit
        argument = json.dumps([str(path), function, spec])
        self.pool = WorkerPool("nearfuture.verify.external_service:make_service", argument, size=size, memory=0)
        try:
            self.is_batch = self.pool.ask(None, limit=time_limit) == "batch"
        except (Crashed, TimedOut) as error:
            said = last_line(error).removeprefix("nearfuture.types.UserError: ")
            raise UserError(
                said if said.startswith("verifier=") else f"verifier={spec!r} cannot be used: {said}"
            ) from None

    def __call__(self, completion: str, row: Mapping[str, Any]) -> Verdict:
        """Judge one completion."""
        return self.many([completion], [row])[0].verdict

    def many(self, completions: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[Decision]:
        """Judge completions, each with its row: in one call if the function takes batches, otherwise in parallel."""
        items = [_payload(text, row) for text, row in zip(completions, rows, strict=True)]
        if not self.is_batch:
            return [
                self._decide(reply) for reply in self.pool.ask_many([[item] for item in items], limit=self.time_limit)
            ]
        try:
            scores = self.pool.ask(items, limit=self.time_limit * max(1, len(items)))
        except (Crashed, TimedOut) as error:
            return [self._decide(error)] * len(items)
        return [self._decide([score]) for score in scores]

    def _decide(self, reply: Any) -> Decision:
        if isinstance(reply, TimedOut):
            return Decision(Verdict.TIMEOUT, "own")
        if isinstance(reply, Exception):
            _log_once(self.spec, reply)
            return Decision(Verdict.CRASH, "own")
        score = reply[0]
        if score is None:
            return Decision(Verdict.INVALID_GOLD, "own")
        if not math.isfinite(score):
            return Decision(Verdict.CRASH, "own")
        return Decision(Verdict.CORRECT if score >= self.threshold else Verdict.WRONG, "own")


_logged: set[tuple[str, str]] = set()


def _log_once(spec: str, error: Exception) -> None:
    """Log the first crash of each kind with its traceback and count the rest."""
    kind = (spec, last_line(error))
    if kind not in _logged:
        _logged.add(kind)
        logger.error("verifier=%s crashed; further ones of this kind are only counted:\n%s", spec, error)


def _payload(completion: str, row: Mapping[str, Any]) -> dict[str, Any]:
    row = {**row, **_facts(row)}
    reward_model = row.get("reward_model")
    gold = next((row[name] for name in GOLD_COLUMNS if row.get(name) is not None), None)
    if gold is None and isinstance(reward_model, Mapping):
        gold = reward_model.get("ground_truth")
    whole = {name: value for name, value in row.items() if name not in NOT_EXTRA and _is_json(value)}
    extra = row.get("extra_info")
    return {
        "response": completion,
        "ground_truth": row.get("ground_truth", gold),
        "data_source": row.get("data_source") or row.get("source"),
        "extra_info": dict(extra) if isinstance(extra, Mapping) else whole,
        "row": whole,
    }


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row of the schema keeps in `meta` of a data set in verl's form: source, extra facts, a gold answer with
    parts."""
    with suppress(TypeError, ValueError):
        meta = loads(row.get("meta") or "{}")
        if isinstance(meta, Mapping):
            return {name: meta[name] for name in VERL if meta.get(name) is not None and name not in row}
    return {}


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
