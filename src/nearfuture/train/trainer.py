"""`NPOTrainer`: GRPO in which the last slot of a struggling group is a trajectory of the policy's near future.

See "Near-Future Policy Optimization" (arXiv:2604.20733), section 3.1. The twenty lines that are new stand in
`NPOTrainer._generate`; everything after them (old log-probs, advantages of the mixed group, loss, optimizer) is TRL's.

Deviations: advantages, clipping and normalisation are TRL's (ddof 1, epsilon 1e-4, `loss_type="dapo"`), see
docs/methods/npo.md.

Letters: P prompts, G generations per prompt, B local rows, N = P * G global rows, F reward functions, T tokens.

Not here: resume (`nearfuture.train.exact`), where guidance comes from (`nearfuture.guidance`) and which is taken
(`nearfuture.train.guiding`), which rows of a batch are whose and how a row is replaced (`nearfuture.train.groups`),
what reward functions are asked (`nearfuture.train.rewards`), what a guided token weighs (`nearfuture.train.weighed`).
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from torch import Tensor
from trl import GRPOTrainer

from nearfuture.guidance.cache import GuidanceCache
from nearfuture.guidance.experience import ExperienceReplay
from nearfuture.guidance.sources import Source
from nearfuture.method.gate import pass_rate, select_guided
from nearfuture.tasks.identity import is_transformed
from nearfuture.train import generation, given, groups, guiding, placeholders, rewards, scoring, seams
from nearfuture.train.distill import Distiller
from nearfuture.train.npo_config import NPOSettings, Weighting, default_args
from nearfuture.train.onpolicy import OnPolicyMetrics
from nearfuture.train.replay import Replayer
from nearfuture.train.vision import mixed, processor
from nearfuture.train.vision.images import COLUMNS, check_images
from nearfuture.train.vision.lengths import require_template
from nearfuture.train.vision.once import SharedRows, each_image_once
from nearfuture.train.vision.tower import freeze_vision_tower
from nearfuture.train.vllm_training import shared_engine
from nearfuture.train.weighed import WeighedLoss
from nearfuture.types import Guidance, UserError

seams.check()
ARGUMENTS = inspect.signature(GRPOTrainer.__init__)

Row = dict[str, Any]


@dataclass
class Batch:
    """A generated batch on its way: this process's rows, as the data set has them and with their ids.

    `rewards_N_F` is what TRL is handed when it asks; None where it has to ask the reward functions itself.
    """

    rows: list[Row]
    given: list[Row]
    ask: rewards.Ask
    is_judged: bool = False
    rewards_N_F: Tensor | None = None
    guidance_B: list[Guidance | None] = field(default_factory=list)
    is_distilled_B: list[bool] = field(default_factory=list)


@dataclass(frozen=True)
class Judged:
    """What the gate saw of a batch, on every process: verdicts, pass rates, who has guidance and who gets it."""

    verdicts_P_G: Tensor
    correct_P_G: Tensor
    is_judged_P_G: Tensor
    pass_rate_P: Tensor
    has_guidance_P: Tensor
    inject_P: Tensor


class NPOTrainer(WeighedLoss):
    """`GRPOTrainer` with a source of guidance. Without one, or with the gate closed, it is `GRPOTrainer` bit for bit.

    Args:
        guidance: a `GuidanceCache`, the folder of one, or any `Source`; None is plain GRPO. A cache is checked against
            the tokenizer, the sampling settings and the prompts, and verified again with the reward function that
            carries the verdict. `ExperienceReplay` also chooses which questions are asked again.
        distiller: a guide that scores the policy's own rollouts on gated prompts (`distill_coef`).
        on_group: called with `groups.Example` for each group whose last slot was replaced (one process at least); where
            there is none, for one group of the batch, at the steps that `shows_group` names.
        on_pass_rates: called with the prompt ids and on-policy pass rates of every generated batch, on all processes.
        args, kwargs: as in `GRPOTrainer`. The config is an `NPOConfig`; a `GRPOConfig` is used as it is, the settings
            of NPO at their defaults; without one, an `NPOConfig` is made.

    Attributes:
        shows_group: says for a step whether a group without guidance is handed to `on_group`; by default for none.
        npo: the settings of NPO, which are the config where that is an `NPOConfig`.

    Raises:
        UserError: the cache does not fit (what was seen, the rule, the remedy), or a setting excludes guidance.

    Example:
        trainer = NPOTrainer(model, reward_funcs=correct, args=NPOConfig("out"), train_dataset=data,
                             guidance="guidance")
    """

    def __init__(
        self,
        *args: Any,
        guidance: GuidanceCache | Source | str | Path | None = None,
        distiller: Distiller | None = None,
        on_group: Callable[[groups.Example], None] | None = None,
        on_pass_rates: Callable[[list[str], list[float]], None] | None = None,
        **kwargs: Any,
    ) -> None:
        arguments = ARGUMENTS.bind(self, *args, **kwargs).arguments
        arguments.pop("self")
        model = arguments["model"]
        if arguments.get("args") is None and super().__init__.__func__ is GRPOTrainer.__init__:
            arguments["args"] = default_args(model)  # where a variant of TRL's comes next, it has a default of its own
        config = arguments.get("args")
        self.npo: NPOSettings = config if isinstance(config, NPOSettings) else NPOSettings()
        if arguments.get("processing_class") is None:
            arguments["processing_class"] = processor.substitute(model, config)
        with shared_engine():
            super().__init__(**arguments)
        if self.use_vllm:
            self.vllm_generation.dtype = self.npo.vllm_dtype
        placeholders.suppress(self)
        if self.npo.freeze_vision_tower:
            freeze_vision_tower(self.model)
        self._check_rows()
        self.on_group = on_group
        self.shows_group: Callable[[int], bool] = lambda step: False
        self.on_pass_rates = on_pass_rates
        self.onpolicy = OnPolicyMetrics(self)
        self.distiller = distiller
        self.replayer: Replayer | None = None
        self._ids: given.Ids | None = None
        self._batch: Batch | None = None
        self.set_guidance(guidance)

    def _check_rows(self) -> None:
        """Name rows that TRL would stop at, where the data is there to be looked at and TRL makes the prompts of it."""
        rows = self.train_dataset
        if not isinstance(rows, Dataset) or self.rollout_func is not None or is_transformed(rows):
            return
        if "prompt" in rows.column_names:
            require_template(self.processing_class, rows)
            check_images(rows, self.processing_class)

    def set_guidance(self, guidance: GuidanceCache | Source | str | Path | None) -> None:
        """Use another source from the next generated batch on (None: plain GRPO)."""
        self.verdict_column()
        source = None if guidance is None else guiding.opened(guidance)
        if source is not None or self.distiller is not None:
            self.refuse_foreign_loss()
        if source is not None:
            guiding.refuse_unsupported(self)
        is_asked = source is not None or self.on_pass_rates is not None
        if is_asked and self._ids is None and isinstance(self.train_dataset, Dataset):
            self._ids = given.Ids(self.train_dataset)
            self.train_dataset = self._ids.rows
        if source is not None:
            guiding.check(self, source)
        self.guidance = source
        self.replayer = None
        if isinstance(source, ExperienceReplay):
            self.replayer = Replayer(self, source, scoring.mean_entropies(self))
            self.stateful = {**self.stateful, "experience": source}

    def as_given(self, row: Row) -> Row:
        """A training row as the data set has it: nobody but us sees an id that was made here."""
        return row if self._ids is None else self._ids.as_given(row)

    def get_train_dataloader(self) -> Any:
        """TRL's loader, over rows that are read once a batch where they have images and nothing is made of them."""
        rows = self.train_dataset
        has_images = isinstance(rows, Dataset) and bool(set(COLUMNS) & set(rows.column_names))
        if has_images and not is_transformed(rows) and not self.args.remove_unused_columns:
            self.train_dataset = SharedRows(rows)
        try:
            return super().get_train_dataloader()
        finally:
            self.train_dataset = rows

    def verdict_column(self) -> int:
        """Index of the reward function that carries the verdict.

        Raises:
            UserError: there is none of that name.
        """
        name = self.npo.verdict_reward
        if name is None:
            return 0
        if name not in self.reward_func_names:
            raise UserError(
                f"verdict_reward={name!r} is none of the reward functions {self.reward_func_names}. Name one of them."
            )
        return self.reward_func_names.index(name)

    def _generate_and_score_completions(self, inputs: list[Row]) -> dict[str, Any]:
        is_training = self.model.training
        if self.replayer is not None and is_training:
            inputs = self.replayer.mix(inputs)
        as_given = [self.as_given(row) for row in inputs] if is_training else inputs
        ask = self._calculate_rewards
        if self.npo.truncated_is_wrong:
            ask = rewards.without_cut_off(self, ask)
        batch = Batch(inputs, as_given, ask)
        self._batch = batch if is_training else None
        answers = rewards.answered_by(self, self._answer) if is_training else contextlib.nullcontext()
        try:
            with each_image_once(self.processing_class), answers:
                output = super()._generate_and_score_completions(mixed.with_image_lists(as_given))
        finally:
            self._batch = None
        if batch.guidance_B:
            groups.attach(output, batch.guidance_B, importance=self.npo.weighting == Weighting.IMPORTANCE)
        if self.replayer is not None and is_training:
            self.replayer.attach(output)
        if self.distiller is not None and is_training:
            self.distiller.attach(self, output, batch.is_distilled_B)
        return output

    def _generate(self, prompts: list[Any]) -> tuple[Any, ...]:
        """Generate on-policy, judge, gate, and put guidance into the last slot of the selected groups."""
        with each_image_once(self.processing_class):
            generated = seams.Generated(*super()._generate(prompts))
        generated.images = mixed.without_none(generated.images)
        batch = self._batch
        if batch is None or self.guidance is None:
            return tuple(generated)

        # 1. Verdicts on all rollouts, on every process: the pass rate never counts the guide.
        rewards_N_F = batch.ask(batch.given, prompts, generated.completions, generated.completion_ids)

        # 2. The gate: the same decision on every process.
        guidance_B, has_guidance_P = self._lookup(batch.rows)
        seen = self._judge(batch, generated.completion_ids, rewards_N_F, has_guidance_P)

        # 3. The last slot of the selected groups becomes the guidance; TRL does the rest.
        is_guided_B = groups.local_rows(self, groups.last_slot_mask(seen.inject_P, self.num_generations))
        if self.replayer is not None:
            self.replayer.observe(
                batch.rows, generated.completion_ids, seen.correct_P_G, seen.is_judged_P_G, is_guided_B
            )
        served_B = [g if guided else None for g, guided in zip(guidance_B, is_guided_B, strict=True)]
        groups.show_examples(self, batch.rows, generated.completion_ids, seen.verdicts_P_G, seen.pass_rate_P, served_B)
        if seen.inject_P.any():
            batch.guidance_B = served_B
            groups.inject(self, generated, batch.guidance_B)
            rewards_N_F = rewards.of_mixed_groups(
                self, batch.ask, batch.given, prompts, generated, rewards_N_F, seen.inject_P
            )
        batch.rewards_N_F = rewards_N_F
        return tuple(generated)

    def _answer(self, inputs: list[Row], prompts: Any, completions: Any, completion_ids: Any) -> Tensor:
        """What TRL gets when it asks for rewards: those `_generate` has already, so that nothing is verified twice."""
        batch = self._batch
        assert batch is not None
        if batch.rewards_N_F is not None:
            rewards_N_F, batch.rewards_N_F = batch.rewards_N_F, None
            return rewards_N_F
        rewards_N_F = batch.ask(mixed.as_given(inputs, batch.given), prompts, completions, completion_ids)
        if not batch.is_judged:
            nothing_P = torch.zeros(groups.num_prompts(self, len(inputs)), dtype=torch.bool)
            seen = self._judge(batch, completion_ids, rewards_N_F, nothing_P)
            nothing_B = [None] * len(completion_ids)
            groups.show_examples(self, batch.rows, completion_ids, seen.verdicts_P_G, seen.pass_rate_P, nothing_B)
        return rewards_N_F

    def _judge(self, batch: Batch, completion_ids: Any, rewards_N_F: Tensor, has_guidance_P: Tensor) -> Judged:
        """Pass rates and the gate, and everybody who wants to know of them."""
        batch.is_judged = True
        verdicts_P_G = rewards_N_F[:, self.verdict_column()].view(-1, self.num_generations)
        is_judged_P_G = ~torch.isnan(verdicts_P_G)
        has_ended_P_G = ~rewards.are_cut_off(self, completion_ids).view(-1, self.num_generations)
        verdicts_P_G = torch.where(has_ended_P_G | ~is_judged_P_G, verdicts_P_G, 0.0)
        correct_P_G = (verdicts_P_G >= self.npo.correct_threshold) & has_ended_P_G
        pass_rate_P = pass_rate(correct_P_G, is_judged_P_G)
        has_guidance_P = has_guidance_P.to(pass_rate_P.device)
        inject_P = select_guided(pass_rate_P, has_guidance_P, max_pass_rate=self.npo.max_pass_rate)
        seen = Judged(verdicts_P_G, correct_P_G, is_judged_P_G, pass_rate_P, has_guidance_P, inject_P)
        self.onpolicy.observe(completion_ids, rewards_N_F, seen)
        if self.on_pass_rates is not None:
            ids_N = gather_object([row["prompt_id"] for row in batch.rows])
            self.on_pass_rates(ids_N[:: self.num_generations], pass_rate_P.tolist())
        if self.distiller is not None:
            is_own_P_G = torch.ones_like(is_judged_P_G)
            is_own_P_G[:, -1] = ~inject_P
            is_gated_P = pass_rate_P <= self.npo.max_pass_rate
            batch.is_distilled_B = groups.local_rows(self, (is_own_P_G & is_gated_P[:, None]).view(-1))
        return seen

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, multimodal_fields: Any, *args: Any, **kwargs: Any
    ) -> tuple[Any, ...]:
        turn = functools.partial(super()._generate_single_turn, **kwargs)
        if self.npo.fast_generation:
            return generation.generate(self, turn, prompt_ids, images, multimodal_fields, *args)
        return turn(prompt_ids, images, multimodal_fields, *args)

    def _lookup(self, rows: list[Row]) -> tuple[list[Guidance | None], Tensor]:
        """Look up guidance for the last slots this process owns; learn from all which prompts have any.

        A look-up that fails on one process fails on all of them, so that none is left waiting.
        """
        found_B: list[Guidance | None] = [None] * len(rows)
        if self.guidance is None or not self.npo.inject_guidance:
            return found_B, torch.zeros(groups.num_prompts(self, len(found_B)), dtype=torch.bool)
        error = None
        for i in groups.local_last_slots(self, len(found_B)):
            try:
                found_B[i] = self.guidance.lookup(rows[i]["prompt_id"], self.state.global_step)
            except UserError as exception:
                error = str(exception)
        reports = gather_object([(found is not None, error) for found in found_B])
        errors = [message for _, message in reports if message is not None]
        if errors:
            raise UserError(errors[0])
        last_slots = [has_guidance for has_guidance, _ in reports][self.num_generations - 1 :: self.num_generations]
        return found_B, torch.tensor(last_slots, dtype=torch.bool)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if self.replayer is not None:
            self.replayer.flush()
        super()._save_checkpoint(model, trial)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, with the tokens generated and trained on since the last time."""
        if self.model.training:
            logs |= self.onpolicy.take_token_counts()
        super().log(logs, start_time)
