"""Work out on paper what a run needs: model, memory, disk, tokens and hours, and which of these numbers are assumed.

    plan = make_plan(load_configuration(path), Wanted(gpus=8, nodes=4, gpu_memory=140, sharding="fsdp2"))

Not here: the formulas (`memory`, `workload`, `nearfuture.run.disk`), remarks about them (`remarks`), tables (`show`).
"""

from __future__ import annotations

from dataclasses import dataclass

from nearfuture.lab.forecast.data import Rows, rows_of
from nearfuture.lab.forecast.generation import Generation, generation_of
from nearfuture.lab.forecast.memory import Device, Load, plan_memory
from nearfuture.lab.forecast.parts import Memory
from nearfuture.lab.forecast.remarks import assumptions_of, warnings_of
from nearfuture.lab.forecast.wanted import DEFAULT_PIXELS, GB, OVERHEAD_GB, Wanted
from nearfuture.lab.forecast.workload import Rates, Stage, stages_of, trained_per_second
from nearfuture.run.disk import DiskPlan, disk_plan
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.sizes import Batch, Lengths, batch_of, numerics_of, states_per_parameter
from nearfuture.train.shape.shapes import ModelShape, load_shape

FLASH = ("flash_attention_2", "flash_attention_3", "kernels-community/flash-attn2", "kernels-community/flash-attn3")
DEFAULT_PROMPT = 512


@dataclass(frozen=True)
class ResourcePlan:
    """What a run needs.

    Attributes:
        shape: the model's shape.
        rows: the data's rows.
        batch: the batch on all devices.
        lengths: the lengths of the longest rollout.
        memory: the memory of one device.
        generation: what generates.
        disk: disk space at the peak; None if unknown.
        stages: the stages in order.
        rates: throughput and mean lengths.
        num_devices: the number of devices that work at once.
        assumptions: numbers that were not measured.
        warnings: what will not work.
    """

    shape: ModelShape
    rows: Rows
    batch: Batch
    lengths: Lengths
    memory: Memory
    generation: Generation
    disk: DiskPlan
    stages: tuple[Stage, ...]
    rates: Rates
    num_devices: int
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def hours(self) -> float:
        """Hours of all stages, bounds included."""
        return sum(stage.hours(self.rates, self.num_devices) for stage in self.stages)


def make_plan(config: Configuration, wanted: Wanted) -> ResourcePlan:
    """Work out a plan.

    Raises:
        UserError: nothing is known about the model or the data set, or a batch would split groups.
    """
    rows = rows_of(config)
    shape = load_shape(rows.model, config.model_settings)
    batch = batch_of(config, wanted.num_devices)
    lengths = lengths_of(config, shape, rows, wanted)
    load = load_of(config, shape, batch, lengths, wanted)
    memory = plan_memory(load, device_of(config, wanted))
    rates = _rates(config, shape, lengths, wanted)
    return ResourcePlan(
        shape=shape,
        rows=rows,
        batch=batch,
        lengths=lengths,
        memory=memory,
        generation=load.generation,
        disk=disk_plan(
            config,
            rows.model,
            rows.num_train,
            is_sharded=wanted.sharding == "fsdp2" and wanted.num_devices > 1,
        ),
        stages=tuple(stages_of(config, batch, rows.num_train, rows.num_held_out)),
        rates=rates,
        num_devices=wanted.num_devices,
        assumptions=tuple(assumptions_of(config, rows, shape, lengths, rates, wanted)),
        warnings=tuple(warnings_of(load, memory, wanted)),
    )


def lengths_of(config: Configuration, shape: ModelShape, rows: Rows, wanted: Wanted) -> Lengths:
    """The longest rollout: what the configuration allows or, without a limit, what the data contain."""
    completion = config.training.max_completion_length
    prompt = rows.measured[0] if rows.measured else max(DEFAULT_PROMPT, wanted.prompt_tokens or 0)
    if shape.vision is None:
        patches = 0
    elif rows.measured:
        patches = rows.measured[1] * shape.vision.merge**2
    else:
        patches = wanted.images * ((config.data.max_image_pixels or DEFAULT_PIXELS) // shape.vision.patch_size**2)
    return Lengths(config.data.max_prompt_length or prompt, completion, patches)


def device_of(config: Configuration, wanted: Wanted) -> Device:
    """One of the devices that the plan is for."""
    return Device(
        sharding=wanted.sharding,
        num_bytes=0 if wanted.is_cpu else int(wanted.gpu_memory * GB),
        overhead_bytes=0 if wanted.is_cpu else int(OVERHEAD_GB * GB),
        is_cpu=wanted.is_cpu,
        has_flash=config.model.attn_implementation in FLASH,
    )


def load_of(config: Configuration, shape: ModelShape, batch: Batch, lengths: Lengths, wanted: Wanted) -> Load:
    """The work of one device."""
    checkpointing = _checkpointing(config)
    numerics = numerics_of(config, shape.dtype, wanted.sharding, on_cpu=wanted.is_cpu)
    return Load(
        shape=shape,
        batch=batch,
        lengths=lengths,
        numerics=numerics,
        generation=generation_of(config, numerics.compute),
        is_checkpointed=not wanted.is_cpu if checkpointing is None else bool(checkpointing),
        rank=config.model.lora_r if config.model.use_peft else 0,
        is_tower_frozen=config.training.freeze_vision_tower,
        states=states_per_parameter(config),
    )


def _checkpointing(config: Configuration) -> bool | None:
    """Whether activations are recomputed; None: the device's default."""
    given = config.training.activation_checkpointing
    return config.training.gradient_checkpointing if given is None else given


def _rates(config: Configuration, shape: ModelShape, lengths: Lengths, wanted: Wanted) -> Rates:
    trained = wanted.train_tokens_per_second or trained_per_second(
        shape, wanted.teraflops, is_checkpointed=_checkpointing(config) is not False
    )
    return Rates(
        generated_per_second=wanted.tokens_per_second,
        trained_per_second=trained,
        prompt=wanted.prompt_tokens or lengths.prompt / 2,
        completion=wanted.completion_tokens or lengths.completion / 2,
    )
