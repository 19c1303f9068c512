"""What a trainer accepts: rows and guidance, checked at construction, before a step is paid for.

Guidance is found by `prompt_id`. A reward function without `**kwargs`, and the `reset` of an environment, accept only
the columns of the data set, so an id that was made here is not passed on.

Not here: how guidance is used (`nearfuture.train.trainer`), the checks of a cache (`nearfuture.guidance.checks`), what
an id is (`nearfuture.tasks.identity`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import GRPOTrainer

from nearfuture.guidance.cache import GuidanceCache
from nearfuture.guidance.checks import check_verdicts
from nearfuture.guidance.experience import ExperienceReplay
from nearfuture.guidance.harvest import Harvest
from nearfuture.guidance.sources import LayeredSources, Source, UniformReplay, WindowedCache, layers
from nearfuture.tasks.identity import is_transformed, prompt_hash, stored, with_prompt_ids
from nearfuture.train import placeholders
from nearfuture.train.npo_config import NPOSettings, Weighting, sampling
from nearfuture.train.tokenizer import tokenizer_hash
from nearfuture.train.vision.images import check_images
from nearfuture.train.vision.lengths import require_template
from nearfuture.types import Guidance, UserError, Verdict

logger = logging.getLogger(__name__)

Row = dict[str, Any]
Verify = Callable[[list[tuple[Row, Guidance]]], dict[str, Verdict]]
"""Guidance and the rows it belongs to -> the verdicts of the verdict reward, by prompt id."""
PROMPT_ID = "prompt_id"


class Ids:
    """The rows of a data set with a `prompt_id` each, and the way back to the original rows.

    Attributes:
        rows: the rows with ids, which are those of the data set or hashes.
    """

    def __init__(self, rows: Dataset) -> None:
        found = with_prompt_ids(rows)
        before = stored(rows)[PROMPT_ID][:] if PROMPT_ID in rows.column_names else None  # at once, not row by row
        after = stored(found)[PROMPT_ID][:]
        self.rows = rows if before == after else found
        self._is_new = before is None
        self._before = None if before is None or before == after else dict(zip(after, before, strict=True))

    def as_given(self, row: Row) -> Row:
        """Return a row of `rows` as it was before it had this id."""
        if self._is_new:
            return {name: value for name, value in row.items() if name != PROMPT_ID}
        return row if self._before is None else {**row, PROMPT_ID: self._before[row[PROMPT_ID]]}


def named(row: Row) -> Row:
    """Return a row with an id, as the data set would give it one; for rows that were read before ids were needed."""
    return row if isinstance(row.get(PROMPT_ID), str) else with_prompt_ids([row])[0]


def text_hashes(rows: Dataset) -> dict[str, str]:
    """Hash the prompts of rows with ids, by id; nothing for rows with images, whose pixels would have to be read."""
    columns = [name for name in ("prompt", PROMPT_ID) if name in rows.column_names]
    if len(columns) < 2 or set(rows.column_names) & {"image", "images"} or is_transformed(rows):
        return {}
    return {row[PROMPT_ID]: prompt_hash(row) for row in stored(rows).select_columns(columns)}


def check_rows(trainer: GRPOTrainer) -> None:
    """Refuse rows on which TRL would fail, if the data can be inspected and TRL makes the prompts from it.

    Raises:
        UserError: rows have messages but the model has no chat template, or have images that cannot be trained on.
    """
    rows = trainer.train_dataset
    if not isinstance(rows, Dataset) or trainer.rollout_func is not None or is_transformed(rows):
        return
    if "prompt" in rows.column_names:
        require_template(trainer.processing_class, rows)
        check_images(rows, trainer.processing_class)


def opened(guidance: Any) -> Source:
    """Turn guidance into a source: the folder of a cache is opened, a cache is served at every step, a list is layered.

    Raises:
        UserError: the folder has no cache, or what replays experience stands in a list.
    """
    if isinstance(guidance, list | tuple):
        found = tuple(layer for one in guidance for layer in layers(opened(one)))
        if sum(isinstance(source, Harvest) for source in found) > 1:
            raise UserError(
                f"{len(found)} sources of guidance with more than one Harvest: all would keep the same. Give one."
            )
        if any(isinstance(source, ExperienceReplay) for source in found):
            raise UserError(
                f"ExperienceReplay in a list of {len(found)} sources of guidance: it chooses the questions, which a "
                "list does not. Give it alone, or Harvest, which answers the questions as they come."
            )
        return LayeredSources(found)
    if isinstance(guidance, str | Path):
        guidance = GuidanceCache.open(guidance)
    return WindowedCache(guidance) if isinstance(guidance, GuidanceCache) else guidance


def refuse_unsupported(trainer: GRPOTrainer) -> None:
    """Refuse guidance where it cannot work: token ids cannot replace a conversation with tools, prompts must be known.

    Raises:
        UserError: the data is streamed, or completions have turns of others.
    """
    if not hasattr(trainer.train_dataset, "__len__"):
        raise UserError(
            "guidance needs a data set of known length: its prompts are checked before step 1 and met again on replay. "
            "Load it without streaming."
        )
    for name, used in {
        "tools": bool(trainer.tools),
        "rollout_func": trainer.rollout_func is not None,
        "environment_factory": trainer.environment_factories is not None,
    }.items():
        if used:
            raise UserError(
                f"guidance cannot be used together with {name}: a guided slot is one completion of the policy, without "
                f"turns of others. Train without guidance, or without {name}."
            )


def check(trainer: GRPOTrainer, npo: NPOSettings, source: Source, verify: Verify) -> None:
    """Check every cache in a source against this trainer, and verify its trajectories again.

    Raises:
        UserError: the tokenizer or prompts differ, or an entry is truncated, too long, would be taken for an image, or
            is no longer correct.
    """
    for layer in layers(source):
        if isinstance(layer, WindowedCache | UniformReplay):
            rows = _check_cache(trainer, npo, layer.cache)
            if npo.verify_guidance:
                check_verdicts(verify([(rows[g.prompt_id], g) for g in layer.cache if g.prompt_id in rows]))


def _check_cache(trainer: GRPOTrainer, npo: NPOSettings, cache: GuidanceCache) -> dict[str, Row]:
    """Check a cache against this trainer; return the training rows that it has guidance for, by prompt id."""
    ids = stored(trainer.train_dataset)[PROMPT_ID][:]
    guided = trainer.train_dataset.select([i for i, prompt_id in enumerate(ids) if prompt_id in cache])
    rows = {row[PROMPT_ID]: row for row in guided}
    coverage = cache.check_compatible(
        tokenizer_hash=tokenizer_hash(trainer.processing_class),
        sampling=sampling(trainer.args),
        prompts=dict.fromkeys(ids, "") | {prompt_id: prompt_hash(row) for prompt_id, row in rows.items()},
        eos_token_ids=trainer.eos_token_ids,
        verifier_version=None,
        require_same_temperature=npo.weighting == Weighting.IMPORTANCE,
    )
    placeholders.refuse(trainer.processing_class, (guidance for guidance in cache if guidance.prompt_id in rows))
    logger.info("guidance for %d of %d prompts", coverage.num_covered, coverage.num_prompts)
    if coverage.num_foreign:
        logger.warning("%d guidance entries are for prompts that are not in the data", coverage.num_foreign)
    return rows
