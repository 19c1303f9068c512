"""`NPOTrainer`: GRPO in which the last slot of a struggling group is a trajectory of the policy's near future.

See "Near-Future Policy Optimization" (arXiv:2604.20733), section 3.1. The twenty lines that are new stand in
`NPOTrainer._generate`; everything after them (old log-probs, advantages of the mixed group, loss, optimizer) is TRL's.

Deviations: advantages, clipping and normalisation are TRL's (ddof 1, epsilon 1e-4, `loss_type="dapo"`), see
docs/methods/npo.md.

Letters: P prompts, G generations per prompt, B local rows, N = P * G global rows, F reward functions, T tokens.

Not here: resume (`nearfuture.train.exact`), where guidance comes from (`nearfuture.guidance`), which rows of a batch
are whose and how a row is replaced (`nearfuture.train.groups`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from torch import Tensor

from nearfuture.algo.gate import pass_rate, select_guided
from nearfuture.algo.weighting import distilled_advantages, per_token, shaped_advantages
from nearfuture.guidance.cache import GuidanceCache
from nearfuture.guidance.experience import ExperienceReplay
from nearfuture.guidance.sources import LayeredCaches, Source, UniformReplay, WindowedCache
from nearfuture.tasks.identity import with_prompt_ids
from nearfuture.train import generation, groups, mixed, processor, scoring, seams
from nearfuture.train.config import Weighting
from nearfuture.train.distill import Distiller
from nearfuture.train.exact import ExactResume
from nearfuture.train.images import COLUMNS, check_images
from nearfuture.train.lengths import require_template
from nearfuture.train.once import SharedRows, each_image_once
from nearfuture.train.onpolicy import OnPolicyMetrics
from nearfuture.train.replay import Replayer
from nearfuture.train.tower import freeze_vision_tower
from nearfuture.train.vllm_training import shared_engine
from nearfuture.types import Guidance, UserError

seams.check()


class NPOTrainer(ExactResume):
    """`GRPOTrainer` with a source of guidance. Without one, or with the gate closed, it is `GRPOTrainer` bit for bit.

    Args:
        guidance: a `GuidanceCache`, or any `Source`; None is plain GRPO. A cache is checked against the tokenizer, the
            sampling settings and the prompts, and verified again with the reward function that carries the verdict.
            `ExperienceReplay` also chooses which questions are asked again.
        distiller: a guide that scores the policy's own rollouts on gated prompts (`distill_coef`).
        on_group: called with `groups.Example` for each group whose last slot was replaced (one process at least).
        on_pass_rates: called with the prompt ids and on-policy pass rates of every generated batch, on all processes.
        args, kwargs: as in `GRPOTrainer`; `args` is an `NPOConfig`.

    Raises:
        UserError: the cache does not fit (what was seen, the rule, the remedy), or a setting excludes guidance.

    Example:
        trainer = NPOTrainer(model, reward_funcs=correct, args=NPOConfig("out"), train_dataset=data,
                             guidance=GuidanceCache.open("guidance"))
    """

    def __init__(
        self,
        *args: Any,
        guidance: GuidanceCache | Source | None = None,
        distiller: Distiller | None = None,
        on_group: Callable[[groups.Example], None] | None = None,
        on_pass_rates: Callable[[list[str], list[float]], None] | None = None,
        **kwargs: Any,
    ) -> None:
        model = args[0] if args else kwargs["model"]
        if kwargs.get("processing_class") is None and processor.is_needed(model):
            kwargs["processing_class"] = processor.load_for_training(model)
        with shared_engine():
            super().__init__(*args, **kwargs)
        if self.use_vllm:
            self.vllm_generation.dtype = self.args.vllm_dtype
        if self.args.freeze_vision_tower:
            freeze_vision_tower(self.model)
        if isinstance(self.train_dataset, Dataset):
            require_template(self.processing_class, self.train_dataset)
            check_images(self.train_dataset, self.processing_class)
        self.on_group = on_group
        self.on_pass_rates = on_pass_rates
        self.onpolicy = OnPolicyMetrics(self)
        self.distiller = distiller
        self.replayer: Replayer | None = None
        self._inputs: list[dict[str, Any]] = []
        self._rewards_N_F: Tensor | None = None
        self._guidance_B: list[Guidance | None] = []
        self._is_distilled_B: list[bool] = []
        self._loss_inputs: dict[str, Any] | None = None
        self._forward: tuple[Tensor, Tensor] | None = None
        self.set_guidance(guidance)

    def set_guidance(self, guidance: GuidanceCache | Source | None) -> None:
        """Use another source from the next generated batch on (None: plain GRPO)."""
        self._verdict_column()
        if guidance is not None:
            groups.refuse_unsupported(self)
            self.train_dataset = with_prompt_ids(self.train_dataset)
        if isinstance(guidance, GuidanceCache):
            guidance = WindowedCache(guidance)
        for layer in guidance.layers if isinstance(guidance, LayeredCaches) else (guidance,):
            if isinstance(layer, WindowedCache | UniformReplay):
                groups.check_cache(self, layer.cache)
        self.guidance: Source | None = guidance
        self.replayer = None
        if isinstance(guidance, ExperienceReplay):
            self.replayer = Replayer(self, guidance, scoring.mean_entropies(self))
            self.stateful = {**self.stateful, "experience": guidance}

    def get_train_dataloader(self) -> Any:
        """TRL's loader, over rows that are read once a batch where they have images."""
        rows = self.train_dataset
        if isinstance(rows, Dataset) and set(COLUMNS) & set(rows.column_names):
            self.train_dataset = SharedRows(rows)
        try:
            return super().get_train_dataloader()
        finally:
            self.train_dataset = rows

    def _verdict_column(self) -> int:
        """Index of the reward function that carries the verdict.

        Raises:
            UserError: there is none of that name.
        """
        name = self.args.verdict_reward
        if name is None:
            return 0
        if name not in self.reward_func_names:
            raise UserError(
                f"verdict_reward={name!r} is none of the reward functions {self.reward_func_names}. Name one of them."
            )
        return self.reward_func_names.index(name)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        if self.replayer is not None and self.model.training:
            inputs = self.replayer.mix(inputs)
        self._inputs, self._guidance_B = inputs, []
        with each_image_once(self.processing_class):
            output = super()._generate_and_score_completions(mixed.with_image_lists(inputs))
        self._inputs = []
        if self._guidance_B:
            groups.attach(output, self._guidance_B, importance=self.args.weighting == Weighting.IMPORTANCE)
        if self.replayer is not None and self.model.training:
            self.replayer.attach(output)
        if self.distiller is not None and self.model.training:
            self.distiller.attach(self, output, self._is_distilled_B)
        return output

    def _generate(self, prompts: list[Any]) -> tuple[Any, ...]:
        """Generate on-policy, judge, gate, and put guidance into the last slot of the selected groups."""
        with each_image_once(self.processing_class):
            batch = seams.Generated(*super()._generate(prompts))
        batch.images = mixed.without_none(batch.images)
        if not self._inputs or not self.model.training:
            return tuple(batch)

        # 1. Verdicts on all rollouts, on every process: the pass rate never counts the guide.
        rewards_N_F = super()._calculate_rewards(self._inputs, prompts, batch.completions, batch.completion_ids)
        verdicts_P_G = rewards_N_F[:, self._verdict_column()].view(-1, self.num_generations)
        is_judged_P_G = ~torch.isnan(verdicts_P_G)
        correct_P_G = verdicts_P_G >= self.args.correct_threshold
        pass_rate_P = pass_rate(correct_P_G, is_judged_P_G)

        # 2. The gate: the same decision on every process.
        guidance_B, has_guidance_P = self._lookup()
        inject_P = select_guided(
            pass_rate_P, has_guidance_P.to(pass_rate_P.device), max_pass_rate=self.args.max_pass_rate
        )
        self.onpolicy.observe(batch, rewards_N_F, correct_P_G, pass_rate_P, has_guidance_P, inject_P)

        if self.on_pass_rates is not None:
            ids_N = gather_object([row["prompt_id"] for row in self._inputs])
            self.on_pass_rates(ids_N[:: self.num_generations], pass_rate_P.tolist())

        # 3. The last slot of the selected groups becomes the guidance; TRL does the rest.
        is_guided_B = groups.local_rows(self, groups.last_slot_mask(inject_P, self.num_generations))
        if self.replayer is not None:
            self.replayer.observe(self._inputs, batch.completion_ids, correct_P_G, is_judged_P_G, is_guided_B)
        if self.distiller is not None:
            is_gated_P = pass_rate_P <= self.args.max_pass_rate
            gated_B = groups.local_rows(self, is_gated_P.repeat_interleave(self.num_generations))
            self._is_distilled_B = [gated and not guided for gated, guided in zip(gated_B, is_guided_B, strict=True)]
        if inject_P.any():
            self._guidance_B = [g if guided else None for g, guided in zip(guidance_B, is_guided_B, strict=True)]
            groups.show_examples(self, batch, verdicts_P_G, pass_rate_P, self._guidance_B)
            groups.inject(self, batch, self._guidance_B)
            rewards_N_F = groups.reward_guided_rows(self, prompts, batch, rewards_N_F, inject_P)
        self._rewards_N_F = rewards_N_F
        return tuple(batch)

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, multimodal_fields: Any, *args: Any, **kwargs: Any
    ) -> tuple[Any, ...]:
        turn = functools.partial(super()._generate_single_turn, **kwargs)
        if self.args.fast_generation:
            return generation.generate(self, turn, prompt_ids, images, multimodal_fields, *args)
        return turn(prompt_ids, images, multimodal_fields, *args)

    def _lookup(self) -> tuple[list[Guidance | None], Tensor]:
        """Look up guidance for the last slots this process owns; learn from all which prompts have any.

        A look-up that fails on one process fails on all of them, so that none is left waiting.
        """
        found_B: list[Guidance | None] = [None] * len(self._inputs)
        if self.guidance is None or not self.args.inject_guidance:
            return found_B, torch.zeros(groups.num_prompts(self, len(found_B)), dtype=torch.bool)
        error = None
        for i in groups.local_last_slots(self, len(found_B)):
            try:
                found_B[i] = self.guidance.lookup(self._inputs[i]["prompt_id"], self.state.global_step)
            except UserError as exception:
                error = str(exception)
        reports = gather_object([(found is not None, error) for found in found_B])
        errors = [message for _, message in reports if message is not None]
        if errors:
            raise UserError(errors[0])
        last_slots = [has_guidance for has_guidance, _ in reports][self.num_generations - 1 :: self.num_generations]
        return found_B, torch.tensor(last_slots, dtype=torch.bool)

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Tensor:
        """Hand back the rewards that `_generate` already has: nothing is verified twice."""
        if self._rewards_N_F is None:
            return super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        rewards_N_F, self._rewards_N_F = self._rewards_N_F, None
        return rewards_N_F

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        # A copy: the forward pass puts the denominator of the guided rows' ratio into it.
        self._loss_inputs = dict(inputs)
        try:
            loss = super()._compute_loss(model, self._loss_inputs)
            if self.model.training:
                assert self._forward is not None
                self.onpolicy.observe_loss(self._loss_inputs, *self._forward)
            return loss
        finally:
            self._loss_inputs = self._forward = None

    def _get_per_token_logps_and_entropies(self, model: Any, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        model = mixed.for_mixed_rows(model, kwargs.get("num_images"))
        output = super()._get_per_token_logps_and_entropies(model, *args, **kwargs)
        inputs = self._loss_inputs
        if inputs is not None:
            self._forward = logps_B_T, _ = output[0].detach(), output[1].detach()
            self._weigh(inputs, logps_B_T)
            if self.replayer is not None:
                self.replayer.observe_loss(inputs, logps_B_T)
        return output

    def _weigh(self, inputs: dict[str, Any], logps_B_T: Tensor) -> None:
        """Set what TRL's loss divides and multiplies by: denominators of the guided rows, advantages per token."""
        old_B_T = inputs.get("old_per_token_logps")
        if "is_guided" in inputs:
            if self.args.weighting == Weighting.IMPORTANCE and old_B_T is None:
                inputs["old_per_token_logps"] = groups.with_behavior(logps_B_T, inputs)
            if self.args.weighting == Weighting.SHAPED:
                is_guided_B = inputs["is_guided"]
                if old_B_T is not None:  # ratio 1: the weight is in the advantage
                    inputs["old_per_token_logps"] = torch.where(is_guided_B[:, None], logps_B_T, old_B_T)
                inputs["advantages"] = shaped_advantages(
                    per_token(inputs["advantages"]),
                    logps_B_T,
                    inputs["behavior_logps"],
                    is_guided_B,
                    gamma=self.args.shaping_gamma,
                )
        if "is_distilled" in inputs:
            inputs["advantages"] = distilled_advantages(
                per_token(inputs["advantages"]),
                logps_B_T,
                inputs["guide_logps"],
                inputs["is_distilled"],
                coef=self.args.distill_coef,
            )

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if self.replayer is not None:
            self.replayer.flush()
        super()._save_checkpoint(model, trial)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, with the tokens generated and trained on since the last time."""
        if self.model.training:
            logs |= self.onpolicy.take_token_counts()
        super().log(logs, start_time)
