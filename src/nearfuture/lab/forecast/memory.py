"""Bytes on one device at the two moments that matter: at the start of the backward pass, and while generating rollouts.

    training     weights + gradients + optimizer states + stored activations + the larger of two working sets: that of
                 the output projection, or that of one decoder layer
    generation   weights + optimizer states + keys and values + the first pass over the prompts

When the last micro-batch begins its backward pass, the gradients of earlier ones exist. With one micro-batch per step
they appear as activations are freed, so the sum is then an upper bound. Under FSDP2 everything trained is divided among
the devices, and what is gathered temporarily is counted in full.

The output projection never holds a row of logits for every token: TRL 1.16 multiplies 4096 tokens by 32768 words at a
time and repeats that for the gradient, whose sum over the weight is a separate float32 matrix.

Not here: what one layer keeps (`activations`), tokens and hours (`workload`), vLLM's share (`generation`).
"""

from __future__ import annotations

from dataclasses import dataclass

from nearfuture.lab.forecast.activations import (
    block_bytes_per_patch,
    cast_bytes_per_block,
    cast_bytes_per_layer,
    layer_bytes_per_token,
    layer_working_bytes_per_token,
    mergers_bytes_per_patch,
)
from nearfuture.lab.forecast.generation import Generation, generation_parts
from nearfuture.lab.forecast.parts import BOTH, GENERATION, TRAINING, Memory, Part
from nearfuture.run.settings.sizes import Batch, Lengths, Numerics, Sharding
from nearfuture.train.shape.shapes import ModelShape

TOKEN_TILE, WORD_TILE = 4096, 32768  # sizes of TRL's chunked log-probabilities
TILES_WITHOUT_TRITON = 8.25  # float32 tensors of a tile's size, and a mask, that torch holds at once on a CPU
PREFETCHED_UNITS = 2  # FSDP2 gathers the next unit while it works on one


@dataclass(frozen=True)
class Device:
    """Where a process runs.

    Attributes:
        sharding: how processes share what is trained.
        num_bytes: its memory; 0 means unknown.
        overhead_bytes: memory taken before any tensor exists (CUDA, NCCL, memory the allocator cannot reuse).
        is_cpu: torch's kernels are used instead of Triton's.
        has_flash: attention needs no mask in memory and no repeated keys and values.
    """

    sharding: Sharding = "ddp"
    num_bytes: int = 0
    overhead_bytes: int = 0
    is_cpu: bool = False
    has_flash: bool = False


@dataclass(frozen=True)
class Load:
    """The work of one device.

    Attributes:
        shape: the model's shape.
        batch: the number of rollouts.
        lengths: the lengths of one rollout.
        numerics: number formats.
        generation: what generates.
        is_checkpointed: activations are recomputed instead of stored.
        rank: LoRA's rank; 0 trains every weight.
        states: how many numbers the optimizer keeps per trained parameter.
        is_tower_frozen: nothing in the vision tower is trained, so it stores no activations.
    """

    shape: ModelShape
    batch: Batch
    lengths: Lengths
    numerics: Numerics
    generation: Generation
    is_checkpointed: bool
    rank: int = 0
    states: float = 2.0
    is_tower_frozen: bool = False

    @property
    def num_trained(self) -> int:
        """The number of trained parameters."""
        count = self.shape.parameters
        return count.trained - (count.trained_vision if self.is_tower_frozen else 0)

    @property
    def tokens(self) -> int:
        """The number of tokens in one forward pass, padding included."""
        return self.batch.micro * self.lengths.total


def plan_memory(load: Load, device: Device) -> Memory:
    """Work out the memory of one device."""
    parts = [
        *_states(load, device),
        *_gathered(load, device),
        Part("decoder activations", _decoder(load, device), TRAINING, f"{load.tokens} tokens a forward pass"),
        *_vision(load),
        Part("working set", _working(load, device), TRAINING, "output projection, or one layer going backwards"),
        *generation_parts(load.generation, load.shape, load.batch, load.lengths, load.numerics, device.num_bytes),
        Part("CUDA, NCCL, fragments", device.overhead_bytes, BOTH, "assumed"),
    ]
    return Memory(tuple(part for part in parts if part.num_bytes), device.num_bytes)


def _states(load: Load, device: Device) -> list[Part]:
    count, numerics = load.shape.parameters, load.numerics
    shares = load.batch.num_processes if device.sharding == "fsdp2" else 1
    frozen = (count.total - (0 if load.rank else load.num_trained)) * numerics.weight
    trained = load.num_trained * numerics.trained
    note = f"{load.num_trained / 1e6:,.1f} M trained of {count.total / 1e6:,.1f} M"
    parts = [
        Part("weights", (frozen + trained) / shares, BOTH, note),
        Part("gradients", trained / shares, TRAINING),
        Part("optimizer states", load.states * trained / shares, BOTH),
    ]
    if device.sharding == "ddp" and load.batch.num_processes > 1:
        parts.append(Part("gradient buckets", trained, BOTH, "what DDP sends"))
    return parts


def _gathered(load: Load, device: Device) -> list[Part]:
    """What FSDP2 gathers temporarily: units of one layer, and the output projection, which TRL gathers itself."""
    if device.sharding != "fsdp2" or load.batch.num_processes == 1:
        return []
    count, numerics = load.shape.parameters, load.numerics
    units = PREFETCHED_UNITS * count.layer * numerics.compute + count.layer * numerics.compute
    head = count.head * (numerics.weight if load.rank else numerics.trained)
    return [
        Part("gathered layers", units, BOTH, "two layers and a gradient"),
        Part("gathered output projection", head, TRAINING, "TRL scores with the whole of it"),
    ]


def _decoder(load: Load, device: Device) -> float:
    text, numerics, tokens = load.shape.text, load.numerics, load.tokens
    one = layer_bytes_per_token(text, numerics, load.lengths.total, rank=load.rank, has_flash=device.has_flash) * tokens
    casts = text.num_layers * cast_bytes_per_layer(load.shape.parameters, numerics)
    kept = numerics.stream * text.hidden * tokens
    ends = (2 * numerics.stream + 4 + numerics.compute) * text.hidden * tokens  # embeddings, last norm, its result
    layers = text.num_layers * kept + one if load.is_checkpointed else text.num_layers * one
    return layers + ends + casts


def _vision(load: Load) -> list[Part]:
    vision, numerics = load.shape.vision, load.numerics
    if vision is None or not load.lengths.patches:
        return []
    patches = load.batch.micro * load.lengths.patches
    one = block_bytes_per_patch(vision, numerics, rank=load.rank) * patches
    kept = numerics.compute * vision.hidden * patches
    blocks = vision.num_layers * kept + one if load.is_checkpointed else vision.num_layers * one
    casts = vision.num_layers * cast_bytes_per_block(load.shape.parameters, numerics)
    total = blocks + casts + mergers_bytes_per_patch(vision, numerics) * patches
    pixels = 4 * load.batch.local * load.lengths.patches * vision.values_per_patch
    note = f"{load.batch.local} rollouts x {load.lengths.patches} patches"
    return [
        Part("vision activations", 0 if load.is_tower_frozen else total, TRAINING, f"{patches} patches a forward pass"),
        Part("pixels of the batch", pixels, BOTH, note + ", kept in float32 until they are trained on"),
        Part("pixels, second copy", pixels, GENERATION, "while TRL deals them out"),
    ]


def _working(load: Load, device: Device) -> float:
    """The larger of what the output projection and one layer need beside the stored activations."""
    shape, numerics = load.shape, load.numerics
    layer = layer_working_bytes_per_token(shape.text, numerics) * load.tokens
    scored = load.batch.micro * (load.lengths.total if device.is_cpu else load.lengths.completion)
    rows = min(scored, TOKEN_TILE)
    words = min(shape.text.vocabulary, WORD_TILE)
    if device.is_cpu:  # if a tile is wider than the vocabulary, no page beyond it is touched
        tile = rows * words * (numerics.compute + TILES_WITHOUT_TRITON * 4)
    else:
        tile = rows * WORD_TILE * numerics.compute
    gradient = 4 * scored * shape.text.hidden + (0 if load.rank else 4 * shape.parameters.head)
    return max(layer, tile + gradient)
