"""The configuration of a run: settings of the run, of AutoNPO, of the data, and those passed to TRL.

Every default is that of a field: of `RunConfig`, `AutoNPOConfig`, `DataConfig`, `NPOConfig`, or TRL's `ModelConfig`.

Not here: reading and checking one (`load`), what the settings of training mean (`nearfuture.train.npo_config`), the
order of stages (`plan`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from nearfuture.method.trigger_config import TriggerConfig
from nearfuture.options.data import DataConfig
from nearfuture.options.npo import ModelOptions, TrainingOptions
from nearfuture.types import BATCH_SIZE, NUM_SAMPLES

T = TypeVar("T")
AUTO = "autonpo."
NEW = frozenset({"guide_allocation", "guidance_harvest", "stay", "price", "gain_factor", "keep_solved"})
"""Settings that runs of earlier releases do not have. At their defaults they are left out of `config.yaml`, so that
such a run is resumed with the configuration it started with."""


@dataclass(frozen=True)
class RunConfig:
    """What a run does, apart from how it trains.

    Attributes:
        run_dir: folder of the run.
        task: name of a shipped task, `reasoning_gym/NAME`, `verifiers/NAME`, or `path/to/file.py:function`; None if
            `dataset_name` names the data.
        task_args: what the task is made with: parameters of a family, or arguments of your function. A single one is
            written `task_args.<name>`.
        task_difficulty: the file that `nearfuture data difficulty` wrote for the task; rows outside
            dataset_min_difficulty and dataset_max_difficulty are left out.
        model: path or name of the base model; None takes the model that the task ships.
        method: a row of `nearfuture.run.settings.methods`, which stands for settings that can each be overridden.
        source: where guidance comes from: a `guide` of this run, `traces` of an external teacher, the policy's own
            past `experience`, or its `own` latest answer to the same prompt, before that of a guide of this run.
        traces: JSONL or parquet file of an external teacher, in one of the formats of `nearfuture guide import`; None
            takes the traces that the task ships.
        traces_format: the format of that file.
        scout_steps: early intervention: train this many steps ahead, then go back to the base weights; 0 is off.
        guide_step: late intervention: the step whose policy becomes the guide; None is off.
        rollback_to: late intervention: the step to go back to; `guide_step` itself is the control of distance 0.
        resample_steps: control: the base policy guides itself on the prompts of this many steps; 0 is off.
        guidance_steps: use guidance for this many steps after going back; None: until the guide's step.
        guidance_lifetime: `segment` drops guidance when the replay reaches the guide's step (the paper),
            `while_gated` keeps it as long as the gate admits it, and adds that of later guides.
        guide_num_samples: the most samples per prompt when guidance is collected.
        guide_num_kept: how many different trajectories are kept per prompt; above 1, one is drawn at each visit.
        guide_min_correct: prompts with fewer correct samples get no guidance.
        guide_temperature: temperature of the guide's samples; None: the run's own.
        guide_top_p: top-p of the guide's samples; None: the run's own.
        guide_select: `uniform` among the correct samples, or the one `closest` to the policy that is guided.
        guide_allocation: `even` gives every prompt at most `guide_num_samples`; `adaptive` gives that many on average,
            each to the prompt where it is most likely to be the first correct one.
        guidance_harvest: the run's own verified rollouts (of a scout, of an abandoned tail, or of the path if it
            stays), and earlier guidance that is still served, enter a cache for free; the guide is asked only the
            other prompts.
        guide_batch_size: completions sampled at once when guidance is collected and held-out prompts are evaluated.
        experience_frac: share of a batch's questions that experience asks again.
        experience_start_pass_rate: pass rate of a batch above which experience starts to ask again.
        eval_every: steps between evaluations of held-out prompts; 0 is off.
        eval_num_samples: completions per held-out prompt.
        no_signal_patience: stop (exit code 3) after this many consecutive steps without a gradient; 0 is off.
    """

    run_dir: Path
    task: str | None = None
    task_args: dict[str, Any] = field(default_factory=dict)
    task_difficulty: str | None = None
    model: str | None = None
    method: str = "npo"
    source: Literal["guide", "traces", "experience", "own"] = "guide"
    traces: Path | None = None
    traces_format: Literal["luffy", "rlep", "easyvideor1", "jsonl"] = "luffy"
    scout_steps: int = 0
    guide_step: int | None = None
    rollback_to: int | None = None
    resample_steps: int = 0
    guidance_steps: int | None = None
    guidance_lifetime: Literal["segment", "while_gated"] = "segment"
    guide_num_samples: int = NUM_SAMPLES
    guide_num_kept: int = 1
    guide_min_correct: int = 1
    guide_temperature: float | None = None
    guide_top_p: float | None = None
    guide_select: Literal["uniform", "closest"] = "uniform"
    guide_allocation: Literal["even", "adaptive"] = "even"
    guidance_harvest: bool = False
    guide_batch_size: int = BATCH_SIZE
    experience_frac: float = 0.5
    experience_start_pass_rate: float = 0.35
    eval_every: int = 0
    eval_num_samples: int = 4
    no_signal_patience: int = 50


@dataclass(frozen=True)
class AutoNPOConfig:
    """AutoNPO: the run decides by itself when to go back and how far. Keys are written `autonpo.<name>`.

    Every number is ours, since no account of the paper gives one (reconstruction.md 2.3). The trigger's own settings
    (`nearfuture.method.trigger.TriggerConfig`) take the same prefix.

    Attributes:
        mode: `off`; `advise` decides and records it but never acts; `act`.
        max_interventions: the most interventions per run.
        max_rollback_distance: optimizer steps; also how long a mistake is remembered.
        slice: which mistakes belong to a distance: failed `since` the checkpoint, or `at` its next step.
        ask: what the guide is asked for: the chosen `slice`, which the replay crosses (the paper), or the whole `pool`,
            which pays if guidance outlives the replay (guidance_lifetime=while_gated).
        keep_solved: a mistake stays in the pool when the prompt is solved later, because the policy gone back to
            has yet to solve it. It matters where prompts come back within `max_rollback_distance`.
        probe_num_prompts: how many prompts the probe asks.
        probe_num_samples: samples per probed prompt.
        probe_min_pass_rate: below this the current policy does not solve what it failed, and the run continues.
        probe_min_solved: the same limit in solved prompts.
        min_prompts: how many probed prompts a candidate's slice needs.
        min_gain: the factor by which the best candidate must beat the nearest one.
        variance_cost: form of V: `kl` (the paper's, exp(2 KL) per token), `token` (second moment) or `sequence`.
        accept: `always` continues from the guided branch (the paper); `if_better` compares it with the abandoned tail
            at the step where the trigger fired, on the task's evaluation prompts, and continues from the better one.
        accept_num_samples: completions per evaluation prompt and branch in that comparison.
        stay: staying is a candidate, at distance 0: the policy answers its own mistakes, and no step is trained twice.
        price: `none` chooses by Q / V (the paper); `slope` by expected gain minus what the run would have gained by
            spending the replayed steps going forward, at the slope of its pass rate.
        gain_factor: pass rate expected per share of the prompts whose answer is news (`method.price`).
    """

    mode: Literal["off", "advise", "act"] = "off"
    max_interventions: int = 5
    max_rollback_distance: int = 100
    slice: Literal["since", "at"] = "since"
    ask: Literal["slice", "pool"] = "slice"
    keep_solved: bool = False
    probe_num_prompts: int = 64
    probe_num_samples: int = 8
    probe_min_pass_rate: float = 0.02
    probe_min_solved: int = 8
    min_prompts: int = 8
    min_gain: float = 1.05
    variance_cost: Literal["kl", "token", "sequence"] = "kl"
    accept: Literal["always", "if_better"] = "always"
    accept_num_samples: int = 4
    stay: bool = False
    price: Literal["none", "slope"] = "none"
    gain_factor: float = 0.12
    trigger: TriggerConfig = field(default_factory=TriggerConfig)


@dataclass(frozen=True)
class Configuration:
    """A checked configuration.

    Attributes:
        run: what the run is.
        training_settings: fields of `NPOConfig` that are set; a trainer is given these and decides the others itself.
        model_settings: fields of `ModelConfig` that are set.
        autonpo: settings of AutoNPO.
        data: the rows, unless a task has them.
    """

    run: RunConfig
    training_settings: dict[str, Any]
    model_settings: dict[str, Any] = field(default_factory=dict)
    autonpo: AutoNPOConfig = field(default_factory=AutoNPOConfig)
    data: DataConfig = field(default_factory=DataConfig)

    @cached_property
    def training(self) -> TrainingOptions:
        """Every setting of training: its value if it is set, otherwise the default of its field (see `unresolved`)."""
        return unresolved(TrainingOptions, self.training_settings)

    @cached_property
    def model(self) -> Any:
        """Every setting of the model, in the same way."""
        return unresolved(ModelOptions, self.model_settings)

    @property
    def trl_settings(self) -> dict[str, Any]:
        """The settings of training and of the model that are set, together."""
        return {**self.training_settings, **self.model_settings}

    def with_training(self, **settings: Any) -> Configuration:
        """The same configuration with other settings of training."""
        return dataclasses.replace(self, training_settings={**self.training_settings, **settings})

    @property
    def max_steps(self) -> int:
        """The horizon: the last step of the head."""
        return int(self.training.max_steps)

    def as_dict(self) -> dict[str, Any]:
        """Flat keys and values, as in `config.yaml`."""
        run = {name: value for name, value in dataclasses.asdict(self.run).items() if value is not None}
        auto = dataclasses.asdict(self.autonpo)
        auto = {f"{AUTO}{name}": value for name, value in {**auto, **auto.pop("trigger")}.items() if name != "trigger"}
        auto = {} if self.autonpo.mode == "off" else auto
        run, auto = _without_new(run, RunConfig, ""), _without_new(auto, AutoNPOConfig, AUTO)
        run |= {name: str(value) for name, value in run.items() if isinstance(value, Path)}
        return {**run, **self.data.given(), **auto, **self.model_settings, **self.training_settings}


def _without_new(values: dict[str, Any], kind: type, prefix: str) -> dict[str, Any]:
    """Leave out new settings that are at their defaults."""
    usual = {f"{prefix}{name}": value for name, value in defaults(kind).items() if name in NEW}
    return {key: value for key, value in values.items() if key not in usual or value != usual[key]}


def unresolved(kind: type[T], settings: Mapping[str, Any]) -> T:
    """Return an instance with only its fields; values that the class computes on creation stay open (None, say).

    So the machine is not queried, and `bf16` is None if the device decides.
    """
    made = object.__new__(kind)
    vars(made).update(defaults(kind), **settings)
    return made


def defaults(kind: type) -> dict[str, Any]:
    """The default of every field of a class of settings, which is defined nowhere else."""
    return {
        field.name: field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        for field in dataclasses.fields(kind)
    }
