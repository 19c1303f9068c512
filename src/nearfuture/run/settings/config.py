"""The configuration of a run: flat YAML in TRL's dialect, strict keys, checked before a model is loaded.

Every field of `NPOConfig` (and of TRL's `ModelConfig`, for LoRA) stands at the top level, beside those of `RunConfig`.

Not here: what the settings of training mean (`nearfuture.train.npo_config`), what is done when (`plan`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_type_hints

from pydantic import TypeAdapter, ValidationError

from nearfuture import seal
from nearfuture.guidance.collect import BATCH_SIZE, NUM_SAMPLES
from nearfuture.method.trigger_config import TriggerConfig
from nearfuture.record import flat_yaml
from nearfuture.run.settings.combinations import check_together
from nearfuture.run.settings.methods import with_method
from nearfuture.run.settings.ranges import check_plain, check_range
from nearfuture.tasks.data.data_config import DataConfig
from nearfuture.train.npo_config import ModelConfig, NPOConfig
from nearfuture.types import UserError

TRAINING_DEFAULTS: dict[str, Any] = {
    "logging_steps": 1,
    "report_to": "none",
    "lr_scheduler_type": "constant",
    "truncated_is_wrong": True,
}
"""Where a run departs from TRL, and from `NPOConfig`, which keeps TRL's values for whoever brings a script."""
MODEL_DEFAULTS: dict[str, Any] = {"lora_dropout": 0.0}
"""TRL's is 0.05. TRL draws rollouts with dropout on, so that they come from no policy that is ever scored or saved, and
`fast_generation` is off. docs/configuration.md says so."""
AUTO = "autonpo."
MANAGED = {
    "output_dir": "run_dir",
    "resume_from_checkpoint": "--resume",
    "save_strategy": "save_steps",
    "model_name_or_path": "model",
    "load_best_model_at_end": None,
    "save_only_model": None,
    "logging_strategy": None,
    "eval_strategy": "eval_every",
    "eval_steps": "eval_every",
    "disable_tqdm": None,
    "num_train_epochs": "max_steps",
    "push_to_hub": "`hf upload` on RUN_DIR/final",
    "accelerator_config": None,
}

WITHOUT_EFFECT = {
    "held-out prompts are evaluated by the run itself (eval_every, eval_num_samples, guide_batch_size)": (
        *(
            "eval_on_start",
            "eval_delay",
            "eval_accumulation_steps",
            "eval_do_concat_batches",
            "per_device_eval_batch_size",
        ),
        *("eval_use_gather_object", "prediction_loss_only", "batch_eval_metrics", "include_for_metrics", "do_eval"),
        *("num_generations_eval", "bf16_full_eval", "fp16_full_eval", "metric_for_best_model", "greater_is_better"),
    ),
    "the order of prompts is that of the seed (data_seed, shuffle_dataset), on resume too": (
        *("train_sampling_strategy", "length_column_name", "ignore_data_skip", "dataloader_drop_last"),
        "restore_callback_states_from_checkpoint",
    ),
    "GRPO has neither labels nor tools nor columns to leave out here": (
        *("label_names", "label_smoothing_factor", "remove_unused_columns", "max_tool_calling_iterations"),
    ),
    "nothing is pushed to the Hub (`hf upload` does, on RUN_DIR/final)": (
        *("hub_model_id", "hub_strategy", "hub_token", "hub_private_repo", "hub_always_push", "hub_revision"),
        "log_completions_hub_repo",
    ),
    "a run trains, and logs every step": ("do_train", "do_predict", "logging_first_step"),
}
"""Fields of TRL's configuration that a run does not read, by the reason: set, they would be ignored in silence."""


@dataclass(frozen=True)
class RunConfig:
    """What a run is, beside how it trains.

    Attributes:
        run_dir: folder of the run.
        task: name of a shipped task, or `path/to/file.py:function`; None where `dataset_name` names the data.
        model: path or name of the base model; None takes the model that the task ships.
        method: a row of `nearfuture.run.settings.methods`; it stands for settings that can each be overridden.
        source: where guidance comes from: a `guide` of this run, `traces` of an external teacher, or the policy's own
            past `experience`.
        traces: JSONL or parquet of an external teacher, in one of the formats of `nearfuture guide import`; None takes
            the traces that the task ships.
        traces_format: of that file.
        scout_steps: early intervention: train this far ahead, go back to the base weights; 0 is off.
        guide_step: late intervention: the step whose policy becomes the guide; None is off.
        rollback_to: late intervention: the step to go back to.
        resample_steps: control: the base policy guides itself, at distance 0, on the prompts of so many steps; 0: off.
        replay_steps: serve guidance for so many steps after going back; None: until the guide's step.
        guidance_lifetime: `segment` drops guidance when the replay reaches the guide's step (the paper),
            `while_gated` keeps it as long as the gate admits it, and adds that of later guides.
        guide_num_samples: samples a prompt at most when guidance is collected.
        guide_num_kept: different trajectories kept a prompt; above 1 one of them is drawn at each visit.
        guide_min_correct: prompts with fewer correct samples get no guidance.
        guide_temperature: of the guide's samples; None: the run's own.
        guide_top_p: of the guide's samples; None: the run's own.
        guide_select: `uniform` among the correct, or `closest` to the policy that is guided.
        guide_batch_size: completions sampled at once when guidance is collected and held-out prompts are evaluated.
        replay_frac: share of a batch's questions that experience asks again.
        replay_start_pass_rate: pass rate of a batch above which experience begins to.
        eval_every: evaluate held-out prompts every so many steps; 0 is off.
        eval_num_samples: completions per held-out prompt.
        no_signal_patience: stop (exit code 3) after so many steps in a row in which no group had a gradient; 0 is off.
    """

    run_dir: Path
    task: str | None = None
    model: str | None = None
    method: str = "npo"
    source: Literal["guide", "traces", "experience"] = "guide"
    traces: Path | None = None
    traces_format: Literal["luffy", "rlep", "easyvideor1", "jsonl"] = "luffy"
    scout_steps: int = 0
    guide_step: int | None = None
    rollback_to: int | None = None
    resample_steps: int = 0
    replay_steps: int | None = None
    guidance_lifetime: Literal["segment", "while_gated"] = "segment"
    guide_num_samples: int = NUM_SAMPLES
    guide_num_kept: int = 1
    guide_min_correct: int = 1
    guide_temperature: float | None = None
    guide_top_p: float | None = None
    guide_select: Literal["uniform", "closest"] = "uniform"
    guide_batch_size: int = BATCH_SIZE
    replay_frac: float = 0.5
    replay_start_pass_rate: float = 0.35
    eval_every: int = 0
    eval_num_samples: int = 4
    no_signal_patience: int = 50


@dataclass(frozen=True)
class AutoNPOConfig:
    """AutoNPO: the run decides by itself when to go back and how far. Keys are written `autonpo.<name>`.

    Every number is ours, since no account of the paper gives one (reconstruction.md 2.3). The trigger's own settings
    (`nearfuture.method.trigger.TriggerConfig`) take the same prefix.

    Attributes:
        mode: `off`; `advise` decides and writes it down, never acts; `act`.
        max_interventions: no more than so many in a run.
        max_rollback_distance: optimizer steps; also how long a mistake is remembered.
        slice: which mistakes belong to a distance: failed `since` the checkpoint, or `at` its next step.
        ask: what the guide is asked for: the chosen `slice`, which the replay crosses (the paper), or the whole `pool`,
            which pays where guidance outlives the replay (guidance_lifetime=while_gated).
        probe_num_prompts: prompts the probe asks.
        probe_num_samples: samples of each.
        probe_min_pass_rate: below this the present policy does not solve what it failed, and the run goes on.
        probe_min_solved: the same, in solved prompts.
        min_prompts: probed prompts a candidate's slice needs.
        min_gain: factor by which the best candidate must beat the nearest one.
        variance_cost: form of V: `kl` (the paper's, exp(2 KL) a token), `token` (second moment) or `sequence`.
        accept: `always` goes on from the guided branch (the paper); `if_better` compares it with the abandoned tail at
            the step where the trigger fired, on the task's evaluation prompts, and goes on from the better one.
        accept_num_samples: completions per evaluation prompt and branch in that comparison.
    """

    mode: Literal["off", "advise", "act"] = "off"
    max_interventions: int = 5
    max_rollback_distance: int = 100
    slice: Literal["since", "at"] = "since"
    ask: Literal["slice", "pool"] = "slice"
    probe_num_prompts: int = 64
    probe_num_samples: int = 8
    probe_min_pass_rate: float = 0.02
    probe_min_solved: int = 8
    min_prompts: int = 8
    min_gain: float = 1.05
    variance_cost: Literal["kl", "token", "sequence"] = "kl"
    accept: Literal["always", "if_better"] = "always"
    accept_num_samples: int = 4
    trigger: TriggerConfig = field(default_factory=TriggerConfig)


@dataclass(frozen=True)
class Configuration:
    """A checked configuration: the run, its data, and what `NPOConfig` and `ModelConfig` are given."""

    run: RunConfig
    training: dict[str, Any]
    model: dict[str, Any] = field(default_factory=dict)
    autonpo: AutoNPOConfig = field(default_factory=AutoNPOConfig)
    data: DataConfig = field(default_factory=DataConfig)

    @property
    def max_steps(self) -> int:
        """The horizon: the last step of the head."""
        return int(self.training["max_steps"])

    def setting(self, name: str) -> Any:
        """Return a setting of training or of the model: as it was given, else the default of its field.

        The default is that of `NPOConfig` or `ModelConfig`, before either works out what it leaves open.
        """
        for given in (self.training, self.model):
            if name in given:
                return given[name]
        return field_default(name)

    def as_dict(self) -> dict[str, Any]:
        """Flat, as it stands in `config.yaml`."""
        run = {name: value for name, value in dataclasses.asdict(self.run).items() if value is not None}
        auto = dataclasses.asdict(self.autonpo)
        auto = {f"{AUTO}{name}": value for name, value in {**auto, **auto.pop("trigger")}.items() if name != "trigger"}
        auto = {} if self.autonpo.mode == "off" else auto
        run |= {name: str(value) for name, value in run.items() if isinstance(value, Path)}
        unset = dataclasses.asdict(DataConfig())
        run |= {name: value for name, value in dataclasses.asdict(self.data).items() if value != unset[name]}
        return {**run, **auto, **self.model, **self.training}


@cache
def field_default(name: str) -> Any:
    """Return the default of a field of `NPOConfig` or `ModelConfig`, the one place where it stands."""
    fields = {field.name: field for source in (ModelConfig, NPOConfig) for field in dataclasses.fields(source)}
    field_ = fields[name]
    return field_.default if field_.default_factory is dataclasses.MISSING else field_.default_factory()


def load_configuration(path: Path | None, overrides: list[str] = []) -> Configuration:  # noqa: B006 (never mutated)
    """Read a YAML file, apply `key=value` overrides, and check everything.

    Raises:
        UserError: a file that cannot be read, an unknown key (the nearest one is named), a value of the wrong type, a
            missing key, or interventions that cannot happen.
    """
    values = read_yaml(path) if path is not None else {}
    values |= dict(flat_yaml.load_value(override, "learning_rate=1e-4") for override in overrides)
    return check(values)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read keys and values.

    Raises:
        UserError: the file does not exist, or holds something else.
    """
    try:
        data = path.read_bytes()
        if seal.state(data) == "damaged" and (path.parent / "lineage.json").exists():
            raise UserError(
                f"{path} is not what the run was begun with: its last line is a seal of the others. Restore it from a "
                "copy. If it was edited on purpose, take that line out; better, give train a configuration of your own."
            )
        values = flat_yaml.load(data.decode())
    except FileNotFoundError:
        raise UserError(f"{path} does not exist. Give the path of a YAML configuration.") from None
    except (flat_yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not YAML: {error}") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UserError(f"{path} holds {type(values).__name__}, not keys and values. See configs/apprentice/tiny.yaml.")
    return values


def check(values: dict[str, Any]) -> Configuration:
    """Check flat keys and values; see `load_configuration`."""
    values = with_method(values)
    autonpo = _check_autonpo({key: value for key, value in values.items() if key.startswith(AUTO)})
    values = {key: value for key, value in values.items() if not key.startswith(AUTO)}
    hints = {source: get_type_hints(source) for source in (RunConfig, DataConfig, NPOConfig, ModelConfig)}
    names = {source: {f.name for f in dataclasses.fields(source)} for source in hints}
    parts: dict[type, dict[str, Any]] = {source: {} for source in hints}
    for key, value in values.items():
        source = next((source for source in hints if key in names[source]), None)
        if source is None or key in MANAGED:
            raise _unknown(key, set().union(*names.values()) - set(MANAGED))
        _refuse_without_effect(key)
        parts[source][key] = _typed(key, value, hints[source][key])
        check_range(key, parts[source][key], _default(source, key))
    missing = [name for name in ("run_dir", "max_steps") if name not in values]
    if missing:
        raise UserError(f"{', '.join(missing)} is missing. A run needs a task, a run_dir and max_steps (its horizon).")
    data = DataConfig(**parts[DataConfig])
    _check_data(values.get("task"), data)
    run = RunConfig(**parts[RunConfig])
    training = {**TRAINING_DEFAULTS, **parts[NPOConfig]}
    if training["logging_steps"] != 1:
        raise UserError(f"logging_steps={training['logging_steps']}: metrics.jsonl is one row a step. Leave it at 1.")
    config = Configuration(run, training, _model_settings(parts[ModelConfig]), autonpo, data)
    check_together(config)
    return config


def _model_settings(given: dict[str, Any]) -> dict[str, Any]:
    """Add our defaults where adapters are trained, so that `config.yaml` shows them."""
    return {**MODEL_DEFAULTS, **given} if given.get("use_peft") else given


def _check_data(task: str | None, data: DataConfig) -> None:
    """A run has one source of prompts, and settings of a data set need one."""
    if (task is None) == (data.dataset_name is None):
        seen = f"task={task} and dataset_name={data.dataset_name}"
        raise UserError(f"{seen}: exactly one of both says what is trained on. Set a task or a dataset_name.")
    given = [name for name, value in dataclasses.asdict(data).items() if value != getattr(DataConfig(), name)]
    alone = [name for name in given if name not in ("max_prompt_length", "max_image_pixels")]
    if task is not None and alone:
        raise UserError(f"{', '.join(alone)}: a task brings its own data and verifier. Remove it, or set dataset_name.")
    if data.dataset_test_split is not None and data.dataset_num_held_out:
        raise UserError(
            f"dataset_test_split={data.dataset_test_split} and dataset_num_held_out={data.dataset_num_held_out} both "
            "say what is evaluated. Set one."
        )


def _check_autonpo(values: dict[str, Any]) -> AutoNPOConfig:
    """Sort `autonpo.<name>` into the settings of the controller and of its trigger."""
    hints = {source: get_type_hints(source) for source in (AutoNPOConfig, TriggerConfig)}
    hints[AutoNPOConfig].pop("trigger")
    parts: dict[type, dict[str, Any]] = {source: {} for source in hints}
    for key, value in values.items():
        name = key.removeprefix(AUTO)
        source = next((source for source in hints if name in hints[source]), None)
        if source is None:
            raise _unknown(key, {f"{AUTO}{known}" for source in hints for known in hints[source]})
        parts[source][name] = _typed(key, value, hints[source][name])
        check_range(key, parts[source][name], _default(source, name))
    return AutoNPOConfig(**parts[AutoNPOConfig], trigger=TriggerConfig(**parts[TriggerConfig]))


def _unknown(key: str, known: set[str]) -> UserError:
    if key in MANAGED:
        instead = MANAGED[key]
        return UserError(f"{key} is managed by nearfuture. " + (f"Use {instead}." if instead else "Remove it."))
    near = difflib.get_close_matches(key, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return UserError(f"{key} is not a known key.{hint} docs/configuration.md says which there are.")


def _refuse_without_effect(key: str) -> None:
    for reason, keys in WITHOUT_EFFECT.items():
        if key in keys:
            raise UserError(f"{key} would have no effect: {reason}. Remove it.")


def _typed(key: str, value: Any, hint: Any) -> Any:
    check_plain(key, value)
    adapter = TypeAdapter(hint)
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        if isinstance(value, str):  # a list of names takes one name as well: lora_target_modules: all-linear
            with contextlib.suppress(ValidationError):
                return adapter.validate_python([value])
        problem = error.errors()[0]["msg"]
        raise UserError(f"{key}={value!r}: {problem}. Its type is {getattr(hint, '__name__', hint)}.") from None


def _default(source: type, name: str) -> Any:
    return next(field.default for field in dataclasses.fields(source) if field.name == name)
