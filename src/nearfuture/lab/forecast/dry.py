"""What a run would do, without doing it: the resolved configuration, the batch arithmetic, the stages, memory, disk.

Nothing is downloaded and no weight is read. If the model or the data set is not on this machine, its published shape or
the number of rows on its card is used instead, and the report says so.

Not here: the checks themselves (`nearfuture.run.settings.load`, `nearfuture.run.disk`), tokens and hours
(`nearfuture plan`).
"""

from __future__ import annotations

from nearfuture.lab.forecast.data import Rows, rows_of
from nearfuture.lab.forecast.memory import Device, Load, plan_memory
from nearfuture.lab.forecast.planner import lengths_of, load_of
from nearfuture.lab.forecast.wanted import Wanted
from nearfuture.record import flat_yaml
from nearfuture.record.formats import format_bytes
from nearfuture.run import build
from nearfuture.run.disk import disk_plan
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.plan import num_steps_ahead, segments_ahead
from nearfuture.run.settings.sizes import Batch, Sharding, batch_of
from nearfuture.train import factory, needs, sharding
from nearfuture.train.shape.shapes import ModelShape, load_shape
from nearfuture.types import UserError


def dry_run_report(config: Configuration, num_processes: int | None = None) -> str:
    """Report, as text, everything that can be resolved without loading a weight.

    Args:
        config: the run.
        num_processes: how many processes it is meant for; None: as many as there are now.

    Raises:
        UserError: whatever would stop the run before its first step.
    """
    rows = rows_of(config)
    args = factory.make_args(config.run.run_dir, config.training_settings)
    batch = batch_of(config, num_processes or args.world_size)
    if num_processes is None:
        factory.check_batch(args, rows.num_train)
    else:
        _check_batch(batch, rows.num_train)
    spans = segments_ahead(config)
    shape, problem = _shape(config, rows.model)
    lines = [
        flat_yaml.dump(config.as_dict()).rstrip(),
        "",
        f"model:  {rows.model}",
        *([f"model:  its size is not known: {problem}"] if shape is None else _model_lines(shape)),
        f"device: {args.device} (bf16={args.bf16}, gradient_checkpointing={args.gradient_checkpointing})",
        f"data:   {rows.num_train} training prompts, {rows.num_held_out} held-out prompts",
        *(f"data:   {note}" for note in rows.notes),
        *(f"policy: {note}" for note in ([] if rows.task is None else build.policy_notes(config, rows.task))),
        *(f"here:   {sentence}" for sentence in needs.missing(config.trl_settings)),
        f"batch:  {factory.batch_arithmetic(args) if num_processes is None else batch}",
        *(f"plan:   segment {i}: step {start} to {end}" for i, (start, end) in enumerate(spans)),
        f"steps:  {config.max_steps} on the path, {num_steps_ahead(config)} paid for",
        *([] if shape is None else _memory_lines(config, shape, batch, rows, is_cpu=args.device.type == "cpu")),
        f"disk:   {disk_plan(config, rows.model, rows.num_train, is_sharded=sharding.fsdp_plugin(args) is not None)}",
    ]
    return "\n".join(lines)


def _shape(config: Configuration, model: str) -> tuple[ModelShape | None, str]:
    """Return the shape of the model, or why it is unknown."""
    try:
        return load_shape(model, config.model_settings), ""
    except UserError as error:
        return None, str(error)


def _model_lines(shape: ModelShape) -> list[str]:
    count = shape.parameters
    trained = "all trained" if count.trained == count.total else f"{count.trained:,} trained"
    return [f"model:  {count.total:,} parameters, {trained} ({shape.origin})"]


def _check_batch(batch: Batch, num_prompts: int) -> None:
    wanted = batch.generated // batch.num_generations
    if num_prompts < wanted:
        raise UserError(
            f"the data has {num_prompts} prompts, one generation batch of {batch.num_processes} processes needs "
            f"{wanted}. Lower per_device_train_batch_size or steps_per_generation."
        )


def _memory_lines(config: Configuration, shape: ModelShape, batch: Batch, rows: Rows, *, is_cpu: bool) -> list[str]:
    """Say how much memory one device of this kind needs; with several processes, both under DDP and under FSDP2.

    A configuration for vLLM is meant for accelerators, wherever it is checked.
    """
    shardings: tuple[Sharding, ...] = ("ddp",) if batch.num_processes == 1 else ("ddp", "fsdp2")
    on_cpu = is_cpu and not config.training.use_vllm
    wanted = [Wanted(gpus=batch.num_processes, sharding=sharding, is_cpu=on_cpu) for sharding in shardings]
    length = lengths_of(config, shape, rows, wanted[0])
    return [_memory_line(load_of(config, shape, batch, length, one), one) for one in wanted]


def _memory_line(load: Load, wanted: Wanted) -> str:
    memory = plan_memory(load, Device(sharding=wanted.sharding, is_cpu=wanted.is_cpu))
    kind = "on the CPU" if wanted.is_cpu else "a GPU"
    shared = "" if wanted.num_devices == 1 else {"ddp": ", DDP", "fsdp2": ", FSDP2"}[wanted.sharding]
    beside = {
        "transformers": "",
        "colocate": f" beside vLLM's {load.generation.share:.0%} of it",
        "server": ", vLLM on others",
    }[load.generation.backend]
    return (
        f"memory: {format_bytes(memory.at('training'))} {kind} while training, "
        f"{format_bytes(memory.at('generation'))} while generating{beside}{shared} (`nearfuture plan` lists the parts)"
    )
