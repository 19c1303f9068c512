"""The settings of Near-Future Policy Optimization in addition to TRL's own, as plain values.

Not here: what they do (`nearfuture.train.trainer`), the class that a trainer takes (`nearfuture.train.npo_config`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from enum import StrEnum

from nearfuture.options.trl import GRPO, MODEL, class_of
from nearfuture.types import UserError

PLACES = ("{prompt}", "{answer}")
NUMBERS = ("max_pass_rate", "correct_threshold", "shaping_gamma", "distill_coef", "informed_strength", "informed_clip")
"""Settings of NPO that must be numbers, whoever sets them."""


class Weighting(StrEnum):
    """How a guided token is weighted in TRL's loss; see reconstruction.md 1.3.

    `ON_POLICY`: as if the learner had sampled it, the paper's simplification. `IMPORTANCE`: by the exact ratio, with
    the guide's stored log-probs in the denominator. `SHAPED`: by f(ratio) = ratio / (ratio + `shaping_gamma`), never
    clipped (LUFFY, ExGRPO); without stored log-probs the denominator is 1.
    """

    ON_POLICY = "on_policy"
    IMPORTANCE = "importance"
    SHAPED = "shaped"


class GuidedRewards(StrEnum):
    """Which rows the reward functions are called on after a slot was replaced; see `NPOSettings.guided_rewards`."""

    ROW = "row"
    BATCH = "batch"


@dataclass
class NPOSettings:
    """The settings of NPO alone. A trainer whose `args` are a plain `GRPOConfig` has them all at their defaults.

    Args:
        max_pass_rate: the highest on-policy pass rate of a group that still admits guidance (the paper's tau_gate);
            negative closes the gate.
        weighting: `on_policy` (the paper), `importance` or `shaped`.
        shaping_gamma: gamma of `shaped`; the smaller it is, the less likely are the tokens that count most.
        inject_guidance: whether to put guidance into the last slot; if off, a guide only distils.
        distill_coef: weight of log pi_guide - log pi in the advantage of the policy's own rollouts on gated prompts
            (on-policy distillation from the near-future self); 0 is off.
        informed_strength: lambda of the informed self at step 0: how much of a token's weight follows what the policy
            thinks of it once it is told the answer (RLSD); 0 is off.
        informed_steps: lambda falls to 0 within this many steps.
        informed_clip: epsilon: a token's weight stays between 1 - epsilon and 1 + epsilon.
        informed_sync_steps: the informed self takes over the policy's weights at every multiple of this step.
        informed_column: the column of the training rows that holds the answer.
        informed_template: the prompt of the informed self; `{prompt}` and `{answer}` are filled in.
        informed_by: whose answer it is told: that of its `own` prompt, or (as a control) that of an `other` prompt in
            the batch.
        parallel_branches: number of branches that learn different parts of the data and judge each other (CoPD); 1 is
            off.
        parallel_own_steps: steps per cycle in which a branch learns its own part, judged by the verifier.
        parallel_peer_steps: steps per cycle in which it learns another branch's part, judged by that branch; 0: never.
        parallel_column: the column whose values are dealt out to the parts; None: rows are dealt out one by one.
        verdict_reward: name of the reward function that carries the verdict; default: the first one.
        correct_threshold: a rollout is correct if that function's reward is at least this; None (NaN) is not judged.
        truncated_is_wrong: a truncated completion earns 0 from that function, like a wrong one. Off, as in TRL, it
            earns what its text earns. Gate, pass rate and pool count it as wrong either way, because it can never be
            guidance.
        freeze_vision_tower: nothing in the vision tower is trained, adapters included; by default it is (the paper).
        verify_guidance: verify every trajectory again with that function before step 1.
        guided_rewards: which rows the reward functions are called on once a guided completion has taken its slot.
            `row`: the guided rows only; the others keep their rewards, and nothing is verified twice. `batch`: the
            whole batch again, as TRL calls them; needed if a function compares the completions of a group.
        fast_generation: read each prompt (and its images) once instead of `num_generations` times, and drop rows that
            have ended. The same random numbers are drawn. On a CPU no token was ever seen to differ from TRL's, but
            this is not guaranteed, because rounding may depend on the number of rows. TRL's own path is taken with
            vLLM, continuous batching, tools, dropout, DeepSpeed, FSDP, `generation_kwargs`, images of models other
            than Qwen's, and anything that does not work row by row (`repetition_penalty`, a static cache).
        vllm_dtype: the precision in which a colocated vLLM samples (`float32`, `bfloat16`, `float16`); default: that
            in which the policy computes. By itself vLLM would sample a float32 policy in bfloat16.
    """

    max_pass_rate: float = field(
        default=0.6,
        metadata={
            "help": "Highest on-policy pass rate of a group that still admits guidance; negative closes the gate."
        },
    )
    weighting: str = field(
        default="on_policy",
        metadata={
            "help": "'on_policy': guided tokens as if sampled now; 'importance': ratio to the guide's log-probs; "
            "'shaped': that ratio through x / (x + shaping_gamma)."
        },
    )
    shaping_gamma: float = field(default=0.1, metadata={"help": "Shape of the weight with weighting='shaped'."})
    inject_guidance: bool = field(default=True, metadata={"help": "Put guidance into the last slot of gated groups."})
    distill_coef: float = field(
        default=0.0, metadata={"help": "Weight of the guide's log-ratio on the policy's own rollouts; 0 is off."}
    )
    informed_strength: float = field(
        default=0.0, metadata={"help": "How much of a token's weight the informed self decides at step 0; 0 is off."}
    )
    informed_steps: int = field(default=50, metadata={"help": "Steps within which informed_strength falls to 0."})
    informed_clip: float = field(default=0.2, metadata={"help": "A token's weight stays this close to 1."})
    informed_sync_steps: int = field(
        default=10, metadata={"help": "Steps between two updates of the informed self's weights."}
    )
    informed_column: str = field(default="answer", metadata={"help": "Column of the rows that holds the answer."})
    informed_template: str = field(
        default="{prompt}\n\n(The answer is {answer}.)", metadata={"help": "What the informed self is asked."}
    )
    informed_by: str = field(
        default="own", metadata={"help": "'own': told the prompt's answer; 'other': that of another prompt."}
    )
    parallel_branches: int = field(default=1, metadata={"help": "Branches that judge each other; 1 is off."})
    parallel_own_steps: int = field(default=3, metadata={"help": "Steps of a cycle on a branch's own part."})
    parallel_peer_steps: int = field(default=2, metadata={"help": "Steps of a cycle on a peer's part."})
    parallel_column: str | None = field(
        default=None, metadata={"help": "Column whose values are dealt out to the branches. Default: row by row."}
    )
    verdict_reward: str | None = field(
        default=None, metadata={"help": "Reward function that carries the verdict. Default: the first."}
    )
    correct_threshold: float = field(
        default=1.0, metadata={"help": "A rollout is correct if the verdict reward is at least this."}
    )
    truncated_is_wrong: bool = field(
        default=False, metadata={"help": "A completion that was cut off gets 0 from the verdict reward."}
    )
    freeze_vision_tower: bool = field(
        default=False, metadata={"help": "Freeze the vision tower of a vision-language model."}
    )
    verify_guidance: bool = field(
        default=True, metadata={"help": "Verify every guidance trajectory again before step 1."}
    )
    guided_rewards: str = field(
        default="row",
        metadata={
            "help": "'row': reward functions are called on the guided rows only; 'batch': on the whole batch "
            "again, for functions that compare the completions of a group."
        },
    )
    fast_generation: bool = field(
        default=False, metadata={"help": "Read each prompt once for all its completions; drop rows that have ended."}
    )

    vllm_dtype: str | None = field(
        default=None, metadata={"help": "Precision of a colocated vLLM. Default: that in which the policy computes."}
    )

    def check_settings(self) -> None:
        """Refuse meaningless values.

        Raises:
            UserError: the value, the rule, the remedy.
        """
        for name in NUMBERS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
                raise UserError(f"{name}={value!r} is not a number. Set one; its default is {DEFAULTS[name]}.")
        if self.vllm_dtype not in (None, "float32", "bfloat16", "float16"):
            raise UserError(f"vllm_dtype={self.vllm_dtype!r} is not known. One of: float32, bfloat16, float16.")
        if self.weighting not in list(Weighting):
            raise UserError(f"weighting={self.weighting!r} is not known. One of: {', '.join(Weighting)}.")
        if self.guided_rewards not in list(GuidedRewards):
            raise UserError(f"guided_rewards={self.guided_rewards!r} is not known. One of: {', '.join(GuidedRewards)}.")
        if self.shaping_gamma <= 0 or self.distill_coef < 0:
            raise UserError(
                f"shaping_gamma={self.shaping_gamma} must be above 0, distill_coef={self.distill_coef} at least 0."
            )
        if self.informed_by not in ("own", "other"):
            raise UserError(f"informed_by={self.informed_by!r} is not known. One of: own, other.")
        if not {"{prompt}", "{answer}"} <= {part for part in PLACES if part in self.informed_template}:
            raise UserError(
                f"informed_template={self.informed_template!r} must hold {{prompt}} and {{answer}}, which are put in."
            )
        if self.parallel_branches > 1 and self.parallel_peer_steps and not self.distill_coef:
            raise UserError(
                f"parallel_branches={self.parallel_branches} and distill_coef=0: in the steps of a peer nothing would "
                "be learned. Set distill_coef (method: copd), or parallel_peer_steps=0."
            )
        if self.max_pass_rate > 1:
            raise UserError(
                f"max_pass_rate={self.max_pass_rate} is above 1: a pass rate is a share of the rollouts. "
                "1.0 guides every prompt that has guidance, a negative value closes the gate."
            )

    @property
    def weighs_tokens(self) -> bool:
        """True if tokens are weighted individually."""
        return self.weighting == Weighting.SHAPED or self.distill_coef != 0 or self.informed_strength != 0

    @property
    def weighs(self) -> str:
        """The settings that weight individual tokens, as an error names them."""
        informed = f", informed_strength={self.informed_strength}" if self.informed_strength else ""
        return f"weighting={self.weighting}, distill_coef={self.distill_coef}{informed}"


@dataclass
class ByDevice:
    """Settings of TRL that the device decides unless they are set."""

    gradient_checkpointing: bool | None = field(
        default=None,
        metadata={"help": "Trade compute for memory. Default: on with an accelerator, off on a CPU."},
    )
    bf16: bool | None = field(
        default=None,
        metadata={"help": "Mixed precision in bfloat16. Default: on if the accelerator supports it."},
    )
    activation_checkpointing: bool | None = field(
        default=None, metadata={"help": "The newer name of gradient_checkpointing in transformers."}
    )


@dataclass
class TrainingOptions(NPOSettings, ByDevice, class_of("GRPOOptions", GRPO)):  # type: ignore[misc]
    """Every setting of `NPOConfig` with its default; nothing is computed and no device is queried."""


DEFAULTS = {one.name: one.default for one in fields(NPOSettings)}
ModelOptions = class_of("ModelOptions", MODEL)
"""Every setting of TRL's `ModelConfig` with its default."""
