"""A data set as a task: its rows, judged by the built-in verifier or the user's own.

Not here: reading rows (`loading`), judging them (`nearfuture.verify`), prompts that are too long (they need the
model's tokenizer: `nearfuture.run.build`).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nearfuture.options.data import DataConfig
from nearfuture.tasks.data.loading import Loaded, load_rows
from nearfuture.tasks.task import Task
from nearfuture.types import NoSignalError, UserError
from nearfuture.verify import RowVerifier, load_verifier

if TYPE_CHECKING:
    from datasets import Dataset

UNREADABLE = "gold answer that cannot be verified against itself"


def data_task(config: DataConfig) -> Task:
    """Load a data set as a task.

    Raises:
        UserError: it does not exist, or its columns have no known meaning.
        NoSignalError: no row is left.
    """
    verifier = load_verifier(config.verifier)
    loaded = with_readable_gold(load_rows(config), verifier)
    if not len(loaded.rows):
        raise NoSignalError(
            f"dataset_name={config.dataset_name}: of {loaded.counts.num_rows} rows none are left ({reasons(loaded)}). "
            "Loosen the limits, or choose other data."
        )
    train, evaluation = _held_out(loaded.rows, config, verifier)
    return Task(
        name=loaded.source,
        train=train,
        evaluation=evaluation,
        verify=verifier,
        verifier_version=verifier.version,
        notes=(summary(loaded),),
    )


def with_readable_gold(loaded: Loaded, verifier: Any) -> Loaded:
    """Leave out rows whose gold answer the built-in verifier cannot verify against itself; they are counted."""
    if not isinstance(verifier, RowVerifier) or not len(loaded.rows):
        return loaded
    faults = verifier.gold_faults(list(loaded.rows.select_columns(["gold", "kind", "options", "tolerance"])))
    if not faults:
        return loaded
    for index in faults:
        loaded.counts.drop(loaded.numbers[index], UNREADABLE)
    kept = [index for index in range(len(loaded.rows)) if index not in faults]
    numbers = [loaded.numbers[index] for index in kept]
    return replace(loaded, rows=loaded.rows.select(kept), numbers=numbers)


def summary(loaded: Loaded) -> str:
    """Say in one line what was read, kept and left out."""
    counts = loaded.counts
    dropped = f"; left out: {reasons(loaded)} (`nearfuture data check` names rows)" if counts.dropped else ""
    return f"{loaded.source} ({loaded.form}): {counts.num_rows} rows read, {counts.num_kept} kept{dropped}"


def reasons(loaded: Loaded) -> str:
    """List reasons with their counts, the largest first."""
    return ", ".join(f"{count} {reason}" for reason, count in loaded.counts.dropped.most_common()) or "nothing"


def _held_out(rows: Dataset, config: DataConfig, verifier: Any) -> tuple[Dataset, Any]:
    """Return the rows to train on and those to evaluate, which come from another split or have the lowest id hashes.

    A repeated question is on one side only.
    """
    if config.dataset_test_split is not None:
        return rows, with_readable_gold(load_rows(config, config.dataset_test_split), verifier).rows
    if not config.dataset_num_held_out:
        return rows, []
    first: dict[str, int] = {}
    for index, uid in enumerate(rows["uid"]):
        first.setdefault(uid, index)
    chosen = set(sorted(first, key=lambda uid: hashlib.sha256(uid.encode()).digest())[: config.dataset_num_held_out])
    if len(chosen) == len(first):
        raise UserError(
            f"dataset_num_held_out={config.dataset_num_held_out}: there are {len(first)} questions, so none is left to "
            "train on. Hold out fewer."
        )
    outside = [index for index, uid in enumerate(rows["uid"]) if uid not in chosen]
    return rows.select(outside), rows.select(sorted(first[uid] for uid in chosen))
