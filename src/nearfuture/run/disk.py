"""How many bytes a run will write at its peak, and whether the disk can hold them.

    checkpoint = weights (with LoRA: the adapters) + the optimizer's numbers for what is trained + tokenizer
                 under FSDP + the weights again, as accelerate resumes from them
    peak       = checkpoints that exist at once + guidance + the final policy, which is a checkpoint's weights

Parameters are counted from the model's shape, without loading a weight. If the shape cannot be worked out, they are
counted from the safetensors headers, and all of them count as trained, which gives an upper bound.

Not here: which checkpoints are kept (`nearfuture.train.checkpoint.rotate`), what a run trains
(`nearfuture.run.settings.plan`).
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from nearfuture.record.formats import format_bytes, plural
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.plan import replays_at_most, rollback_steps, segments_ahead, stages_ahead
from nearfuture.run.settings.sizes import numerics_of, states_per_parameter
from nearfuture.train.shape.shapes import load_shape
from nearfuture.types import DiskError, Intervention, UserError

GUIDANCE_BYTES_PER_TOKEN = 8  # an int32 id and a float32 log-prob
HARVEST_BYTES_PER_TOKEN, HARVEST_BYTES_PER_PROMPT = 11, 200  # as text, with ids and hashes
CHECKPOINT_OVERHEAD = 1 << 18  # trainer state, random states, configurations
TOKENIZER_FILES = ("tokenizer.json", "chat_template.jinja", "chat_template.json")
TOKENIZER_BYTES = 10 << 20
"""Bytes of a tokenizer that is not on this machine: those of today's models take 2 to 12 MB."""


@dataclass(frozen=True)
class DiskPlan:
    """Bytes that a run writes at its peak, by part."""

    num_checkpoints: int
    checkpoint_bytes: int
    guidance_bytes: int
    final_bytes: int

    @property
    def peak_bytes(self) -> int:
        """The sum of all parts."""
        return self.num_checkpoints * self.checkpoint_bytes + self.guidance_bytes + self.final_bytes

    def __str__(self) -> str:
        return (
            f"{plural(self.num_checkpoints, 'checkpoint')} of {format_bytes(self.checkpoint_bytes)}, guidance up to "
            f"{format_bytes(self.guidance_bytes)}, final policy {format_bytes(self.final_bytes)}: "
            f"{format_bytes(self.peak_bytes)} at the peak"
        )


def num_parameters(model: str) -> int:
    """Count parameters from safetensors headers, local or on the Hub.

    Raises:
        UserError: no safetensors there.
    """
    if not Path(model).is_dir():
        from huggingface_hub import get_safetensors_metadata

        try:
            return sum(get_safetensors_metadata(model).parameter_count.values())
        except Exception as error:  # noqa: BLE001 (the Hub client raises many kinds; all mean the same here)
            raise UserError(
                f"model={model} is neither a folder nor a model with safetensors on the Hub: {error}"
            ) from None
    files = sorted(Path(model).glob("*.safetensors"))
    if not files:
        raise UserError(f"model={model} holds no safetensors file. Save it with save_pretrained first.")
    total = 0
    for path in files:
        try:
            with safe_open(path, framework="numpy") as file:
                total += sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
        except SafetensorError as error:
            raise UserError(f"{path} is damaged: {error}. Get it again, or restore it from a copy.") from None
    return total


def disk_plan(config: Configuration, model: str, num_prompts: int, *, is_sharded: bool = False) -> DiskPlan:
    """Plan the peak of a run over a data set of `num_prompts` prompts.

    Args:
        config: the run.
        model: its base model.
        num_prompts: the number of training prompts.
        is_sharded: whether FSDP trains it.
    """
    total, trained, stored = _size(config, model)
    numerics = numerics_of(config, stored, "fsdp2" if is_sharded else "ddp")
    saved = trained * numerics.trained if config.model.use_peft else total * numerics.weight
    states = states_per_parameter(config) * trained * numerics.trained
    beside = _tokenizer_bytes(model) + CHECKPOINT_OVERHEAD
    replays = replays_at_most(config)
    spans = [*segments_ahead(config), *replays]
    num_caches = sum(isinstance(stage, Intervention) for _, stage in stages_ahead(config)) + len(replays)
    longest = config.training.max_completion_length
    of_prompt = longest * HARVEST_BYTES_PER_TOKEN + HARVEST_BYTES_PER_PROMPT
    harvest = num_prompts * of_prompt if config.run.guidance_harvest or config.run.source == "own" else 0
    weights, num_branches = trained * numerics.trained, config.training.parallel_branches
    selves = (
        num_branches * (weights + states) if num_branches > 1 else weights * bool(config.training.informed_strength)
    )
    return DiskPlan(
        num_checkpoints=sum(len(_kept(config, start, end)) for start, end in spans if start < end),
        checkpoint_bytes=int((1 + is_sharded) * saved + states + selves) + beside + harvest,
        guidance_bytes=num_caches * num_prompts * longest * GUIDANCE_BYTES_PER_TOKEN,
        final_bytes=saved + beside,
    )


def _size(config: Configuration, model: str) -> tuple[int, int, str]:
    """Return the number of parameters of a model, how many are trained, and the format of its files."""
    try:
        shape = load_shape(model, config.model_settings)
    except UserError:
        total = num_parameters(model)
        return total, total, "float32"
    count = shape.parameters
    frozen = count.trained_vision if config.training.freeze_vision_tower else 0
    return count.total, count.trained - frozen, shape.dtype


def _tokenizer_bytes(model: str) -> int:
    """Return the bytes of a checkpoint's copy of the tokenizer."""
    files = [Path(model) / name for name in TOKENIZER_FILES]
    return sum(file.stat().st_size for file in files if file.is_file()) if Path(model).is_dir() else TOKENIZER_BYTES


def _kept(config: Configuration, start: int, end: int) -> set[int]:
    """Return the steps in (start, end] whose checkpoints exist when the segment ends, one more included for saving."""
    save_steps = config.training.save_steps
    every = math.ceil(save_steps * config.max_steps) if save_steps < 1 else int(save_steps)
    pinned = {step for step in rollback_steps(config) if start < step <= end} | {end}
    saved = set(range((start // every + 1) * every, end + 1, every)) | pinned
    limit = config.training.save_total_limit
    return saved if limit is None else set(sorted(saved)[-(int(limit) + 1) :]) | pinned


def require_space(plan: DiskPlan, folder: Path, *, num_freed: int = 0) -> None:
    """Refuse a run that the disk cannot hold.

    Args:
        plan: the run's disk plan.
        folder: the folder that the run goes to.
        num_freed: bytes in it that will be deleted first.

    Raises:
        DiskError: less is free than the plan needs.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free + num_freed
    if plan.peak_bytes > free:
        raise DiskError(
            f"this run writes {format_bytes(plan.peak_bytes)} at its peak ({plan}), {format_bytes(free)} are free at "
            f"{existing}. Keep fewer checkpoints (save_total_limit=2), save less often (save_steps), or choose "
            "another run_dir."
        )
