"""What of TRL this package leans on, by name, checked when it is imported.

TRL's public constructor and `train` are stable; the private methods below are not promised. When TRL moves one of
them, `check` says which and how, before anything is trained.

Not here: the overrides (`nearfuture.train.trainer`, `nearfuture.train.exact`).
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

import trl
from trl import GRPOTrainer
from trl.generation.vllm_generation import VLLMGeneration

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
    "_get_train_sampler": ["self", "dataset"],
}
LOOKED_UP = (
    (GRPOTrainer, "__init__", "VLLMGeneration("),
    (VLLMGeneration, "_init_vllm", "LLM("),
    (VLLMGeneration, "_init_vllm", "VLLMClient("),
)
"""Names TRL looks up in its own modules, where `nearfuture.train.vllm_training` puts another value for a moment."""
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
    """What differs between the installed TRL and the one this package was written against."""
    found = []
    for name, expected in SIGNATURES.items():
        method = getattr(GRPOTrainer, name, None)
        if method is None:
            found.append(f"GRPOTrainer.{name} is gone")
            continue
        parameters = list(inspect.signature(inspect.unwrap(method)).parameters)
        if parameters != expected:
            found.append(f"GRPOTrainer.{name} takes {parameters}, expected {expected}")
    generate = getattr(GRPOTrainer, "_generate", None)
    returned = re.findall(r"^        return (.+)$", inspect.getsource(generate), re.MULTILINE) if generate else None
    if returned is not None and returned != [", ".join(GENERATED)]:
        found.append(f"GRPOTrainer._generate returns {returned}, expected {', '.join(GENERATED)}")
    for owner, name, looked_up in LOOKED_UP:
        if looked_up not in inspect.getsource(getattr(owner, name)):
            found.append(f"{owner.__name__}.{name} makes no {looked_up.removesuffix('(')} any more")
    return found


def check() -> None:
    """Fail at import where TRL has moved.

    Raises:
        ImportError: names every seam that moved and the version this was written for.
    """
    differences = moved()
    if differences:
        raise ImportError(
            f"trl {trl.__version__} has moved: {'; '.join(differences)}. nearfuture was written for trl 1.16; "
            "install trl==1.16.*."
        )


__all__ = ["GENERATED", "SIGNATURES", "Generated", "check", "moved"]
