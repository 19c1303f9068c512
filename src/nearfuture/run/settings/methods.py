"""The methods on one backbone: where the trajectory of the last slot comes from, its weight, and which prompts get one.

`method: luffy` in a configuration stands for the keys below, each of which can be overridden. Whatever is not named is
as in plain NPO: one slot per group, the gate at 0.6, TRL's loss. The values are those of the papers, as far as they
concern the method; learning rate, batch and lengths stay the run's own. docs/methods/ has a page for each method,
with the deviations.

Controls are configuration, too: `method: luffy` with `max_pass_rate: 0.6` is LUFFY behind NPO's gate.

Not here: what the keys do (`nearfuture.run.settings.config`, `nearfuture.train.npo_config`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nearfuture.options.npo import TrainingOptions
from nearfuture.run.settings.config import RunConfig, defaults
from nearfuture.types import UserError, did_you_mean


@dataclass(frozen=True, slots=True)
class SameAs:
    """The value of another key of the run."""

    key: str


PLAIN = {**defaults(RunConfig), **defaults(TrainingOptions)}
NO_NORMALISATION = {"loss_type": "dr_grpo", "scale_rewards": "none"}
NO_CLIP = {"epsilon": 1.0, "epsilon_high": 1e6}

METHODS: dict[str, dict[str, Any]] = {
    # The policy's own near future, chosen by scout_steps, guide_step, rollback_to and autonpo.*.
    "npo": {name: PLAIN[name] for name in ("source", "weighting", "max_pass_rate")},
    # An external teacher's traces for every prompt, arXiv:2504.14945.
    "luffy": {
        "source": "traces",
        "weighting": "shaped",
        "shaping_gamma": 0.1,
        "max_pass_rate": 1.0,
        "entropy_coef": 0.001,
        **NO_NORMALISATION,
        **NO_CLIP,
    },
    # The policy's own past successes, arXiv:2510.02245.
    "exgrpo": {
        "source": "experience",
        "experience_frac": 0.5,
        "experience_start_pass_rate": 0.35,
        "weighting": "shaped",
        "shaping_gamma": 0.1,
        "max_pass_rate": 1.0,
        "entropy_coef": 0.001,
        **NO_NORMALISATION,
    },
    # The policy's own latest answer to a prompt that it fails today, behind NPO's gate, after arXiv:1806.05635.
    "self_imitation": {"source": "own", **{name: PLAIN[name] for name in ("weighting", "max_pass_rate")}},
    # The policy's far future: a pool of the converged policy, replayed from the base weights on for every prompt,
    # arXiv:2507.07451.
    "rlep": {
        "source": "guide",
        "scout_steps": SameAs("max_steps"),
        "guidance_lifetime": "while_gated",
        "guide_num_samples": 64,
        "guide_num_kept": 64,
        "guide_min_correct": 2,
        "guide_temperature": 0.7,
        "guide_top_p": 0.95,
        "weighting": "on_policy",
        "max_pass_rate": 1.0,
    },
    # The near-future self judges the learner's own tokens instead of filling a slot.
    "opd": {"source": "guide", "inject_guidance": False, "distill_coef": 0.1, "max_pass_rate": PLAIN["max_pass_rate"]},
    # The policy itself, told the answer, sizes the tokens of what it wrote, arXiv:2604.03128.
    "rlsd": {
        "informed_strength": 0.5,
        "informed_steps": 50,
        "informed_clip": 0.2,
        "informed_sync_steps": 10,
    },
    # Branches that learn different parts of the data and judge each other, arXiv:2604.27083.
    "copd": {
        "parallel_branches": 2,
        "parallel_own_steps": 3,
        "parallel_peer_steps": 2,
        "distill_coef": 1.0,
    },
}


def with_method(values: dict[str, Any]) -> dict[str, Any]:
    """Fill in what the method stands for, below the keys that are given.

    Raises:
        UserError: the method is unknown.
    """
    name = values.get("method", PLAIN["method"])
    if not isinstance(name, str) or name not in METHODS:
        plain = "Plain GRPO is npo without scout_steps, guide_step, resample_steps and autonpo.mode."
        hint = f" {plain}" if str(name).lower() == "grpo" else did_you_mean(str(name), METHODS)
        raise UserError(f"method={name!r} is not known.{hint} There are: {', '.join(METHODS)}.")
    given = {key: value for key, value in METHODS[name].items() if key not in values}
    resolved = {key: values.get(value.key) if isinstance(value, SameAs) else value for key, value in given.items()}
    return {**values, **{key: value for key, value in resolved.items() if value is not None}}
