"""`NPOTrainer`: GRPO in which the last slot of a struggling group is a trajectory of the policy's near future.

See "Near-Future Policy Optimization" (arXiv:2604.20733), section 3.1. The twenty lines that are new are
`NPOTrainer._generate`; everything after them (old log-probs, advantages of the mixed group, loss, optimizer) is TRL's.

Deviations: advantages, clipping and normalisation are TRL's (ddof 1, epsilon 1e-4, `loss_type="dapo"`), see
docs/methods/npo.md.

Letters: P prompts, G generations per prompt, B local rows, N = P * G global rows, F reward functions, T tokens.

Not here: what a step is (`nearfuture.train.step`), how guidance is found and takes a slot (`nearfuture.train.inject`),
which guidance is taken at all (`nearfuture.train.admit`), what reward functions are asked (`nearfuture.train.rewards`),
what a guided token weighs (`nearfuture.train.weighed`), resume (`nearfuture.train.exact`).
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from torch import Tensor
from trl import GRPOTrainer

from nearfuture.guidance.cache import GuidanceCache
from nearfuture.guidance.experience import ExperienceReplay
from nearfuture.guidance.harvest import Harvest
from nearfuture.guidance.sources import Source, layers
from nearfuture.tasks.identity import is_transformed
from nearfuture.train import admit, examples, generation, inject, placeholders, scoring, seams
from nearfuture.train.distill import Distiller
from nearfuture.train.exact import EXPERIENCE, HARVEST
from nearfuture.train.harvest import Harvester
from nearfuture.train.informed import Informant
from nearfuture.train.npo_config import NPOSettings, Weighting, default_args
from nearfuture.train.onpolicy import OnPolicyMetrics
from nearfuture.train.order import ExactRepeatSampler
from nearfuture.train.parallel import Branches
from nearfuture.train.replay import Replayer
from nearfuture.train.rewards import Rewards
from nearfuture.train.step import Row, Step
from nearfuture.train.vision import mixed, processor
from nearfuture.train.vision.images import COLUMNS
from nearfuture.train.vision.once import SharedRows, each_image_once
from nearfuture.train.vllm_training import shared_engine
from nearfuture.train.weighed import WeighedLoss
from nearfuture.types import Guidance, UserError, Verdict

seams.check()
ARGUMENTS = inspect.signature(GRPOTrainer.__init__)
Given = GuidanceCache | Source | str | Path
"""What can be given as guidance."""


class NPOTrainer(WeighedLoss):
    """`GRPOTrainer` with a source of guidance. Without one, or with the gate closed, it is `GRPOTrainer` bit for bit.

    Args:
        guidance: a `GuidanceCache`, the folder of one, or any `Source`; None is plain GRPO. A cache is checked against
            the tokenizer, the sampling settings and the prompts, and verified again with the reward function that
            carries the verdict. `ExperienceReplay` also chooses which questions are asked again. A `Harvest` serves the
            policy's own latest answers. Of several in a list, the first that has the prompt serves it.
        distiller: a guide that scores the policy's own rollouts on gated prompts (`distill_coef`).
        on_group: called with an `Example` (`train/examples.py`) for each group whose last slot was replaced;
            if this process has none, for one group of the batch, at the steps that `shows_group` names.
        on_pass_rates: called with the prompt ids and on-policy pass rates of every generated batch, on all processes.
        *args: as in `GRPOTrainer`. The config is an `NPOConfig`; a `GRPOConfig` is used unchanged, with the settings of
            NPO at their defaults; without a config, an `NPOConfig` is made.
        **kwargs: as in `GRPOTrainer`.

    Attributes:
        shows_group: says for a step whether a group without guidance is passed to `on_group`; by default it never is.
        npo: the settings of NPO, which are the config itself if that is an `NPOConfig`.

    Raises:
        UserError: the cache does not fit (what was seen, the rule, the remedy), or a setting excludes guidance.

    Example:
        trainer = NPOTrainer(model, reward_funcs=correct, args=NPOConfig("out"), train_dataset=data,
                             guidance="guidance")
    """

    _signature_columns: list[str]

    def __init__(
        self,
        *args: Any,
        guidance: Given | Sequence[Given] | None = None,
        distiller: Distiller | None = None,
        on_group: Callable[[examples.Example], None] | None = None,
        on_pass_rates: Callable[[list[str], list[float]], None] | None = None,
        **kwargs: Any,
    ) -> None:
        own = {name: kwargs.pop(name) for name in kwargs.keys() - ARGUMENTS.parameters.keys()}  # of a variant, if any
        arguments = ARGUMENTS.bind(self, *args, **kwargs).arguments
        arguments.pop("self")
        model = arguments["model"]
        if arguments.get("args") is None and super().__init__.__func__ is GRPOTrainer.__init__:
            arguments["args"] = default_args(model)  # if a variant of TRL's trainer comes next, it has its own default
        config = arguments.get("args")
        self.npo: NPOSettings = config if isinstance(config, NPOSettings) else NPOSettings()
        if arguments.get("processing_class") is None:
            arguments["processing_class"] = processor.substitute(model, config)
        with shared_engine():
            super().__init__(**arguments, **own)
        if self.use_vllm:
            self.vllm_generation.dtype = self.npo.vllm_dtype
        placeholders.suppress(self)
        if self.npo.freeze_vision_tower:
            processor.freeze_vision_tower(self.model)
        admit.check_rows(self)
        self.on_group = on_group
        self.shows_group: Callable[[int], bool] = lambda step: False
        self.on_pass_rates = on_pass_rates
        self.onpolicy = OnPolicyMetrics(self)
        self.distiller = distiller
        columns = self.train_dataset.column_names if isinstance(self.train_dataset, Dataset) else None
        self.informant = Informant(self.npo, columns) if self.npo.informed_strength else None
        self.branches = Branches(self, self.npo) if self.npo.parallel_branches > 1 else None
        selves = {"informed": self.informant, "parallel": self.branches}
        self.weighty = {name: found for name, found in selves.items() if found is not None}
        self._rewards = Rewards(self, self.npo)
        self._ids: admit.Ids | None = None
        self._has_ids = True
        self._current: Step | None = None
        self.set_guidance(guidance)

    def set_guidance(self, guidance: Given | Sequence[Given] | None) -> None:
        """Use another source from the next generated batch on (None: plain GRPO)."""
        self.verdict_column()
        source = None if guidance is None else admit.opened(guidance)
        if source is not None or self.distiller is not None or self.weighty:
            self.refuse_foreign_loss()
        if source is not None and self.branches is not None:
            raise UserError(
                f"parallel_branches={self.npo.parallel_branches} and a source of guidance: branches judge each other, "
                "and nothing else may guide them. Use one of the two."
            )
        if source is not None:
            admit.refuse_unsupported(self)
        if source is not None or self.on_pass_rates is not None:
            self._need_ids()
        if source is not None:
            admit.check(self, self.npo, source, self._verify)
        self.guidance = source
        self.replayer = None
        if isinstance(source, ExperienceReplay):
            self.replayer = Replayer(self, source, scoring.mean_entropies(self))
            self.stateful = {**self.stateful, EXPERIENCE: source}
        for layer in layers(source):
            if isinstance(layer, Harvest):
                self.set_harvest(layer)

    def set_harvest(self, harvest: Harvest) -> None:
        """Keep what the policy answers from the next generated batch on; it is saved with every checkpoint."""
        self._need_ids()
        self.harvester = Harvester(self, harvest)
        self.stateful = {**self.stateful, HARVEST: harvest}

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """Train as `ExactResume.train` does. Nothing of an earlier call is left over, and new data gets ids."""
        if self._ids is not None and self._ids.rows is not self.train_dataset:
            self._need_ids()
            self.set_guidance(self.guidance)
        self.onpolicy.clear()
        for one in self.awaiting:
            one.clear()
        return super().train(resume_from_checkpoint, *args, **kwargs)

    def _restore(self, folder: Path) -> None:
        super()._restore(folder)
        if self.harvester is not None and self._ids is not None:
            self.harvester.prune(admit.text_hashes(self._ids.rows))

    def _need_ids(self) -> None:
        if isinstance(self.train_dataset, Dataset) and (self._ids is None or self._ids.rows is not self.train_dataset):
            self._ids = admit.Ids(self.train_dataset)
            self.train_dataset = self._ids.rows

    def as_given(self, row: Row) -> Row:
        """Return a training row as the data set has it: an id that was made here is for internal use only."""
        if self._ids is not None:
            return self._ids.as_given(row)
        return row if self._has_ids else {name: value for name, value in row.items() if name != admit.PROMPT_ID}

    @property
    def _reads_ids(self) -> bool:
        """True if something is looked up or kept by prompt."""
        return self.guidance is not None or self.harvester is not None or self.on_pass_rates is not None

    def _set_signature_columns_if_needed(self) -> None:
        """Keep the ids of the prompts, too, with `remove_unused_columns`."""
        super()._set_signature_columns_if_needed()
        if admit.PROMPT_ID not in self._signature_columns:
            self._signature_columns = [*self._signature_columns, admit.PROMPT_ID]

    def get_train_dataloader(self) -> Any:
        """TRL's loader, over rows that are read once per batch if they have images and no transform."""
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
        return self._rewards.column

    def _generate_and_score_completions(self, inputs: list[Row]) -> dict[str, Any]:
        if not self.model.training:
            with each_image_once(self.processing_class):
                return super()._generate_and_score_completions(mixed.with_image_lists(inputs))
        if self.branches is not None:
            self.branches.begin(self.state.global_step)
        for one in self.awaiting:
            one.flush()  # so that what is looked up does not depend on when a checkpoint was saved
        named = [admit.named(row) for row in inputs] if self._reads_ids else inputs
        self._has_ids = named is inputs or admit.PROMPT_ID in inputs[0]
        rows = named if self.replayer is None else self.replayer.mix(named)
        self._current = step = Step.begin(self, rows, [self.as_given(row) for row in rows])
        try:
            with each_image_once(self.processing_class), self._rewards.answering(self._answer):
                output = super()._generate_and_score_completions(mixed.with_image_lists(step.given))
        finally:
            self._current = None
        if step.is_guided:
            inject.attach(step, output, importance=self.npo.weighting == Weighting.IMPORTANCE)
        for one in self.awaiting:
            one.attach(output)
        if self.distiller is not None:
            self.distiller.attach(self, step, output)
        if self.informant is not None:
            self.informant.attach(self, step, output)
        if self.branches is not None:
            self.branches.attach(step, output)
        return output

    def as_saved(self) -> contextlib.AbstractContextManager[None]:
        """Hold the policy of checkpoints and evaluations: the mean of the branches, if there are any."""
        return contextlib.nullcontext() if self.branches is None else self.branches.merged()

    def make_sampler(self, **arguments: Any) -> ExactRepeatSampler:
        """The order of the prompts; with branches, every batch comes from one part."""
        if self.branches is None:
            return super().make_sampler(**arguments)
        return self.branches.sampler(**arguments)

    def _generate(self, prompts: list[Any]) -> tuple[Any, ...]:
        """Generate on-policy, judge, gate, and put guidance into the last slot of the selected groups."""
        with each_image_once(self.processing_class):
            generated = seams.Generated(*super()._generate(prompts))
        generated.images = mixed.without_none(generated.images)
        step = self._current
        if step is None or self.guidance is None:
            return tuple(generated)

        # 1. Verdicts on all rollouts, on every process: the pass rate never counts the guide.
        ids = generated.completion_ids
        rewards_N_F = self._rewards.judge(step, step.given, prompts, generated.completions, ids)

        # 2. The gate: the same decision on every process.
        limits = inject.Limits(self.eos_token_ids, self.args.max_completion_length)
        inject.look_up(step, self.guidance if self.npo.inject_guidance else None, limits)
        step.select(self.npo.max_pass_rate)
        self._observe(step)

        # 3. The last slot of the selected groups becomes the guidance; TRL does the rest.
        step.answer_N_F = rewards_N_F
        if step.is_guided:
            inject.replace(step, generated, self.processing_class)
            step.answer_N_F = self._rewards.of_mixed_groups(step, prompts, generated)
        return tuple(generated)

    def _answer(self, inputs: list[Row], prompts: Any, completions: Any, completion_ids: Any) -> Tensor:
        """Return the rewards that `_generate` has already when TRL asks, so that nothing is verified twice."""
        step = self._current
        assert step is not None
        if step.answer_N_F is not None:
            rewards_N_F, step.answer_N_F = step.answer_N_F, None
            return rewards_N_F
        rows = mixed.as_given(inputs, step.given)
        if step.is_selected:
            return self._rewards.ask(rows, prompts, completions, completion_ids)
        rewards_N_F = self._rewards.judge(step, rows, prompts, completions, completion_ids)
        inject.look_up(step, None)
        step.select(self.npo.max_pass_rate)
        self._observe(step)
        return rewards_N_F

    def _observe(self, step: Step) -> None:
        """Show a step to all observers before a slot is replaced."""
        for one in self.awaiting:
            one.observe(step)
        self.onpolicy.observe(step)
        if self.on_pass_rates is not None:
            self.on_pass_rates(step.prompt_ids, step.pass_rate_P.tolist())
        if self.on_group is not None:
            examples.show(step, self.processing_class, self.on_group, self.shows_group)

    def _verify(self, pairs: list[tuple[Row, Guidance]]) -> dict[str, Verdict]:
        """Judge guidance again, each with its row."""
        return self._rewards.verify([(self.as_given(row), guidance) for row, guidance in pairs])

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, multimodal_fields: Any, *args: Any, **kwargs: Any
    ) -> tuple[Any, ...]:
        turn = functools.partial(super()._generate_single_turn, **kwargs)
        if self.npo.fast_generation:
            return generation.generate(self, turn, prompt_ids, images, multimodal_fields, *args)
        return turn(prompt_ids, images, multimodal_fields, *args)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        for one in self.awaiting:
            one.flush()
        super()._save_checkpoint(model, trial)

    def save_model(self, *args: Any, **kwargs: Any) -> None:
        """Save the policy: with branches, the mean of their weights."""
        with self.as_saved():
            super().save_model(*args, **kwargs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, together with what is counted since the last time: tokens, and ratios on the guided ones."""
        if self.model.training:
            logs |= self.onpolicy.take()
        super().log(logs, start_time)
