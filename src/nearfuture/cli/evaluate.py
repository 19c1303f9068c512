"""`nearfuture evaluate`: policies on benchmarks, on a task's test prompts, on your own rows.

Not here: the evaluation (`nearfuture.lab.evaluate`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nearfuture.cli.base import INTERRUPTED, app, example, hush, print_whole, told_to_user
from nearfuture.record.formats import command_line


@app.command(epilog=example("evaluate runs/tiny --suite task", "evaluate runs/tiny@20 runs/tiny --suite task"))
def evaluate(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN_OR_MODEL [OTHER] [key=value ...]",
            help="A run, RUN@STEP, or a model's folder or name on the Hub; optionally a second one to compare it with. "
            "Sampling and engine settings have TRL's names: temperature=0.7 max_completion_length=4096 use_vllm=true.",
        ),
    ],
    suite: Annotated[
        list[str],
        typer.Option(help="paper, task, benchmarks, files: a,b or repeated; `nearfuture docs evaluation`."),
    ],
    output: Annotated[Path | None, typer.Option(help="Folder. Default: RUN/evaluation or evaluations/MODEL.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder that mirrors the Hub's data sets. Default: its cache.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="The task of --suite task. Default: the run's.")] = None,
    lineage: Annotated[bool, typer.Option("--lineage", help="Evaluate every checkpoint on the run's path.")] = False,
    num_samples: Annotated[int, typer.Option(help="Responses per question.")] = 2,
    seed: Annotated[int, typer.Option(help="Seed of the sampling; the seed of each response follows from it.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Questions per suite; clusters are kept whole.", min=1)] = None,
    instruction: Annotated[str | None, typer.Option(help="Replace the last sentence of benchmark prompts.")] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Discard earlier responses and sample again.")] = False,
) -> None:
    """Evaluate a policy, or compare two on the same questions; after a kill, the same command continues."""
    with told_to_user():
        hush()
        from nearfuture.lab.evaluate import request
        from nearfuture.lab.evaluate.evaluation import Asked, evaluate
        from nearfuture.lab.evaluate.output import summary, write_evaluation
        from nearfuture.lab.evaluate.suites import Sources
        from nearfuture.train.processes import is_main

        given = request.read_arguments(arguments)
        own_task, task_decoding = request.task_of(given.names, task)
        folder = output or request.output_of(given.names[0])
        asked = Asked(
            suites=tuple(name.strip() for value in suite for name in value.split(",")),
            output=folder,
            sources=Sources(data, own_task, task_decoding, given.rows, instruction, limit),
            num_samples=num_samples,
            seed=seed,
            decoding=given.decoding,
            engine=request.as_trained(given.engine, given.names),
            is_clean=clean,
        )
        try:
            result = evaluate(given.names, asked, lineage=lineage, say=print if is_main() else lambda _: None)
        except KeyboardInterrupt:
            print(f"interrupted; finished batches are in {folder}. The same command continues.")
            raise typer.Exit(INTERRUPTED) from None
        if is_main():
            page = write_evaluation(result, folder, command_line("nearfuture", *sys.argv[1:]))
            print_whole(summary(result))
            print(f"page: {page}")
