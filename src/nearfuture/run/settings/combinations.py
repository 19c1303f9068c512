"""What keys mean to each other: which of them cannot be set together, checked before anything is loaded.

Not here: one key alone (`config`, `ranges`), what only a model or a task can tell (`build`, `nearfuture.train.needs`).
"""

from __future__ import annotations

from nearfuture.options.data import DataConfig
from nearfuture.options.npo import Weighting
from nearfuture.run.settings.config import Configuration, RunConfig
from nearfuture.types import UserError

ASK_A_GUIDE = ("guide", "own")
"""Sources for which a guide of the run is asked."""


def check_together(config: Configuration) -> None:
    """Refuse settings that contradict each other.

    Raises:
        UserError: which ones, why, and what to do.
    """
    _check_interventions(config)
    _check_samples(config.run)
    _check_autonpo(config)
    _check_weights(config)
    _check_branches(config)
    _check_model(config)
    _check_cache(config)


OF_A_TASK = ("max_prompt_length", "max_image_pixels")
LIMITS = ("dataset_min_difficulty", "dataset_max_difficulty")


def check_data(task: str | None, data: DataConfig, task_difficulty: str | None = None) -> None:
    """A run has one source of prompts, and settings of a data set need one.

    Raises:
        UserError: there is none or there are two, or something is given twice.
    """
    if (task is None) == (data.dataset_name is None):
        seen = f"task={task} and dataset_name={data.dataset_name}"
        raise UserError(f"{seen}: give exactly one of them as training data. Set a task or a dataset_name.")
    limits = [name for name in LIMITS if name in data.given()]
    if (task is None or not limits) and task_difficulty is not None:
        raise UserError(
            f"task_difficulty={task_difficulty} says how hard the rows of a task are, and takes limits. Set task, and "
            f"{' or '.join(LIMITS)}; of a data set, name the file as dataset_name."
        )
    alone = [name for name in data.given() if name not in OF_A_TASK]
    if task_difficulty is not None:
        alone = [name for name in alone if name not in LIMITS]
    if task is not None and alone:
        own = "" if not limits else " (`nearfuture data difficulty` measures a task's rows, for task_difficulty)"
        raise UserError(
            f"{', '.join(alone)}: a task has its own data and verifier{own}. Remove it, or set dataset_name."
        )
    if data.dataset_test_split is not None and data.dataset_num_held_out:
        raise UserError(
            f"dataset_test_split={data.dataset_test_split} and dataset_num_held_out={data.dataset_num_held_out} both "
            "say what is evaluated. Set one."
        )


def _check_weights(config: Configuration) -> None:
    """Refuse a guide whose log-probs could not be divided by, before it is paid for."""
    temperature, own = config.training.temperature, config.run.guide_temperature
    if config.training.weighting == Weighting.IMPORTANCE and own not in (None, temperature):
        raise UserError(
            f"weighting=importance and guide_temperature={own}, while the run samples at "
            f"temperature={temperature}: the guide's log-probs would not be those of this run's sampling, and an "
            "importance weight divides by them. Leave guide_temperature unset, or use another weighting."
        )


def _check_branches(config: Configuration) -> None:
    """Branches judge each other; nobody else guides them, and no single one of them can be gone back to."""
    run, num = config.run, config.training.parallel_branches
    others = {
        "scout_steps": run.scout_steps,
        "guide_step": run.guide_step,
        "resample_steps": run.resample_steps,
        "autonpo.mode": config.autonpo.mode if config.autonpo.mode != "off" else None,
        "source": run.source if run.source != "guide" else None,
    }
    set_ = [f"{key}={value}" for key, value in others.items() if value]
    if num > 1 and set_:
        raise UserError(
            f"parallel_branches={num} and {', '.join(set_)}: branches judge each other, and nothing else may guide "
            "them. Remove one or the other."
        )


def _check_autonpo(config: Configuration) -> None:
    auto, gate = config.autonpo, config.training.max_pass_rate
    if config.run.source == "experience" and auto.mode == "act":
        raise UserError(
            "source=experience and autonpo.mode=act: the last slot has one source, so that what AutoNPO "
            "collects would never be served. Set autonpo.mode=off, or source=guide or own."
        )
    if auto.ask == "pool" and config.run.guidance_lifetime == "segment":
        raise UserError(
            "autonpo.ask=pool and guidance_lifetime=segment: guidance is dropped when the replay ends, so that most of "
            "the pool would be asked for nothing. Set guidance_lifetime=while_gated, or autonpo.ask=slice."
        )
    is_dropped = config.run.guidance_lifetime == "segment" and config.run.guidance_steps is None
    if auto.mode != "off" and auto.stay and is_dropped:
        raise UserError(
            "autonpo.stay=true and guidance_lifetime=segment: guidance is dropped where the guide stood, and a run "
            "that stays stands there already. Set guidance_lifetime=while_gated, or guidance_steps."
        )
    if auto.mode != "off" and not 0 <= gate < 1:
        raise UserError(
            f"max_pass_rate={gate}: with autonpo.mode={auto.mode} the gate must lie in [0, 1), as a mistake is a "
            "prompt at or under it. Set it, or autonpo.mode=off."
        )


def _check_model(config: Configuration) -> None:
    """What TRL cannot do with an adapter."""
    if not config.model.use_peft:
        return
    if config.training.sync_ref_model:
        raise UserError(
            "sync_ref_model=true and use_peft=true: with an adapter the reference is the model without it, and there "
            "is no second model to synchronise. Set one of both."
        )
    if config.training.cast_lm_head_to_fp32:
        raise UserError(
            "cast_lm_head_to_fp32=true and use_peft=true: TRL looks for the head in the model without its adapter. Set "
            "dtype=float32, or one of both."
        )


def _check_cache(config: Configuration) -> None:
    """What transformers cannot do: its static cache takes the precision of the keys for the values too."""
    training, dtype = config.training, config.model.dtype
    half = "bfloat16" if training.bf16 else "float16" if training.fp16 else None
    if half and dtype != half and "static" in (training.cache_implementation or ""):
        raise UserError(
            f"cache_implementation={training.cache_implementation} and {'bf16' if training.bf16 else 'fp16'}=true with "
            f"weights in {dtype or 'float32'}: keys and values get different precisions, and "
            f"a static cache has room for one. Set dtype={half}, or cache_implementation=dynamic."
        )


def _check_interventions(config: Configuration) -> None:
    """Say which intervention cannot happen, before anything is trained."""
    run, max_steps = config.run, config.max_steps
    if run.scout_steps > max_steps:
        raise UserError(f"scout_steps={run.scout_steps} lies outside 0 to max_steps={max_steps}.")
    if (run.guide_step is None) != (run.rollback_to is None):
        raise UserError(
            f"guide_step={run.guide_step} and rollback_to={run.rollback_to}: a late intervention needs both. "
            "Set both, or neither."
        )
    if run.guide_step is not None and run.rollback_to is not None:
        _check_late(run, run.rollback_to, run.guide_step, max_steps)
    if run.scout_steps and run.resample_steps:
        raise UserError(
            f"scout_steps={run.scout_steps} and resample_steps={run.resample_steps}: both begin at step 0. Set one."
        )
    if run.source == "own" and not config.training.inject_guidance:
        raise UserError(
            "source=own and inject_guidance=false: own answers are served in a slot, and none would be. Set "
            "inject_guidance=true, or source=guide."
        )
    if run.source not in ASK_A_GUIDE and (run.scout_steps or run.resample_steps or run.guide_step):
        raise UserError(f"source={run.source} takes no guide of this run. Leave scout_steps and guide_step unset.")


def _check_late(run: RunConfig, start: int, guide_step: int, max_steps: int) -> None:
    if not 0 <= start <= guide_step <= max_steps:
        raise UserError(
            f"rollback_to={start}, guide_step={guide_step}, max_steps={max_steps}: "
            "must be 0 <= rollback_to <= guide_step <= max_steps."
        )
    if start == guide_step and run.guidance_steps is None:
        raise UserError(
            f"rollback_to={start} and guide_step={guide_step}: nothing is rolled back, so the guide has no window of "
            "its own. Set guidance_steps: the prompts of so many steps are asked."
        )
    if guide_step <= run.scout_steps:
        raise UserError(
            f"guide_step={guide_step} is not after scout_steps={run.scout_steps}: the early replay must have "
            "passed its guide first. Raise guide_step."
        )


def _check_samples(run: RunConfig) -> None:
    if run.guide_allocation == "adaptive" and run.guide_select == "closest":
        raise UserError(
            "guide_allocation=adaptive and guide_select=closest: the closest of a fixed number of samples needs all of "
            "them. Set guide_select=uniform, or guide_allocation=even."
        )
    if run.guidance_harvest and run.source == "experience":
        raise UserError(
            "guidance_harvest=true and source=experience: it replays the run's own rollouts already, and no "
            "guide is asked. Set one of both."
        )
    if run.guidance_harvest and max(run.guide_num_kept, run.guide_min_correct) > 1:
        raise UserError(
            f"guidance_harvest=true, guide_num_kept={run.guide_num_kept}, guide_min_correct={run.guide_min_correct}: "
            "one rollout per prompt is harvested, which is not a pool. Leave both at 1, or set guidance_harvest=false."
        )
    for name in ("guide_num_kept", "guide_min_correct"):
        if getattr(run, name) > run.guide_num_samples:
            raise UserError(
                f"{name}={getattr(run, name)} is more than guide_num_samples={run.guide_num_samples}: that many cannot "
                "come from so few samples. Raise guide_num_samples, or lower it."
            )
