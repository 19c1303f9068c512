"""`nearfuture plan`: what a run needs, estimated before anybody pays for it.

Not here: the forecast itself (`nearfuture.lab.forecast`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from nearfuture.cli.base import ConfigPath, Overrides, app, example, hush, require_outputs, told_to_user
from nearfuture.lab.forecast.wanted import Wanted

DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd", "/dev/dri/renderD128", "/dev/accel")


@app.command(epilog=example("plan paper/qwen3_vl_8b_npo_early --gpus 8"))
def plan(
    config: ConfigPath,
    overrides: Overrides = None,
    gpus: Annotated[int, typer.Option(help="Devices per node.")] = Wanted.gpus,
    nodes: Annotated[int, typer.Option(help="Number of nodes.")] = Wanted.nodes,
    gpu_memory: Annotated[float, typer.Option(help="Memory per device, in GB.")] = Wanted.gpu_memory,
    sharding: Annotated[
        Literal["ddp", "fsdp2"], typer.Option(help="How devices share the model; fsdp2 shards all that is trained.")
    ] = Wanted.sharding,
    tokens_per_second: Annotated[
        float, typer.Option(help="Tokens a device generates per second.")
    ] = Wanted.tokens_per_second,
    train_tokens_per_second: Annotated[
        float | None, typer.Option(help="Tokens a device trains on per second. Default: from --teraflops.")
    ] = None,
    teraflops: Annotated[
        float, typer.Option(help="10^12 operations per second that a device sustains.")
    ] = Wanted.teraflops,
    prompt_tokens: Annotated[int | None, typer.Option(help="Mean tokens per prompt, images included.")] = None,
    completion_tokens: Annotated[int | None, typer.Option(help="Mean tokens per completion.")] = None,
    images: Annotated[int, typer.Option(help="Images per prompt, for a vision-language model.", min=0)] = Wanted.images,
    cpu: Annotated[bool, typer.Option("--cpu", help="Plan for a CPU instead of accelerators.")] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure this machine with a few steps of the run (seconds).")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write everything to this file.")] = None,
) -> None:
    """Estimate memory, disk, tokens and time of a run without loading weights or data (except with --measure)."""
    with told_to_user():
        require_outputs(json_file)
        from nearfuture.record.writing import write_json
        from nearfuture.run.settings.load import load_configuration

        wanted = Wanted(
            gpus=gpus,
            nodes=nodes,
            gpu_memory=gpu_memory,
            sharding=sharding,
            tokens_per_second=tokens_per_second,
            train_tokens_per_second=train_tokens_per_second,
            teraflops=teraflops,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            images=images,
            is_cpu=cpu,
        )
        configuration = load_configuration(config, overrides or [])
        from nearfuture.run.early import check_files

        check_files(configuration)
        from nearfuture.lab.forecast.data import is_on_paper

        if measure or not is_on_paper(configuration):
            hush()
        from nearfuture.lab.forecast.planner import make_plan
        from nearfuture.lab.forecast.show import as_json, heading_lines, in_hours, memory_table, stage_table

        if measure:
            from nearfuture.lab.forecast.measure import measure as measured

            wanted = measured(configuration, wanted)
        made = make_plan(configuration, wanted)
        print("\n".join(heading_lines(made)))
        console = Console()
        console.print(memory_table(made))
        console.print(stage_table(made))
        if not wanted.is_cpu and not has_accelerator():
            print(
                f"This machine has no accelerator: the plan is for {wanted.num_devices} with {wanted.gpu_memory:g} GB. "
                "--cpu plans for a CPU, --measure for this machine."
            )
        print(f"{in_hours(made.hours * made.num_devices)} of device time. Known and assumed:")
        print("\n".join(f"  {line}" for line in made.assumptions))
        for warning in made.warnings:
            print(f"WARNING: {warning}")
        if json_file is not None:
            write_json(json_file, as_json(made))


def has_accelerator() -> bool:
    """True if this machine has a device that torch could use; asks the system, since importing torch takes seconds."""
    return sys.platform == "darwin" or any(Path(place).exists() for place in DEVICES)
