"""Which guidance a trainer takes: what is refused at construction, before a step is paid for.

Not here: what guidance is used for (`nearfuture.train.trainer`), the checks of a cache (`nearfuture.guidance.checks`).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from nearfuture.guidance.cache import GuidanceCache
from nearfuture.guidance.checks import check_verdicts
from nearfuture.guidance.sources import LayeredCaches, Source, UniformReplay, WindowedCache
from nearfuture.tasks.identity import prompt_hash, stored
from nearfuture.train import placeholders, rewards
from nearfuture.train.groups import sampling
from nearfuture.train.npo_config import Weighting
from nearfuture.train.tokenizer import tokenizer_hash
from nearfuture.types import UserError

if TYPE_CHECKING:
    from nearfuture.train.trainer import NPOTrainer

logger = logging.getLogger(__name__)


def opened(guidance: GuidanceCache | Source | str | Path) -> Source:
    """A source; the folder of a cache is opened, a cache is served at every step.

    Raises:
        UserError: no cache lies there.
    """
    if isinstance(guidance, str | Path):
        guidance = GuidanceCache.open(guidance)
    return WindowedCache(guidance) if isinstance(guidance, GuidanceCache) else guidance


def check(trainer: NPOTrainer, source: Source) -> None:
    """Check every cache in a source against this trainer.

    Raises:
        UserError: see `check_cache`.
    """
    for layer in source.layers if isinstance(source, LayeredCaches) else (source,):
        if isinstance(layer, WindowedCache | UniformReplay):
            check_cache(trainer, layer.cache)


def refuse_unsupported(trainer: NPOTrainer) -> None:
    """A trajectory of token ids cannot stand in for a conversation with tools, and needs to find its prompt.

    Raises:
        UserError: streamed data, or turns of others.
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


def check_cache(trainer: NPOTrainer, cache: GuidanceCache) -> None:
    """Check a cache against this trainer, and verify its trajectories again, before step 1.

    Raises:
        UserError: another tokenizer, other prompts, an entry that is truncated, too long, would be taken for an image,
            or is not correct any more.
    """
    ids = list(stored(trainer.train_dataset)["prompt_id"])
    guided = trainer.train_dataset.select([i for i, prompt_id in enumerate(ids) if prompt_id in cache])
    rows = {row["prompt_id"]: row for row in guided}
    coverage = cache.check_compatible(
        tokenizer_hash=tokenizer_hash(trainer.processing_class),
        sampling=sampling(trainer.args),
        prompts=dict.fromkeys(ids, "") | {prompt_id: prompt_hash(row) for prompt_id, row in rows.items()},
        eos_token_ids=trainer.eos_token_ids,
        verifier_version=None,
        require_same_temperature=trainer.npo.weighting == Weighting.IMPORTANCE,
    )
    placeholders.refuse(trainer.processing_class, (guidance for guidance in cache if guidance.prompt_id in rows))
    logger.info("guidance for %d of %d prompts", coverage.num_covered, coverage.num_prompts)
    if coverage.num_foreign:
        logger.warning("%d guidance entries are for prompts that are not in the data", coverage.num_foreign)
    if trainer.npo.verify_guidance:
        verdicts = rewards.judge_again(trainer, [(rows[g.prompt_id], g) for g in cache if g.prompt_id in rows])
        check_verdicts(verdicts)
