"""One generated batch of training as a value: what was asked, generated, judged and selected.

The trainer begins a `Step` and passes it from part to part; each part adds its fields and reads those of others.

TRL gathers rows in process order, so global row r of N belongs to process r // B and to prompt r // G; the last slot of
prompt p is row p * G + G - 1, whichever process owns it.

Letters: P prompts, G generations per prompt, B local rows, N = P * G global rows, F reward functions.

Not here: the order of the parts (`nearfuture.train.trainer`), judging (`nearfuture.train.rewards`), looking guidance up
and putting it into its slot (`nearfuture.train.inject`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor
from trl import GRPOTrainer

from nearfuture.method.gate import select_guided
from nearfuture.types import Guidance

Row = dict[str, Any]


@dataclass
class Step:
    """A generated batch on its way through the trainer, which fills the fields in order.

    Attributes:
        number: how many optimizer steps were taken before.
        rows: this process's rows, with their ids.
        given: the same rows as the data set has them.
        num_generations: G.
        process_index: the number of this process.
        num_processes: the number of processes that share the groups.
        completion_ids: what the policy wrote on this process, never the guide's text.
        rewards_N_F: the rewards of these completions.
        verdicts_P_G: the reward that carries the verdict: NaN where it could not be judged, 0 where it was cut off.
        is_judged_P_G: False where it could not be judged.
        correct_P_G: True where the verdict is "correct".
        pass_rate_P: share of the judged rollouts that are correct; NaN where none was judged.
        found_B: guidance for the last slots of this process.
        has_guidance_P: the prompts for which some was found, on any process.
        ahead_P: how many steps after this one its policy stood, negative if before; NaN where that is not known.
        max_pass_rate: the highest pass rate of a group that is guided.
        is_gated_P: the prompts that the policy fails often enough to be guided.
        inject_P: the prompts whose last slot becomes guidance: gated, and some was found.
        guidance_B: what takes the last slots of this process.
        is_guided: whether guidance takes a slot on any process.
        is_selected: whether the gate has decided.
        answer_N_F: the rewards that TRL gets when it asks; None if the reward functions answer.
    """

    number: int
    rows: list[Row]
    given: list[Row]
    num_generations: int
    process_index: int
    num_processes: int
    completion_ids: list[list[int]] = field(init=False, repr=False)
    rewards_N_F: Tensor = field(init=False, repr=False)
    verdicts_P_G: Tensor = field(init=False, repr=False)
    is_judged_P_G: Tensor = field(init=False, repr=False)
    correct_P_G: Tensor = field(init=False, repr=False)
    pass_rate_P: Tensor = field(init=False, repr=False)
    found_B: list[Guidance | None] = field(init=False, repr=False)
    has_guidance_P: Tensor = field(init=False, repr=False)
    ahead_P: Tensor = field(init=False, repr=False)
    max_pass_rate: float = field(init=False, repr=False)
    is_gated_P: Tensor = field(init=False, repr=False)
    inject_P: Tensor = field(init=False, repr=False)
    guidance_B: list[Guidance | None] = field(init=False, repr=False)
    is_guided: bool = field(default=False, init=False)
    is_selected: bool = field(default=False, init=False)
    answer_N_F: Tensor | None = field(default=None, init=False, repr=False)

    @classmethod
    def begin(cls, trainer: GRPOTrainer, rows: list[Row], given: list[Row]) -> Step:
        """Begin a step of which only the rows are known."""
        return cls(
            number=trainer.state.global_step,
            rows=rows,
            given=given,
            num_generations=trainer.num_generations,
            process_index=trainer.accelerator.process_index,
            num_processes=trainer.accelerator.num_processes,
        )

    @property
    def num_prompts(self) -> int:
        """P."""
        return len(self.rows) * self.num_processes // self.num_generations

    @property
    def last_slots(self) -> range:
        """Local indices of the last slots of this process."""
        start, size = self.process_index * len(self.rows), self.num_generations
        return range((size - 1 - start) % size, len(self.rows), size)

    @cached_property
    def prompt_ids(self) -> list[str]:
        """Ids of all prompts; the first call must be made by all processes together."""
        return gather_object([row["prompt_id"] for row in self.rows])[:: self.num_generations]

    def in_last_slot(self, selected_P: Tensor) -> Tensor:
        """[N] bool, True at the last slot of the selected groups."""
        mask_P_G = torch.zeros(len(selected_P), self.num_generations, dtype=torch.bool, device=selected_P.device)
        mask_P_G[:, -1] = selected_P
        return mask_P_G.view(-1)

    def local(self, values_N: Tensor) -> list[Any]:
        """The part of a gathered tensor that belongs to this process."""
        start = self.process_index * len(self.rows)
        return values_N[start : start + len(self.rows)].tolist()

    def select(self, max_pass_rate: float) -> None:
        """Open the gate for prompts that the policy struggles with; the decision is the same on every process."""
        self.max_pass_rate = max_pass_rate
        self.is_gated_P = self.pass_rate_P <= max_pass_rate
        self.inject_P = select_guided(self.pass_rate_P, self.has_guidance_P, max_pass_rate=max_pass_rate)
        injects_B = self.local(self.in_last_slot(self.inject_P))
        self.guidance_B = [found if injects else None for found, injects in zip(self.found_B, injects_B, strict=True)]
        self.is_guided = bool(self.inject_P.any())
        self.is_selected = True
