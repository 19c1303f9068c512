"""`nearfuture signal`: what near-future guides would bring and cost on a finished run.

Not here: the measurement (`nearfuture.lab.measure.measurement`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfuture.cli.base import Overrides, app, example, hush, print_whole, require_outputs, told_to_user
from nearfuture.lab.measure.scope import Scope
from nearfuture.types import UserError


@app.command(epilog=example("signal runs/tiny --anchor 0,20"))
def signal(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or a TRL output folder with checkpoint-*.")],
    overrides: Overrides = None,
    anchor: Annotated[list[str] | None, typer.Option(help="Steps of the learner: 0,80 or repeated. 0: base.")] = None,
    distances: Annotated[list[str] | None, typer.Option(help="Steps from there to the guide: 10,20,40.")] = None,
    num_prompts: Annotated[int, typer.Option(help="Failed prompts wanted per anchor.")] = Scope.num_prompts,
    num_samples: Annotated[
        int, typer.Option(help="Samples per prompt, to find failed ones and to measure.")
    ] = Scope.num_samples,
    k: Annotated[int | None, typer.Option(help="k of the coverage, pass@k. Default: guide_num_samples.")] = None,
    num_resamples: Annotated[int, typer.Option(help="Bootstrap resamples of the prompts.")] = Scope.num_resamples,
    num_gradients: Annotated[
        int, typer.Option(help="Gradients per distance to check V (small models); 0: off.")
    ] = Scope.num_gradients,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write everything measured to this file.")] = None,
    output: Annotated[Path | None, typer.Option(help="Page to write. Default: RUN/report/signal.html.")] = None,
    config: Annotated[Path | None, typer.Option(help="Task, base model, sampling. Default: the run's.")] = None,
    task: Annotated[str | None, typer.Option(help="The task, for a folder that TRL wrote.")] = None,
) -> None:
    """Measure what near-future guides bring and cost on a finished run: Q, V and S = Q / V over distance."""
    with told_to_user():
        require_outputs(output, json_file)
        at = (steps("--anchor", anchor), steps("--distances", distances))
        if not run.exists():
            raise UserError(f"{run} does not exist. Name a run folder, or a TRL output folder with checkpoint-* in it.")
        hush()
        from nearfuture.lab.measure.run_signal import measure_signal
        from nearfuture.lab.report.signal_page import signal_text, write_signal_page
        from nearfuture.record.writing import write_json
        from nearfuture.train.processes import is_main

        scope = Scope(*at, num_prompts, num_samples, k, num_resamples, num_gradients)
        result = measure_signal(run, scope, config=config, task=task, overrides=overrides or [])
        if is_main():
            print_whole(signal_text(result))
            if json_file is not None:
                write_json(json_file, result)
            print(f"page: {write_signal_page(result, output or run / 'report' / 'signal.html')}")


def steps(option: str, values: list[str] | None) -> tuple[int, ...]:
    """Read steps given as `0,80` or one by one."""
    parts = [part.strip() for value in values or [] for part in value.split(",")]
    if wrong := [part for part in parts if not part.isdecimal()]:
        raise UserError(f"{option} {wrong[0]!r} is not a step. Give whole numbers from 0, for example {option} 0,80.")
    return tuple(map(int, parts))
