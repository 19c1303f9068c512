"""Keys other than those of a run: managed by the run, without effect in it, or renamed.

Not here: the keys that a run has (`config`), their values (`ranges`).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any

from nearfuture.types import UserError, did_you_mean

logger = logging.getLogger(__name__)

RENAMED = {
    "replay_steps": "guidance_steps",
    "replay_frac": "experience_frac",
    "replay_start_pass_rate": "experience_start_pass_rate",
}
"""Current names of keys from the previous release. The old names are accepted for one more release."""

RETIRED = {
    f"autonpo.{name}": f"{why} docs/methods/autonpo.md has a table of old and new settings."
    for names, why in (
        ("window", "The trigger looks back on a share of the run (autonpo.look_back), and finds the stretch itself."),
        ("max_reward_t", "How much must speak for a plateau is autonpo.min_evidence; -1e9 asks for nothing."),
        ("max_entropy_t", "How much may speak against a falling entropy is autonpo.max_entropy_evidence."),
        ("ema_weight", "The moving averages are only logged."),
    )
    for name in names.split()
}
"""Keys of the previous release that no longer mean anything, with their replacements. Explained for one release."""

TASK_ARGS = "task_args."

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

ELSEWHERE = {
    **dict.fromkeys(
        ("dynamic_sampling", "filter_groups", "online_filtering"),
        "TRL samples no group again. One that is all right or all wrong has no gradient anyway (npo/all_right_frac, "
        "npo/all_wrong_frac); guidance gives one that is all wrong a gradient. Remove it.",
    ),
    **dict.fromkeys(
        ("overlong_buffer", "soft_overlong_punishment", "soft_punish_cache"),
        "A run has one reward, its verdict. In a script of TRL, give NPOTrainer reward_funcs=[correct, "
        "get_soft_overlong_punishment(...)] and verdict_reward='correct': the gate goes by the verdict. Remove it.",
    ),
}
"""What other frameworks have and a run does not, with what to do instead."""

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
    "GRPO has no labels, tools or columns to leave out here": (
        *("label_names", "label_smoothing_factor", "remove_unused_columns", "max_tool_calling_iterations"),
    ),
    "nothing is pushed to the Hub (`hf upload` does, on RUN_DIR/final)": (
        *("hub_model_id", "hub_strategy", "hub_token", "hub_private_repo", "hub_always_push", "hub_revision"),
        "log_completions_hub_repo",
    ),
    "a run trains, and logs every step": ("do_train", "do_predict", "logging_first_step"),
}
"""Fields of TRL's configuration that a run does not read, with the reason; if set, they would be silently ignored."""


def with_present_names(values: dict[str, Any], *, is_told: bool = True) -> dict[str, Any]:
    """Rename keys of the previous release to their current names, and say so.

    Raises:
        UserError: both names are set, or a key no longer means anything (in the configuration of an old run it is
            ignored).
    """
    for key in RETIRED.keys() & values.keys() if is_told else ():
        raise UserError(f"{key} no longer has a meaning. {RETIRED[key]} Remove it.")
    values = {key: value for key, value in values.items() if key not in RETIRED}
    for old, new in RENAMED.items():
        if old in values and new in values:
            raise UserError(f"{old} is called {new} now, and both are set. Remove {old}.")
        if old in values and is_told:
            logger.warning("%s is called %s now; the next release will not know the old name.", old, new)
    return {RENAMED.get(key, key): value for key, value in values.items()}


def with_former_names(values: dict[str, Any]) -> dict[str, Any]:
    """Return the same keys under their first names, which digests of a run's configuration use."""
    former = {new: old for old, new in RENAMED.items()}
    return {former.get(key, key): value for key, value in values.items()}


def with_flat_autonpo(values: Mapping[str, Any]) -> dict[str, Any]:
    """Write a section `autonpo: {mode: act}` as `autonpo.mode`, as every other place does.

    Raises:
        UserError: `autonpo` is no section, or sets what is set already.
    """
    flat = {key: value for key, value in values.items() if key != "autonpo"}
    section = values.get("autonpo", {})
    if not isinstance(section, Mapping):
        raise UserError(f"autonpo={section!r} is not a section of settings. The mode is autonpo.mode={section}.")
    for key, value in section.items():
        if (name := f"autonpo.{key}") in flat:
            raise UserError(f"{name} is set twice, as {value!r} and as {flat[name]!r}. Remove one.")
        flat[name] = value
    return flat


def with_task_args(values: Mapping[str, Any]) -> dict[str, Any]:
    """Gather keys like `task_args.max_digits` under `task_args`.

    Raises:
        UserError: `task_args` is set, but is not a mapping of names to values.

    Example:
        >>> with_task_args({"task_args": {"a": 1, "b": 1}, "task_args.b": 2, "task": "x"})
        {'task_args': {'a': 1, 'b': 2}, 'task': 'x'}
    """
    single = {key.removeprefix(TASK_ARGS): value for key, value in values.items() if key.startswith(TASK_ARGS)}
    others = {key: value for key, value in values.items() if not key.startswith(TASK_ARGS)}
    if not single:
        return others
    whole = others.get("task_args") or {}
    if not isinstance(whole, dict):
        raise UserError(f"task_args={whole!r} is not a mapping of names to values. Write task_args: {{max_digits: 2}}.")
    return {**others, "task_args": {**whole, **single}}


def unknown(key: str, known: Collection[str]) -> UserError:
    """The error for a key that is not a setting of a run."""
    if key in ELSEWHERE:
        return UserError(f"{key} is not a setting of a run. {ELSEWHERE[key]}")
    if key in MANAGED:
        instead = MANAGED[key]
        return UserError(f"{key} is managed by nearfuture. " + (f"Use {instead}." if instead else "Remove it."))
    return UserError(f"{key} is not a known key.{did_you_mean(key, known)} `nearfuture docs configuration` lists them.")


def refuse_without_effect(key: str) -> None:
    """Refuse a key that a run would ignore.

    Raises:
        UserError: the key would be ignored; the message says why.
    """
    for reason, keys in WITHOUT_EFFECT.items():
        if key in keys:
            raise UserError(f"{key} would have no effect: {reason}. Remove it.")
