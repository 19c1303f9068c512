"""Fill a `Harvest` while a trainer trains, with the first correct rollout of every group, once its log-probs are known.

It only watches: until something harvested is used, a run that harvests equals the run that does not, bit for bit.

Letters: P prompts, G generations per prompt, B local rows.

Not here: what is kept (`nearfuture.guidance.harvest`), where log-probs come from (`awaiting`).
"""

from __future__ import annotations

import logging

from accelerate.utils import gather_object
from trl import GRPOTrainer

from nearfuture.guidance.ask import has_ended
from nearfuture.guidance.experience import Success
from nearfuture.guidance.harvest import Harvest
from nearfuture.tasks.identity import prompt_hash
from nearfuture.train.awaiting import Awaiting
from nearfuture.train.step import Step

logger = logging.getLogger(__name__)


class Harvester(Awaiting):
    """One trainer's harvest."""

    key = "harvest"

    def __init__(self, trainer: GRPOTrainer, harvest: Harvest) -> None:
        super().__init__()
        self.trainer, self.harvest = trainer, harvest
        self._step = 0

    def observe(self, step: Step) -> None:
        """Record a step: how often each prompt was solved, and one answer to each, which waits."""
        is_correct_P_G = step.correct_P_G & step.is_judged_P_G
        self.harvest.observe(step.prompt_ids, is_correct_P_G.sum(1).tolist(), step.is_judged_P_G.sum(1).tolist())
        is_first_P_G = is_correct_P_G & (is_correct_P_G.cumsum(1) == 1)
        self._step = step.number
        self.wait(step, step.local(is_first_P_G.view(-1)), self.trainer.eos_token_ids)

    def prune(self, prompts: dict[str, str]) -> None:
        """Drop what a checkpoint brought and could not be served here, as after a fork with other data or lengths.

        Args:
            prompts: the hashes of the prompts by id, as far as they are known.
        """
        trainer, num_before = self.trainer, len(self.harvest)

        def fits(success: Success) -> bool:
            is_known = prompts.get(success.prompt_id, success.prompt_hash) == success.prompt_hash
            is_short = len(success.completion_ids) <= trainer.args.max_completion_length
            return is_known and is_short and has_ended(success.completion_ids, trainer.eos_token_ids)

        if num := self.harvest.prune(fits):
            logger.warning(
                "%d of %d kept answers of the checkpoint are left out: they answer other prompts than these ids have "
                "now, are longer than max_completion_length, or do not end",
                num,
                num_before,
            )

    def flush(self) -> None:
        """Store what all processes found; called on all of them."""
        found = [
            Success(one.row["prompt_id"], prompt_hash(one.row), one.completion_ids, one.logps or (), self._step)
            for one in self.drain()
        ]
        self.harvest.store(gather_object(found))
