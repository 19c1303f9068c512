"""Parallel self (CoPD): branches from one base learn different parts of the data, and each judges the others.

Each optimizer step belongs to one branch. A cycle is, for every branch in turn, `parallel_own_steps` of GRPO on its own
part, then for every branch `parallel_peer_steps` on another's part, where that other branch judges its tokens:

    A_t = distill_coef (log pi_peer(o_t) - log pi(o_t))

The policy in checkpoints, in evaluations and at the end is the mean of the branches' weights. See CoPD
(arXiv:2604.27083), docs/methods/copd.md. Deviations: branches take turns, so that all of them together take
`max_steps`; a peer judges with the weights it has at that time.

Not here: the judgement as an advantage (`nearfuture.method.weighting`), the prompts of a part (`order`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from trl import GRPOTrainer

from nearfuture.train import scoring
from nearfuture.train.held import Weights, copy_of, held, put, trained
from nearfuture.train.npo_config import NPOSettings
from nearfuture.train.order import PartedSampler
from nearfuture.train.sharding import refuse_second_weights
from nearfuture.train.step import Step
from nearfuture.types import UserError

Optimized = dict[str, dict[str, Tensor]]


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn of a step: the branch that learns, the part of the data it asks, and who judges (None: the verifier)."""

    branch: int
    part: int
    peer: int | None


def turn_of(step: int, npo: NPOSettings) -> Turn:
    """Return the turn of the optimizer step after `step`.

    Example:
        >>> npo = NPOSettings(parallel_branches=2, parallel_own_steps=2, parallel_peer_steps=1)
        >>> [(t.branch, t.part) for t in (turn_of(step, npo) for step in range(6))]
        [(0, 0), (0, 0), (1, 1), (1, 1), (0, 1), (1, 0)]
    """
    num, own = npo.parallel_branches, npo.parallel_own_steps
    cycle, at = divmod(step, num * (own + npo.parallel_peer_steps))
    if at < num * own:
        return Turn(at // own, at // own, None)
    branch = (at - num * own) // npo.parallel_peer_steps
    peer = (branch + 1 + cycle % (num - 1)) % num if num > 1 else branch
    return Turn(branch, peer, peer)


def parts_of(values: Sequence[Any], num_parts: int) -> list[int]:
    """Deal rows out to parts by the value of a column: equal values go to one part, each part gets its share of values.

    Example:
        >>> parts_of(["b", "a", "c", "a"], 2)
        [1, 0, 0, 0]
    """
    order = {value: i for i, value in enumerate(sorted(set(values), key=str))}
    return [order[value] % num_parts for value in values]


class Branches:
    """The branches of one trainer; the model holds the branch whose turn it is, with its optimizer state."""

    def __init__(self, trainer: GRPOTrainer, npo: NPOSettings) -> None:
        args = trainer.args
        if args.steps_per_generation * trainer.num_iterations != args.gradient_accumulation_steps:
            raise UserError(
                f"parallel_branches={npo.parallel_branches}: what a branch generates is trained on in one step, but a "
                "generated batch lasts for several here. Set steps_per_generation to gradient_accumulation_steps and "
                "num_iterations=1."
            )
        self.trainer, self.npo = trainer, npo
        self.turn = Turn(0, 0, None)
        self._weights: list[Weights] = []
        self._optimized: list[Optimized] = []
        self._active: int | None = None

    @property
    def _model(self) -> Any:
        return self.trainer.accelerator.unwrap_model(self.trainer.model)

    def begin(self, step: int) -> None:
        """Give the model to the branch whose turn it is."""
        is_sharded = self.trainer.is_deepspeed_enabled or self.trainer.is_fsdp_enabled
        refuse_second_weights("parallel_branches", is_sharded=is_sharded)
        self.turn = turn_of(step, self.npo)
        if not self._weights:
            self._weights = [copy_of(self._model) for _ in range(self.npo.parallel_branches)]
            self._optimized = [{} for _ in self._weights]
        self.trainer._metrics["train"]["npo/branch"].append(float(self.turn.branch))
        if self._active == self.turn.branch:
            return
        if self._active is not None:
            self._optimized[self._active] = self._optimizer_state()
        self._active = self.turn.branch
        put(self._model, self._weights[self._active])
        self._weights[self._active] = {name: weight.data for name, weight in trained(self._model).items()}
        self._set_optimizer_state(self._optimized[self._active])

    def _optimizer_state(self) -> Optimized:
        state, found = self.trainer.optimizer.state, trained(self._model)
        return {name: dict(state[parameter]) for name, parameter in found.items() if parameter in state}

    def _set_optimizer_state(self, optimized: Optimized) -> None:
        state = self.trainer.optimizer.state
        state.clear()
        for name, parameter in trained(self._model).items():
            if name in optimized:
                state[parameter] = {
                    key: value if key == "step" else value.to(parameter.device)
                    for key, value in optimized[name].items()
                }

    def sampler(self, **arguments: Any) -> PartedSampler:
        """The order of the prompts: each part by the turn that asks it.

        Raises:
            UserError: there is no such column, or a part does not fill a batch.
        """
        rows, column = self.trainer.train_dataset, self.npo.parallel_column
        if column is not None and column not in rows.column_names:
            raise UserError(
                f"parallel_column={column}: the training rows have {', '.join(sorted(rows.column_names))}. Name one of "
                "them, or leave it out to deal the rows out one by one."
            )
        num = self.npo.parallel_branches
        parts = [i % num for i in range(len(rows))] if column is None else parts_of(rows[column], num)
        sizes = [parts.count(part) for part in range(num)]
        if min(sizes) < arguments["batch_size"]:
            raise UserError(
                f"parallel_branches={num}: the parts have {', '.join(map(str, sizes))} prompts, and a batch needs "
                f"{arguments['batch_size']}. Use fewer branches, a smaller batch, or another parallel_column."
            )
        return PartedSampler(**arguments, parts=parts, part_of_batch=lambda number: turn_of(number, self.npo).part)

    def attach(self, step: Step, output: dict[str, Any]) -> None:
        """If it is a peer's turn to judge, let its log-probs be the whole advantage of this batch's tokens."""
        ids, peer = output["completion_ids"], self.turn.peer
        is_judged_B = torch.full((len(ids),), peer is not None, device=ids.device)
        logps_B_T = torch.zeros(ids.shape, device=ids.device)
        if peer is not None:
            with held(self._model, self._weights[peer]), torch.no_grad():
                logps = scoring.per_token(self.trainer, step.given, step.completion_ids)[0]
            logps_B_T[:, : logps.size(1)] = logps[:, : ids.size(1)].float()
            output["advantages"] = torch.zeros_like(output["advantages"])
        output["is_distilled"], output["guide_logps"] = is_judged_B, logps_B_T
        self.trainer._metrics["train"]["npo/distilled_frac"].append(is_judged_B.float().mean().item())

    @contextlib.contextmanager
    def merged(self) -> Iterator[None]:
        """Hold the mean of the branches' weights in the model; before the first step it is the base."""
        if not self._weights:
            yield
            return
        mean = {
            name: torch.stack([weights[name].to(weight.device) for weights in self._weights]).mean(0)
            for name, weight in trained(self._model).items()
        }
        with held(self._model, mean):
            yield

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint must hold: the weights of every branch, and its optimizer state."""
        if self._active is not None:
            self._optimized[self._active] = self._optimizer_state()
        flat = {f"{i}|weights|{name}": v for i, weights in enumerate(self._weights) for name, v in weights.items()}
        for i, optimized in enumerate(self._optimized):
            for name, state in optimized.items():
                flat |= {f"{i}|{key}|{name}": value for key, value in state.items()}
        return flat

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Continue exactly where `tensors` was called; the model gets its branch at the next step. Empty: begin."""
        self._weights = [{} for _ in range(self.npo.parallel_branches)] if tensors else []
        self._optimized = [{} for _ in self._weights]
        self._active = None
        for flat, value in tensors.items():
            number, kind, name = flat.split("|", 2)
            if kind == "weights":
                self._weights[int(number)][name] = value
            else:
                self._optimized[int(number)].setdefault(name, {})[kind] = value
