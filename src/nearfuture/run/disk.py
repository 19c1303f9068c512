"""How many bytes a run will write at its peak, and whether the disk can hold them.

    checkpoint = weights + Adam's two moments in float32 for every trained parameter
                 under FSDP + the weights again, as accelerate resumes from them
    peak       = checkpoints that exist at once + guidance + the final policy

Parameters are counted from the safetensors headers, without loading a weight. With LoRA this is an upper bound, except
where the caller has counted the adapters.

Not here: which checkpoints are kept (`nearfuture.train.checkpoint.rotate`), what a run trains (`nearfuture.run.plan`).
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import get_safetensors_metadata
from safetensors import safe_open

from nearfuture.run.config import Configuration
from nearfuture.run.plan import rollback_steps, segments_ahead
from nearfuture.types import DiskError, UserError

BYTES_PER_DTYPE = {"float32": 4, "bfloat16": 2, "float16": 2}
GUIDANCE_BYTES_PER_TOKEN = 8  # an int32 id and a float32 log-prob
CHECKPOINT_OVERHEAD = 1 << 20  # tokenizer, trainer state, random states


@dataclass(frozen=True)
class DiskPlan:
    """Bytes a run writes at its peak, by part."""

    num_checkpoints: int
    checkpoint_bytes: int
    guidance_bytes: int
    final_bytes: int

    @property
    def peak_bytes(self) -> int:
        """All parts together."""
        return self.num_checkpoints * self.checkpoint_bytes + self.guidance_bytes + self.final_bytes

    def __str__(self) -> str:
        return (
            f"{self.num_checkpoints} checkpoints of {format_bytes(self.checkpoint_bytes)}, guidance up to "
            f"{format_bytes(self.guidance_bytes)}, final policy {format_bytes(self.final_bytes)}: "
            f"{format_bytes(self.peak_bytes)} at the peak"
        )


def format_bytes(num_bytes: float) -> str:
    """Bytes for people, in decimal units.

    Example:
        >>> format_bytes(1_500_000)
        '1.5 MB'
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if num_bytes < 1000 or unit == "TB":
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    raise AssertionError


def num_parameters(model: str) -> int:
    """Count parameters from safetensors headers, local or on the Hub.

    Raises:
        UserError: no safetensors there.
    """
    if not Path(model).is_dir():
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
        with safe_open(path, framework="numpy") as file:
            total += sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    return total


def disk_plan(
    config: Configuration,
    model: str,
    num_prompts: int,
    parameters: tuple[int, int] | None = None,
    *,
    is_sharded: bool = False,
) -> DiskPlan:
    """Plan the peak of a run over a data set of `num_prompts` prompts.

    Args:
        config: the run.
        model: its base model.
        num_prompts: of the training data.
        parameters: all, and those that are trained, where they are known without the model's files.
        is_sharded: FSDP trains it.
    """
    total, trained = (num_parameters(model),) * 2 if parameters is None else parameters
    weights = total * BYTES_PER_DTYPE.get(str(config.model.get("dtype", "float32")), 4)
    is_adapter = parameters is not None and config.model.get("use_peft")
    saved = trained * BYTES_PER_DTYPE["float32"] if is_adapter else weights
    checkpoints = sum(len(_kept(config, start, end)) for start, end in segments_ahead(config))
    num_caches = len(segments_ahead(config)) - 1
    auto = config.autonpo
    if auto.mode == "act":  # how often and how far is not known yet: at most this
        start = max(0, config.max_steps - auto.max_rollback_distance)
        checkpoints += auto.max_interventions * len(_kept(config, start, config.max_steps))
        num_caches += auto.max_interventions
    longest = int(config.training.get("max_completion_length", 256))
    return DiskPlan(
        num_checkpoints=checkpoints,
        checkpoint_bytes=(1 + is_sharded) * saved + 8 * trained + CHECKPOINT_OVERHEAD,
        guidance_bytes=num_caches * num_prompts * longest * GUIDANCE_BYTES_PER_TOKEN,
        final_bytes=weights + CHECKPOINT_OVERHEAD,
    )


def _kept(config: Configuration, start: int, end: int) -> set[int]:
    """Steps in (start, end] whose checkpoints exist when the segment ends, one more while it saves."""
    save_steps = config.training.get("save_steps", 500)
    every = math.ceil(save_steps * config.max_steps) if save_steps < 1 else int(save_steps)
    pinned = {step for step in rollback_steps(config) if start < step <= end} | {end}
    saved = {step for step in range(start + 1, end + 1) if step % every == 0} | pinned
    limit = config.training.get("save_total_limit")
    return saved if limit is None else set(sorted(saved)[-(int(limit) + 1) :]) | pinned


def require_space(plan: DiskPlan, folder: Path) -> None:
    """Refuse a run that the disk cannot hold.

    Raises:
        DiskError: less is free than the plan needs.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if plan.peak_bytes > free:
        raise DiskError(
            f"this run writes {format_bytes(plan.peak_bytes)} at its peak ({plan}), {format_bytes(free)} are free at "
            f"{existing}. Keep fewer checkpoints (save_total_limit=2), save less often (save_steps), or choose "
            "another run_dir."
        )
