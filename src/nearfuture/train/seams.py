"""The parts of TRL, transformers and datasets that this package relies on without a guarantee, checked at import.

TRL's public constructor and `train` are stable; the private names below are not guaranteed. If one of them moves,
`check` says which and how, before anything is trained. The list is complete: a test reads this package's source, and
fails on a private name of a host that is not here.

Not here: the overrides (`nearfuture.train.trainer`, `nearfuture.train.exact`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import datasets
import transformers
import trl
from torch.optim import lr_scheduler
from transformers.generation import utils as generation_utils
from transformers.integrations import deepspeed as deepspeed_integration
from transformers.models.qwen3_vl import processing_qwen3_vl
from trl import GRPOTrainer
from trl.generation.vllm_generation import VLLMGeneration
from trl.trainer import grpo_trainer

SIGNATURES = {
    "_generate": ["self", "prompts"],
    "_tokenize_prompts": ["self", "prompts"],
    "_generate_single_turn": [
        "self",
        "prompt_ids",
        "images",
        "multimodal_fields",
        "num_generations",
        "has_tool_images",
    ],
    "_calculate_rewards": ["self", "inputs", "prompts", "completions", "completion_ids_list"],
    "_generate_and_score_completions": ["self", "inputs"],
    "_compute_loss": ["self", "model", "inputs"],
    "_save_checkpoint": ["self", "model", "trial"],
    "_load_from_checkpoint": ["self", "resume_from_checkpoint", "model"],
    "_load_optimizer_and_scheduler": ["self", "checkpoint"],
    "_get_output_dir": ["self", "trial"],
    "_get_train_sampler": ["self", "dataset"],
    "_set_signature_columns_if_needed": ["self"],
}
"""Methods of `GRPOTrainer`, overridden or called, with their parameters."""

FIRST_PARAMETERS = {
    "_get_per_token_logps_and_entropies": [
        "self",
        "model",
        "input_ids",
        "attention_mask",
        "logits_to_keep",
        "batch_size",
        "compute_entropy",
    ]
}
"""The same, for methods whose further parameters are passed on by name."""

METHODS: dict[str, type] = {
    "_init_vllm": VLLMGeneration,
    "_iter_named_params": VLLMGeneration,
    "_sample": transformers.GenerationMixin,
    "_update_model_kwargs_for_generation": transformers.GenerationMixin,
    "_process_images": processing_qwen3_vl.Qwen3VLProcessor,
    "_get_num_multimodal_tokens": processing_qwen3_vl.Qwen3VLProcessor,
}
"""Methods of other classes."""

ATTRIBUTES: dict[str, ModuleType] = {
    "_buffered_inputs": grpo_trainer,
    "_signature_columns": grpo_trainer,
    "_current_train_step_time": grpo_trainer,
    "_last_loaded_step": grpo_trainer,
    "_metrics": grpo_trainer,
    "_pending_extra_logs": grpo_trainer,
    "_pending_metrics": grpo_trainer,
    "_step": grpo_trainer,
    "_tokenizer": grpo_trainer,
    "_name_or_path": transformers.configuration_utils,
    "_pad_token_tensor": generation_utils,
    "_fingerprint": datasets.arrow_dataset,
    "_last_lr": lr_scheduler,
}
"""Attributes of instances that are saved and restored, emptied, or read, with the module whose code sets them."""

MODULE_NAMES: dict[str, ModuleType] = {"_hf_deepspeed_config_weak_ref": deepspeed_integration}
"""Names in modules."""

LOOKED_UP = (
    (GRPOTrainer, "__init__", "VLLMGeneration("),
    (VLLMGeneration, "_init_vllm", "LLM("),
    (VLLMGeneration, "_init_vllm", "VLLMClient("),
)
"""Names that TRL looks up in its own modules, which `nearfuture.train.vllm_training` replaces temporarily."""

GENERATED = (
    "prompt_ids",
    "completion_ids",
    "tool_mask",
    "completions",
    "logprobs",
    "extra_fields",
    "images",
    "tool_images",
)


@dataclass
class Generated:
    """What `GRPOTrainer._generate` returns, by name: one entry per local row in each list."""

    prompt_ids: list[list[int]]
    completion_ids: list[list[int]]
    tool_mask: list[list[int]] | None
    completions: list[Any]
    logprobs: list[list[float | None]] | None
    extra_fields: dict[str, Any]
    images: list[Any] | None
    tool_images: list[Any]

    def __iter__(self) -> Any:
        return iter(tuple(getattr(self, name) for name in GENERATED))


def moved() -> list[str]:
    """Yield the differences between the installed hosts and those that this package was written for."""
    return [*_moved_signatures(), *_moved_elsewhere()]


def _moved_signatures() -> Iterator[str]:
    for name, expected in {**SIGNATURES, **FIRST_PARAMETERS}.items():
        method = getattr(GRPOTrainer, name, None)
        if method is None:
            yield f"GRPOTrainer.{name} is gone"
            continue
        parameters = list(inspect.signature(inspect.unwrap(method)).parameters)
        if parameters[: len(expected) if name in FIRST_PARAMETERS else None] != expected:
            yield f"GRPOTrainer.{name} takes {parameters}, expected {expected}"
    generate = getattr(GRPOTrainer, "_generate", None)
    returned = re.findall(r"^        return (.+)$", inspect.getsource(generate), re.MULTILINE) if generate else None
    if returned is not None and returned != [", ".join(GENERATED)]:
        yield f"GRPOTrainer._generate returns {returned}, expected {', '.join(GENERATED)}"


def _moved_elsewhere() -> Iterator[str]:
    for name, kind in METHODS.items():
        if name not in dir(kind):
            yield f"{kind.__module__}.{kind.__name__}.{name} is gone"
    for name, module in ATTRIBUTES.items():
        if not re.search(rf"\.{name}(: .+)? = ", inspect.getsource(module)):
            yield f"{name} is set nowhere in {module.__name__}"
    for name, module in MODULE_NAMES.items():
        if not hasattr(module, name):
            yield f"{module.__name__}.{name} is gone"
    for owner, name, looked_up in LOOKED_UP:
        if hasattr(owner, name) and looked_up not in inspect.getsource(getattr(owner, name)):
            yield f"{owner.__name__}.{name} no longer makes {looked_up.removesuffix('(')}"


def check() -> None:
    """Fail at import if TRL has moved.

    Raises:
        ImportError: names every seam that moved and the version this was written for.
    """
    differences = moved()
    if differences:
        raise ImportError(
            f"trl {trl.__version__} or transformers {transformers.__version__} has moved: {'; '.join(differences)}. "
            "nearfuture was tested with trl 1.16 and transformers 5.17 to 5.24. Go back to them with "
            "pip install 'trl==1.16.*' 'transformers>=5.17,<5.25'"
        )


def pinned() -> set[str]:
    """Every private name of a host that this package uses."""
    return {*SIGNATURES, *FIRST_PARAMETERS, *METHODS, *ATTRIBUTES, *MODULE_NAMES}


__all__ = ["ATTRIBUTES", "GENERATED", "METHODS", "SIGNATURES", "Generated", "check", "moved", "pinned"]
