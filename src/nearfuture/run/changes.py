"""What may change when a run is resumed: a longer horizon, and whatever does not touch training.

    max_steps      larger: the run goes on, bit for bit, as if it had been that long from the start; its learning
                   rate must not depend on the horizon, or the steps so far would have been different
    WATCHING       evaluations, checkpoints, reports, logs, patience

For other changes, fork the run (`fork`): the steps so far then stay what they were, in the run they belong to.

Not here: reading what a run started with (`origin`), recording a change (`start`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nearfuture.record.formats import command_line
from nearfuture.run.settings.config import Configuration
from nearfuture.types import UserError

_WATCHING = """
    eval_every eval_num_samples save_steps save_total_limit save_on_each_node report_to run_name project
    trackio_space_id trackio_bucket_id trackio_static_space_id no_signal_patience log_completions log_multimodal
    num_completions_to_print log_unique_prompts log_level log_level_replica log_on_each_node
    include_num_input_tokens_seen skip_memory_metrics vllm_server_timeout ddp_timeout
"""
WATCHING = frozenset(_WATCHING.split())
"""Keys that say what is evaluated, kept and reported. Evaluations leave every random state unchanged."""
CANDIDATES = frozenset(("save_steps", "save_total_limit"))
"""Among those, the keys that decide which checkpoints exist: AutoNPO may go back to any of them."""
WITHOUT_HORIZON = ("constant", "constant_with_warmup", "inverse_sqrt")
"""Schedules whose rate at a step does not depend on the length of the run."""


def changed(before: Mapping[str, Any], now: Mapping[str, Any], free: tuple[str, ...]) -> dict[str, tuple[Any, Any]]:
    """Return what differs between two configurations, by key, apart from `free` keys."""
    keys = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key) and key not in free)
    return {key: (before.get(key), now.get(key)) for key in keys}


def refuse_changes(changes: Mapping[str, tuple[Any, Any]], config: Configuration) -> None:
    """Refuse to resume with changes under which the steps so far would have been different.

    Raises:
        UserError: there are such changes; the message names them, and how to make them anyway.
    """
    refused = {key: why for key, (then, now) in changes.items() if (why := _why_not(key, then, now, config))}
    if not refused:
        return
    listed = ", ".join(f"{key}: {changes[key][0]} -> {changes[key][1]}" for key in refused)
    reasons = " ".join(dict.fromkeys(why for why in refused.values() if why is not TOUCHES))
    run = config.run.run_dir
    fork = command_line("--from", f"{run}@STEP", "run_dir=NEW")
    raise UserError(
        f"run_dir={run} was begun with another configuration ({listed}). {f'{reasons} ' if reasons else ''}Resume with "
        f"the same one, choose another run_dir, or fork it: {fork} trains on from one of its "
        "steps with new settings."
    )


TOUCHES = "it touches training"


def _why_not(key: str, then: Any, now: Any, config: Configuration) -> str:
    """Say why a key cannot change on resume; empty if it can."""
    if key in CANDIDATES and config.autonpo.mode == "act":
        return f"With autonpo.mode=act {key} says what the run may go back to."
    if key in WATCHING:
        return ""
    return _why_not_longer(then, now, config) if key == "max_steps" else TOUCHES


def _why_not_longer(then: object, now: int, config: Configuration) -> str:
    if not isinstance(then, int):
        return "Its own config.yaml does not say how long it is."
    training = config.training
    schedule, warmup = str(training.lr_scheduler_type), training.warmup_steps or 0
    if now < then:
        return "A run can become longer, not shorter."
    if schedule not in WITHOUT_HORIZON:
        return (
            f"With lr_scheduler_type={schedule} the learning rate of every step depends on max_steps, so the steps so "
            f"far are not those of a longer run (they would be with {', '.join(WITHOUT_HORIZON)})."
        )
    if 0 < warmup < 1:
        return f"warmup_steps={warmup} is a share of max_steps, so the steps so far are not those of a longer run."
    if training.save_steps < 1 and config.autonpo.mode == "act":
        return f"save_steps={training.save_steps} is a share of max_steps, and AutoNPO goes back to what is saved."
    return ""
