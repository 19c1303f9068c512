"""What `gpu_minutes` measures with: two shapes with random weights, TRL's trainer and ours on them, and a clock.

Random weights cost what trained ones cost. No completion ends by itself, so that every arm writes equally much.

Not here: what is measured (`gpu_parts`), the time and the table (`gpu_minutes`).
"""

from __future__ import annotations

import importlib.util
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

sys.path.insert(0, str(Path(__file__).parent.parent / "measurements"))
import memory_plan

from nearfuture.guidance import GuidanceCache, collect_guidance
from nearfuture.tasks import Task, VerdictReward
from nearfuture.tasks.identity import with_prompt_ids
from nearfuture.train import NPOConfig, NPOTrainer, TRLEngine
from nearfuture.train.shape.known_shapes import KNOWN_SHAPES
from nearfuture.types import PolicyRef

GUIDE = PolicyRef(0, 1, "checkpoint")
NUM_PROMPTS = 32
LONGEST = {"max_position_embeddings": 4096}
BATCH = {"dtype": "float32", "gradient_accumulation_steps": 4}
SHAPES = {
    "text": memory_plan.Case(
        "Qwen3-0.6B",
        KNOWN_SHAPES["Qwen/Qwen3-0.6B"][1] | LONGEST,
        {**BATCH, "num_generations": 8, "per_device_train_batch_size": 16, "max_completion_length": 256},
        prompt=256,
    ),
    "image": memory_plan.Case(
        "Qwen3-VL-2B",
        KNOWN_SHAPES["Qwen/Qwen3-VL-2B-Instruct"][1]["text_config"] | LONGEST,
        {**BATCH, "num_generations": 4, "per_device_train_batch_size": 4, "max_completion_length": 128},
        prompt=384,
        vision=KNOWN_SHAPES["Qwen/Qwen3-VL-2B-Instruct"][1]["vision_config"],
        image_side=512,
    ),
}
SMALL = {
    "num_generations": 4,
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 2,
    "max_completion_length": 6,
}
SMALL_VISION = {"hidden_size": 64, "num_heads": 2, "intermediate_size": 128}


@dataclass(frozen=True)
class Bench:
    """Where a part works: `kind` is text or image, `is_tiny` the same path on two layers."""

    folder: Path
    kind: str
    is_tiny: bool

    @cached_property
    def case(self) -> memory_plan.Case:
        """The shape, its batch and its prompts."""
        if not self.is_tiny:
            return SHAPES[self.kind]
        whole = memory_plan.CASES[self.kind]
        vision = whole.vision and whole.vision | SMALL_VISION
        return replace(whole, settings=BATCH | SMALL, prompt=24, vision=vision, image_side=(vision and 64) or 0)

    @cached_property
    def model(self) -> Path:
        """The folder of the model, made by the first part that needs it."""
        folder, done = self.folder / f"model-{self.kind}", self.folder / f"model-{self.kind}.done"
        if not done.exists():
            memory_plan.build(self.case, folder, is_small=self.is_tiny)
            done.touch()
        return folder

    @cached_property
    def rows(self) -> Dataset:
        """Prompts of the shape's length."""
        return with_prompt_ids(Dataset.from_list(memory_plan.rows(self.case, NUM_PROMPTS)))

    @property
    def settings(self) -> dict[str, Any]:
        """Of every trainer. A learning rate of 0: all arms have the same policy. SGD: three fit side by side."""
        settings = {**self.case.settings, "learning_rate": 0.0, "optim": "sgd", "save_strategy": "no", "seed": 0}
        settings |= {"shuffle_dataset": False, "report_to": "none", "disable_tqdm": True, "logging_steps": 1}
        if not torch.cuda.is_available():
            settings |= {"use_cpu": True, "bf16": False, "gradient_checkpointing": False}
        init = {"dtype": settings.pop("dtype"), "attn_implementation": attention()}
        return {**settings, "model_init_kwargs": init}

    def trainer(self, kind: type[GRPOTrainer], **more: Any) -> Any:
        """A trainer of TRL's or of ours; `more` are settings, or guidance."""
        given = {"guidance": more.pop("guidance")} if "guidance" in more else {}
        config = NPOConfig if issubclass(kind, NPOTrainer) else GRPOConfig
        args = config(output_dir=str(self.folder / "out"), **{**self.settings, **more})
        made = kind(
            str(self.model),
            reward_funcs=VerdictReward(Task("minutes", train=[], evaluation=[], verify=verify)),
            args=args,
            train_dataset=self.rows,
            processing_class=self._processing_class(),
            **given,
        )
        made.remove_callback(PrinterCallback)
        return made

    def _processing_class(self) -> Any:
        if self.kind == "text":
            return None
        from nearfuture.train.vision import processor

        return processor.load_for_training(str(self.model))

    def collect(self, engine: Any, name: str, **settings: Any) -> GuidanceCache:
        """Collect guidance on all prompts."""
        asked = (engine, list(self.rows), verify, self.folder / f"{name}-{self.kind}")
        return collect_guidance(*asked, guide=GUIDE, num_samples=16, **settings)


def attention() -> str:
    """flash attention where it is installed and there is a GPU."""
    has_flash = torch.cuda.is_available() and importlib.util.find_spec("flash_attn") is not None
    return "flash_attention_2" if has_flash else "sdpa"


def verify(text: str, row: dict[str, Any]) -> bool:
    """Half of all completions are correct: every group has a gradient, and every prompt a trajectory in 16 samples."""
    return zlib.crc32(text.encode()) % 2 == 0


class Ending(TRLEngine):
    """The policy's own completions, made to end: what random weights write never does."""

    def generate(self, rows: Sequence[Any], seed: int) -> list[list[int]]:
        """Generate, and put a stop token last."""
        return [[*ids[:-1], self.eos_token_ids[0]] for ids in super().generate(rows, seed)]


class Written(TRLEngine):
    """Completions of full length that cost nothing to write."""

    def generate(self, rows: Sequence[Any], seed: int) -> list[list[int]]:
        """Draw words."""
        draw = torch.Generator().manual_seed(seed)
        words = torch.randint(7, 200, (len(rows), self.sampling.max_completion_length - 1), generator=draw)
        return [[*ids, self.eos_token_ids[0]] for ids in words.tolist()]


def now() -> float:
    """Seconds, when the device has done what it was told to."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


class Clock(TrainerCallback):
    """Seconds of every step but a turn's first, and of what of them is generation."""

    def __init__(self, trainer: Any) -> None:
        self.steps: list[float] = []
        self.generations: list[float] = []
        self._turn: Callable[..., Any] = trainer._generate_single_turn
        trainer._generate_single_turn = self._timed
        trainer.add_callback(self)

    def _timed(self, *args: Any, **kwargs: Any) -> Any:
        began = now()
        result = self._turn(*args, **kwargs)
        self.generated = now() - began
        return result

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Begin."""
        self.began, self.generated = now(), 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End; the first step of a turn warms up."""
        if state.global_step > 1:
            self.steps.append(now() - self.began)
            self.generations.append(self.generated)
