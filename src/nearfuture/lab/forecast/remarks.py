"""What a plan assumes and what will not work, in words, with the option that replaces it or the remedy.

Not here: the numbers (`planner`).
"""

from __future__ import annotations

from nearfuture.lab.forecast.data import Rows
from nearfuture.lab.forecast.generation import sequences_at_once
from nearfuture.lab.forecast.memory import Load
from nearfuture.lab.forecast.parts import Memory, Moment
from nearfuture.lab.forecast.wanted import DEFAULT_PIXELS, GB, OVERHEAD_GB, Wanted
from nearfuture.lab.forecast.workload import Rates
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.sizes import STATES_PER_PARAMETER, Lengths
from nearfuture.train.shape.shapes import ModelShape

MOMENTS: tuple[Moment, ...] = ("training", "generation")


def assumptions_of(
    config: Configuration, rows: Rows, shape: ModelShape, lengths: Lengths, rates: Rates, wanted: Wanted
) -> list[str]:
    """List the numbers that were not measured, and the option that replaces each."""
    found = [
        f"generation: {rates.generated_per_second:,.0f} tokens per second and device"
        + _source(wanted, "--tokens-per-second"),
        f"training: {rates.trained_per_second:,.0f} tokens per second and device"
        + _source(
            wanted,
            "--train-tokens-per-second",
            wanted.train_tokens_per_second,
            f"from --teraflops {wanted.teraflops:g}",
        ),
        f"mean completion: {rates.completion:,.0f} tokens"
        + _source(wanted, "--completion-tokens", wanted.completion_tokens, "half of the longest; --completion-tokens"),
        f"mean prompt: {rates.prompt:,.0f} tokens"
        + _source(wanted, "--prompt-tokens", wanted.prompt_tokens, "half of the longest; --prompt-tokens"),
    ]
    if config.data.max_prompt_length is None:
        why = "the longest of those measured" if rows.measured else "not measurable here"
        found.append(f"longest prompt: {lengths.prompt} tokens, {why}; max_prompt_length is not set")
    if lengths.patches and not rows.measured:
        assumed = f"no max_image_pixels, so {DEFAULT_PIXELS:,} pixels"
        limit = "max_image_pixels" if config.data.max_image_pixels else assumed
        found.append(f"images: {wanted.images} per prompt (--images), each of {limit}: {lengths.patches} patches")
    if not wanted.is_cpu:
        found.append(f"{OVERHEAD_GB:g} GB of every device for CUDA, NCCL and what the allocator cannot use again")
    if not shape.is_measured:
        found.append("activations: counted as those of a Qwen3 layer, which this model does not have")
    if str(config.training.optim) not in STATES_PER_PARAMETER:
        found.append(f"optim={config.training.optim}: two numbers per parameter")
    return found


def _source(wanted: Wanted, option: str, given: float | None = 1, otherwise: str = "") -> str:
    """Say where a number comes from: measured here, given by an option, or worked out."""
    if wanted.is_measured:
        return " (measured on this machine)"
    return f" ({otherwise if given is None else option})"


def warnings_of(load: Load, memory: Memory, wanted: Wanted) -> list[str]:
    """List what will not work, with the remedy."""
    found = []
    for moment in MOMENTS:
        needed = memory.at(moment)
        if memory.device_bytes and needed > memory.device_bytes:
            largest = max((p for p in memory.parts if moment in p.moments), key=lambda part: part.num_bytes)
            found.append(
                f"{moment} needs {needed / GB:,.1f} GB per device, which has {wanted.gpu_memory:g} GB; the largest "
                f"part is {largest.name} ({largest.num_bytes / GB:,.1f} GB)"
            )
    if load.generation.backend == "colocate":
        room = sequences_at_once(load.generation, load.shape, load.lengths, memory.device_bytes)
        if room < 1:
            found.append(
                f"vLLM's share ({load.generation.share:g} of {wanted.gpu_memory:g} GB) does not hold its weights and "
                f"one sequence of {load.lengths.total} tokens. Raise vllm_gpu_memory_utilization or "
                "vllm_tensor_parallel_size."
            )
    vision = load.shape.vision
    if vision is not None and load.lengths.patches // vision.merge**2 > load.lengths.prompt:
        found.append(
            f"an image of {load.lengths.patches} patches is {load.lengths.patches // vision.merge**2} tokens, more "
            f"than max_prompt_length={load.lengths.prompt}. Lower max_image_pixels or raise max_prompt_length."
        )
    return found
