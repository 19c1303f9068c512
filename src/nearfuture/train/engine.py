"""Sampling and scoring with a policy outside a training step: guides, held-out prompts.

The engine generates through TRL's own `_generate`, so that whatever backend trains the policy (transformers, vLLM) also
samples its guide, and scores with TRL's training forward, so that behaviour log-probs and learner log-probs come from
one stack. It leaves no trace in the trainer: metrics, token counts and every random state are as before.

Not here: choosing what to sample and keep (`nearfuture.guidance.collect`, `nearfuture.guidance.held_out`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from accelerate.utils import broadcast_object_list, gather_object

from nearfuture.train import inject, processes, scoring, sharding
from nearfuture.train.npo_config import sampling
from nearfuture.train.randomness import isolated_rng
from nearfuture.train.tokenizer import tokenizer_hash
from nearfuture.train.trainer import NPOTrainer

Row = dict[str, Any]
NUM_AT_ONCE = 256
"""How many prompts are tokenized together."""


class TRLEngine:
    """The policy of an `NPOTrainer` as a sampler. Every process calls it with the same rows and gets all results."""

    def __init__(self, trainer: NPOTrainer) -> None:
        self.trainer = trainer
        self.sampling = sampling(trainer.args)
        self.tokenizer_hash = tokenizer_hash(trainer.processing_class)
        self.eos_token_ids = tuple(trainer.eos_token_ids)

    @property
    def is_main(self) -> bool:
        """True on the one process that writes files."""
        return bool(self.trainer.accelerator.is_main_process)

    def broadcast(self, value: Any) -> Any:
        """The main process's value, on every process."""
        return broadcast_object_list([value])[0]

    def shared(self, work: Callable[[Sequence[int]], Sequence[Any]], num_rows: int) -> list[Any]:
        """One result per row, each computed by one process; see `nearfuture.train.processes.shared`."""
        return processes.shared(work, num_rows)

    def prompt_lengths(self, rows: Sequence[Row]) -> list[int]:
        """The lengths of the tokenized prompts, image tokens included. Patches are not kept longer than needed."""

        def measure(mine: Sequence[int]) -> list[int]:
            parts = ([rows[i] for i in mine[start : start + NUM_AT_ONCE]] for start in range(0, len(mine), NUM_AT_ONCE))
            return [len(ids) for part in parts for ids in scoring.tokenize(self.trainer, part).ids]

        return processes.shared(measure, len(rows))

    def decode(self, rows: Sequence[Row], completion_ids: Sequence[Sequence[int]]) -> list[str]:
        """Text of completions, as TRL shows it to a reward function."""
        if not completion_ids:  # a tokenizer takes an empty list for one empty text
            return []
        return inject.decode(self.trainer.processing_class, list(completion_ids))

    def generate(self, rows: Sequence[Row], seed: int) -> list[list[int]]:
        """Sample one completion per row, including EOS if it ended. Deterministic in (weights, rows, seed)."""
        mine = [rows[i] for i in processes.my_share(len(rows))]
        with self._quiet(), isolated_rng(seed + self.trainer.accelerator.process_index):
            completion_ids = self.trainer._generate(scoring.prompts(mine))[1]
        return gather_object([list(ids) for ids in completion_ids])[: len(rows)]

    def score(self, rows: Sequence[Row], completion_ids: Sequence[Sequence[int]]) -> list[list[float]]:
        """Per-token log-probs (nats) of completions at the sampling temperature, from the training forward."""
        mine = processes.my_share(len(rows))
        completions = [completion_ids[i] for i in mine]
        with self._quiet(), torch.no_grad():
            logps = self.per_token_logps([rows[i] for i in mine], completions).float().cpu()
        scores = [row[: len(ids)].tolist() for row, ids in zip(logps, completions, strict=True)]
        return gather_object(scores)[: len(rows)]

    def per_token_logps(self, rows: list[Row], completion_ids: Sequence[Sequence[int]]) -> torch.Tensor:
        """[B, T] log-probs (nats) of this process's rows; see `nearfuture.train.scoring.per_token`."""
        return scoring.per_token(self.trainer, rows, completion_ids)[0]

    @contextlib.contextmanager
    def _quiet(self) -> Iterator[None]:
        """Evaluation mode, one completion per prompt, and no trace in the trainer's metrics."""
        trainer = self.trainer
        was_training, num_generations = trainer.model.training, trainer.num_generations_eval
        trainer.model.eval()
        trainer.num_generations_eval = 1
        try:
            yield
        finally:
            sharding.reshard(trainer.model)
            trainer.model.train(was_training)
            trainer.num_generations_eval = num_generations
            trainer._metrics["eval"].clear()
