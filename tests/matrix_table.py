"""The table of the matrix: what a run can be told, by factor.

A factor is one decision with its options, the first of which is the default of the matrix; an option is a name and
the keys it sets. `{name}` in a value is a file that `matrix_worlds.prepare` makes.

Not here: what cannot be combined (`matrix_refusals`), keys that no option sets (`matrix_excluded`), drawing cases
(`matrix_cases`), running them (`matrix_drive`).
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

Settings = dict[str, Any]

ALWAYS: Settings = {"max_completion_length": 8, "learning_rate": 1e-3, "seed": 3}
EAGER: Settings = {
    "max_steps": 15,
    "autonpo.min_evidence": -1e9,
    "autonpo.max_entropy_evidence": 1e9,
    "autonpo.min_entropy_drop": -0.9,
    "autonpo.min_pace": 2.0,
    "autonpo.slowdown": 0.5,
    "autonpo.look_back": 1.0,
    "autonpo.min_stretch": 6,
    "autonpo.patience": 1,
    "autonpo.warmup": 6,
    "autonpo.cooldown": 20,
    "autonpo.probe_num_prompts": 16,
    "autonpo.probe_num_samples": 4,
    "autonpo.probe_min_pass_rate": 0.001,
    "autonpo.probe_min_solved": 1,
    "autonpo.min_prompts": 1,
}
"""A trigger that fires as soon as there are rows enough."""

QUERIES: Settings = {"lora_target_modules": ["q_proj"]}

ABSENT = next(name for name in ("clearml", "mlflow", "wandb", "trackio", "tensorboard") if find_spec(name) is None)
"""A package that could be reported to, if it were installed."""


def values(key: str, *options: Any) -> dict[str, Settings]:
    """A factor of one key; None is: not set."""
    return {f"{key}={option}": {} if option is None else {key: option} for option in options}


FACTORS: dict[str, dict[str, Settings]] = {
    # --- what is trained on, and by what
    "world": {
        "strings": {"task": "{worlds}:strings", "model": "{chains}"},
        "messages": {
            **{"task": "{worlds}:messages", "task_args": {"style": "user"}, "model": "{chat}"},
            "chat_template_kwargs": {"style": "plain"},
        },
        "images": {"task": "{worlds}:images", "model": "{vision}"},
        "images in some rows": {"task": "{worlds}:mixed", "model": "{vision}"},
        "shipped": {"task": "countdown", "max_completion_length": 16},
        "file": {"dataset_name": "{file}", "dataset_template": "text", "model": "{chains}"},
        "file, strict": {
            **{"dataset_name": "{file}", "dataset_template": "text", "model": "{chains}", "verifier": "strict"},
            "dataset_columns": {"question": "question", "gold": "answer"},
        },
        "folder with splits": {
            **{"dataset_name": "{folder}", "dataset_train_split": "train", "dataset_test_split": "test"},
            **{"model": "{chat}", "verifier": "{rule}:compute_score", "dataset_template": "none"},
            "dataset_system_prompt": "0",
        },
        "file with images": {
            **{"dataset_name": "{pictures}", "dataset_image_root": "{folder_of_pictures}", "model": "{vision}"},
            **{"verifier": "{rule}:compute_score", "dataset_template": "none", "max_image_pixels": 1024},
        },
    },
    "held out": {
        "none": {},
        "by number": {"dataset_num_held_out": 4},
        "by number, of the hard": {"dataset_num_held_out": 4, "dataset_min_difficulty": 0.2},
        "the easy": {"dataset_max_difficulty": 0.8},
    },
    "prompt length": values("max_prompt_length", None, 256),
    "tower": values("freeze_vision_tower", False, True),
    "adapter": {
        "none": {},
        "lora": {"use_peft": True, "lora_r": 4, "lora_target_modules": ["q_proj", "v_proj"], "lora_dropout": 0.0},
        "lora everywhere": {"use_peft": True, "lora_r": 4, "lora_target_modules": "all-linear"},
        "lora with dropout": {"use_peft": True, "lora_alpha": 8, "lora_dropout": 0.1, "use_rslora": True, **QUERIES},
        "dora": {"use_peft": True, "use_dora": True, "lora_modules_to_save": ["embed_tokens"], **QUERIES},
    },
    "dtype": values("dtype", None, "bfloat16", "float32", "auto"),
    "attention": values("attn_implementation", None, "eager", "sdpa"),
    "precision": {
        "default": {},
        "bf16": {"bf16": True, "use_cpu": True},
        "not bf16": {"bf16": False},
        "bf16 without a device": {"bf16": True},
    },
    "checkpointing": {
        "default": {},
        "on": {"gradient_checkpointing": True},
        "the newer name": {
            "activation_checkpointing": True,
            "activation_checkpointing_kwargs": {"use_reentrant": False},
        },
    },
    # --- the method, and what it learns from
    "method": {name: {"method": name} for name in ("npo", "luffy", "exgrpo", "self_imitation", "rlep", "opd")},
    "traces": {
        name: {"traces_format": name, "traces": f"{{traces_{name}}}"}
        for name in ("luffy", "rlep", "easyvideor1", "jsonl")
    },
    "experience": {
        "default": {},
        "at once": {"experience_start_pass_rate": 0.0, "experience_frac": 1.0},
        "half, at once": {"experience_start_pass_rate": 0.0, "experience_frac": 0.5},
    },
    "intervention": {
        "none": {},
        "early": {"scout_steps": 2},
        "late": {"guide_step": 3, "rollback_to": 1},
        "early and late": {"scout_steps": 1, "guide_step": 3, "rollback_to": 2},
        "late, at distance 0": {"guide_step": 2, "rollback_to": 2, "guidance_steps": 2},
        "again": {"resample_steps": 2},
    },
    "autonpo": {
        "off": {"max_steps": 4},
        "advise": {"autonpo.mode": "advise", **EAGER},
        "act": {"autonpo.mode": "act", **EAGER},
    },
    "autonpo.worth": {
        "the paper": {},
        "priced": {"autonpo.price": "slope", "autonpo.gain_factor": 0.5},
        "priced, may stay": {"autonpo.price": "slope", "autonpo.stay": True},
        "may stay": {"autonpo.stay": True},
    },
    "autonpo.slice": values("autonpo.slice", "since", "at"),
    "autonpo.ask": values("autonpo.ask", "slice", "pool"),
    "autonpo.keep_solved": values("autonpo.keep_solved", False, True),
    "autonpo.accept": {
        "always": {},
        "if_better": {"autonpo.accept": "if_better", "autonpo.accept_num_samples": 2},
    },
    "autonpo.variance_cost": values("autonpo.variance_cost", "kl", "token", "sequence"),
    "autonpo.distance": {
        "far": {"autonpo.max_rollback_distance": 12, "autonpo.min_gain": 1.0},
        "near": {"autonpo.max_rollback_distance": 4, "autonpo.max_interventions": 1},
    },
    "lifetime": {
        "the method's": {},
        "segment": {"guidance_lifetime": "segment"},
        "while gated": {"guidance_lifetime": "while_gated"},
        "one step": {"guidance_lifetime": "segment", "guidance_steps": 1},
    },
    "samples of a guide": {
        "the method's": {},
        "8, two kept": {"guide_num_samples": 8, "guide_num_kept": 2, "guide_min_correct": 1, "guide_batch_size": 16},
        "4, two correct": {"guide_num_samples": 4, "guide_num_kept": 1, "guide_min_correct": 2},
    },
    "allocation": values("guide_allocation", "even", "adaptive"),
    "harvest": values("guidance_harvest", False, True),
    "sampling of a guide": {
        "the method's": {},
        "its own": {"guide_temperature": 0.7, "guide_top_p": 0.9},
    },
    "guide_select": values("guide_select", "uniform", "closest"),
    # --- NPO
    "gate": values("max_pass_rate", None, 0.6, 0.0, 0.9, -1.0),
    "weighting": {
        "the method's": {},
        "on_policy": {"weighting": "on_policy"},
        "importance": {"weighting": "importance"},
        "shaped": {"weighting": "shaped", "shaping_gamma": 0.2},
    },
    "distillation": {
        "the method's": {},
        "beside": {"distill_coef": 0.1},
        "alone": {"distill_coef": 0.1, "inject_guidance": False},
    },
    "verdict": {
        "default": {},
        "named": {"verdict_reward": "correct", "correct_threshold": 0.5},
    },
    "guided_rewards": values("guided_rewards", "row", "batch"),
    "verify_guidance": values("verify_guidance", True, False),
    "fast_generation": values("fast_generation", False, True),
    # --- TRL: the batch
    "batch": {
        "16 by 4": {"per_device_train_batch_size": 16, "num_generations": 4},
        "8 by 2": {"per_device_train_batch_size": 8, "num_generations": 2},
        "4 by 8": {"per_device_train_batch_size": 4, "num_generations": 8, "generation_batch_size": 8},
        "16 by 4, twice": {"per_device_train_batch_size": 16, "num_generations": 4, "steps_per_generation": 2},
        "16 by 4, three times": {"per_device_train_batch_size": 16, "num_generations": 4, "generation_batch_size": 48},
    },
    "accumulation": values("gradient_accumulation_steps", 1, 2, 3),
    "iterations": values("num_iterations", 1, 2),
    "shuffle": values("shuffle_dataset", None, False, True),
    "workers": {
        "none": {},
        "two": {"dataloader_num_workers": 2, "dataloader_persistent_workers": True, "dataloader_prefetch_factor": 2},
        "one, spawned": {"dataloader_num_workers": 1, "dataloader_multiprocessing_context": "fork"},
    },
    "padding": values("pad_to_multiple_of", None, 8),
    # --- TRL: the loss
    "loss": values("loss_type", "dapo", "grpo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo"),
    "loss numbers": {
        "default": {},
        "other": {
            **{"epsilon": 0.1, "epsilon_high": 0.3, "sapo_temperature_neg": 1.2, "sapo_temperature_pos": 0.9},
            **{"vespo_k_pos": 1.5, "vespo_lambda_pos": 2.0, "vespo_k_neg": 2.0, "vespo_lambda_neg": 1.5},
        },
        "two-sided": {"delta": 1.5, "epsilon": 0.2},
    },
    "importance": values("importance_sampling_level", "token", "sequence"),
    "reference": {
        "none": {},
        "fixed": {"beta": 0.05},
        "fixed, biased": {"beta": 0.05, "use_bias_correction_kl": False},
        "synced": {"beta": 0.05, "sync_ref_model": True, "ref_model_sync_steps": 1, "ref_model_mixup_alpha": 0.5},
    },
    "scale_rewards": values("scale_rewards", "group", "batch", "none"),
    "rewards": {
        "default": {},
        "weighed": {"reward_weights": [2.0], "multi_objective_aggregation": "normalize_then_sum"},
    },
    "truncated": values("mask_truncated_completions", False, True),
    "truncated_reward": values("truncated_is_wrong", True, False),
    "entropy": {
        "default": {},
        "top": {"top_entropy_quantile": 0.5},
        "bonus": {"entropy_coef": 0.01},
        "adaptive": {
            **{"use_adaptive_entropy": True, "entropy_coef": 0.01, "entropy_target": 0.5, "entropy_coef_delta": 0.01},
            **{"entropy_coef_min": 0.0, "entropy_coef_max": 0.5},
        },
    },
    "off-policy mask": values("off_policy_mask_threshold", None, 0.5),
    "head": values("cast_lm_head_to_fp32", False, True),
    "dropout": values("disable_dropout", False, True),
    # --- TRL: sampling
    "sampling": {
        "default": {},
        "cold": {"temperature": 0.8, "top_p": 0.95, "top_k": 10, "min_p": 0.01},
        "penalised": {"repetition_penalty": 1.1},
        "static cache": {"cache_implementation": "static"},
        "own words": {"generation_kwargs": {"min_new_tokens": 2}},
        "continuous": {"use_transformers_continuous_batching": True},
    },
    # --- transformers: the optimizer
    "optimizer": {
        "default": {},
        "adamw": {
            "optim": "adamw_torch",
            "weight_decay": 0.1,
            "adam_beta1": 0.8,
            "adam_beta2": 0.95,
            "adam_epsilon": 1e-6,
        },
        "sgd": {"optim": "sgd", "max_grad_norm": 0.0},
        "adafactor": {"optim": "adafactor", "max_grad_norm": 0.5},
        "rmsprop": {"optim": "rmsprop", "optim_args": "alpha=0.9"},
    },
    "schedule": {
        "constant": {},
        "linear": {"lr_scheduler_type": "linear", "warmup_steps": 1},
        "cosine": {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 1e-5}},
        "warm-up in part": {"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 0.5},
    },
    # --- transformers and the run: saving, evaluating, reporting
    "saving": {
        "every 2": {"save_steps": 2},
        "every 3, two kept": {"save_steps": 3, "save_total_limit": 2},
        "every step, one kept": {"save_steps": 1, "save_total_limit": 1},
        "at the end": {"save_steps": 500},
        "a share": {"save_steps": 0.5},
    },
    "evaluation": {
        "never": {},
        "every step": {"eval_every": 1, "eval_num_samples": 1},
        "every 3": {"eval_every": 3, "eval_num_samples": 2},
    },
    "patience": values("no_signal_patience", 50, 0),
    "report": {
        "default": {},
        "none": {"report_to": "none", "run_name": "matrix", "log_completions": True, "num_completions_to_print": 1},
        "unique": {"log_completions": True, "log_unique_prompts": True, "log_multimodal": False},
        "not installed": {"report_to": ABSENT},
        "unknown": {"report_to": ["nowhere"]},
    },
    "randomness": {
        "seed": {},
        "data": {"data_seed": 11},
        "deterministic": {"full_determinism": True},
        "cpu": {"use_cpu": True},
    },
}
