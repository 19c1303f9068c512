"""Which values a key may have, beyond its type: checked when a configuration is read, before anything is loaded.

TRL and transformers check some of this when a trainer is built, some in the first step, and some never:
`num_generations=0` divides by zero, `loss_type=x` is noticed after the first rollouts, `temperature=0` gives NaN. The
table below is the only place that defines ranges; a test holds docs/configuration.md to it.

Not here: types and unknown keys (`config`), combinations of keys (`combinations`), packages (`nearfuture.train.needs`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfuture.types import UserError

LARGEST = 10**15
"""No count in a run can be larger than this."""


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` to `high`; `is_low_out` and `is_high_out` exclude the end itself."""

    low: float | None = None
    high: float | None = None
    is_low_out: bool = False
    is_high_out: bool = False

    def holds(self, value: float) -> bool:
        """True for a value in the range."""
        is_over = self.low is None or (value > self.low if self.is_low_out else value >= self.low)
        is_under = self.high is None or (value < self.high if self.is_high_out else value <= self.high)
        return is_over and is_under

    def __str__(self) -> str:
        low = "" if self.low is None else f"{'above' if self.is_low_out else 'at least'} {self.low}"
        high = "" if self.high is None else f"{'below' if self.is_high_out else 'at most'} {self.high}"
        return ", ".join(part for part in (low, high) if part)


BY_RANGE: tuple[tuple[Range, str], ...] = (
    (
        Range(1),
        """max_steps per_device_train_batch_size gradient_accumulation_steps
        steps_per_generation generation_batch_size num_iterations max_completion_length
        ref_model_sync_steps save_total_limit torch_empty_cache_steps pad_to_multiple_of
        dataloader_prefetch_factor ddp_timeout ddp_bucket_cap_mb vllm_tensor_parallel_size vllm_max_model_length
        lora_r lora_alpha max_prompt_length max_image_pixels guide_num_samples guide_num_kept guide_min_correct
        guide_batch_size eval_num_samples guidance_steps autonpo.max_rollback_distance autonpo.probe_num_prompts
        autonpo.probe_num_samples autonpo.min_prompts autonpo.accept_num_samples informed_steps informed_sync_steps
        parallel_branches parallel_own_steps""",
    ),
    (Range(2), "num_generations"),
    (
        Range(0),
        """learning_rate weight_decay max_grad_norm warmup_steps adam_epsilon beta top_k
        dataloader_num_workers dataset_num_held_out num_completions_to_print
        neftune_noise_alpha scout_steps guide_step rollback_to resample_steps eval_every no_signal_patience epsilon
        epsilon_high router_aux_loss_coef entropy_coef entropy_coef_min entropy_coef_max entropy_coef_delta
        entropy_target vespo_k_pos vespo_lambda_pos vespo_k_neg vespo_lambda_neg off_policy_mask_threshold distill_coef
        autonpo.max_interventions autonpo.probe_min_solved autonpo.min_gain autonpo.gain_factor
        parallel_peer_steps""",
    ),
    (
        Range(0, is_low_out=True),
        """temperature repetition_penalty save_steps logging_steps delta sapo_temperature_neg sapo_temperature_pos
        vllm_server_timeout vllm_importance_sampling_clip_max vllm_importance_sampling_clip_min
        vllm_importance_sampling_cap shaping_gamma guide_temperature""",
    ),
    (
        Range(0, 1),
        """min_p top_entropy_quantile ref_model_mixup_alpha experience_frac experience_start_pass_rate
        autonpo.probe_min_pass_rate informed_strength""",
    ),
    (Range(0, 1, is_low_out=True), "top_p guide_top_p vllm_gpu_memory_utilization"),
    (Range(0, 1, is_high_out=True), "adam_beta1 adam_beta2 lora_dropout informed_clip"),
    (Range(0, 2**31 - 1), "seed data_seed"),
    (Range(1, 65535), "vllm_server_port vllm_group_port"),
)
RANGES = {key: range_ for range_, keys in BY_RANGE for key in keys.split()}
"""Ranges by key; a numeric key that is not here may be any finite number."""

CHOICES: dict[str, tuple[str, ...]] = {
    "loss_type": ("grpo", "dr_grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo"),
    "importance_sampling_level": ("token", "sequence"),
    "scale_rewards": ("group", "batch", "none"),
    "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
    "vllm_mode": ("colocate", "server"),
    "vllm_model_impl": ("vllm", "transformers"),
    "vllm_importance_sampling_mode": ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask"),
    "dtype": ("auto", "float32", "bfloat16", "float16"),
    "bnb_4bit_quant_type": ("nf4", "fp4"),
    "lora_task_type": ("CAUSAL_LM",),
    "cache_implementation": ("static", "offloaded_static", "dynamic", "offloaded", "quantized"),
    "torch_compile_mode": ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs", "lite"),
    "log_level": ("debug", "info", "warning", "error", "critical", "passive"),
    "log_level_replica": ("debug", "info", "warning", "error", "critical", "passive"),
}
"""Keys that TRL declares as text but reads as one of a few words."""


def check_range(key: str, value: Any, default: Any) -> None:
    """Refuse a meaningless value of the right type.

    Raises:
        UserError: the key, its value, the rule.
    """
    text = str(value) if isinstance(value, str | Path) else None
    if text is not None and (not text.strip() or value == Path()) and value != default:
        if isinstance(value, Path):
            raise UserError(f"{key}={text!r} is no folder of its own: it is blank, or the folder you are in. Name one.")
        raise UserError(f"{key}={text!r} is blank. Write null, or leave the key out, where it is not to be set.")
    if (key, value) == ("loss_type", "gmpo"):
        raise UserError(
            "loss_type='gmpo' is a trainer of its own in TRL. In a script: class Mine(NPOTrainer, GMPOTrainer), with "
            "weighting=on_policy or importance. In a run, take loss_type=dapo with importance_sampling_level=sequence."
        )
    if key in CHOICES and value is not None and value not in CHOICES[key]:
        raise UserError(f"{key}={value!r} is not known. One of: {', '.join(CHOICES[key])}.")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if key in RANGES and is_number and not RANGES[key].holds(value):
        raise UserError(f"{key}={value} must be {RANGES[key]}.")


def check_plain(key: str, value: Any) -> None:
    """Refuse, at any depth, texts that no file can hold and numbers that no count can reach.

    Raises:
        UserError: the key, its value, the rule.
    """
    if isinstance(value, dict):
        for name, inner in value.items():
            check_plain(key, name)
            check_plain(key, inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            check_plain(key, inner)
    elif isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{key}={value} is not a finite number. Give a finite one.")
    elif isinstance(value, int) and abs(value) > LARGEST:
        raise UserError(f"{key}={value} is larger than any count could be. Give at most {LARGEST:,}.")
    elif isinstance(value, str) and ("\x00" in value or _has_surrogates(value)):
        raise UserError(f"{key}={value!r} holds a character that no file name and no text file can hold. Remove it.")


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
