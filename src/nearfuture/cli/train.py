"""`nearfuture train`: a run, its dry run, its resume.

Not here: the run (`nearfuture.run.start`), what a dry run says (`nearfuture.lab.forecast.dry`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nearfuture.cli.base import INTERRUPTED, ConfigPath, Overrides, app, example, hush, told_to_user
from nearfuture.record.formats import command_line
from nearfuture.types import UserError

if TYPE_CHECKING:
    from nearfuture.run.fork import Fork
    from nearfuture.run.settings.config import Configuration


@app.command(
    epilog=example(
        "train apprentice/tiny run_dir=runs/a",
        "train apprentice/tiny run_dir=runs/a max_steps=60 --resume",
        "train apprentice/tiny run_dir=runs/b learning_rate=1e-4 --from runs/a@20",
    )
)
def train(
    config: ConfigPath,
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option(help="Print what would happen, and stop.")] = False,
    processes: Annotated[int | None, typer.Option(help="Number of processes a dry run assumes.", min=1)] = None,
    resume: Annotated[bool, typer.Option(help="Continue the run in run_dir where it stopped.")] = False,
    clean: Annotated[bool, typer.Option(help="Delete the run in run_dir first.")] = False,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="RUN@STEP", help="Begin at a checkpoint of another run, with new settings."),
    ] = None,
    one_stage: Annotated[
        bool, typer.Option(help="Stop after one stage (a segment, or an intervention); --resume begins the next.")
    ] = False,
    quiet: Annotated[bool, typer.Option(help="Print only errors and the result.")] = False,
) -> None:
    """Train with GRPO and the interventions that the configuration asks for."""
    with told_to_user():
        from nearfuture.run.settings.load import load_configuration

        configuration = load_configuration(config, overrides or [])
        if source is not None and resume:
            raise UserError(f"--from {source} begins a run, --resume goes on with one. Resume a fork without --from.")
        if processes is not None and not dry_run:
            raise UserError(
                f"--processes {processes} needs --dry-run. To start several processes, use accelerate or torchrun."
            )
        from nearfuture.run.early import check_files, check_start

        check_files(configuration) if dry_run else check_start(configuration, resume=resume, clean=clean)
        fork = None if source is None else fork_of(source, configuration)
        hush(quiet=quiet)
        if dry_run:
            from nearfuture.lab.forecast.dry import dry_run_report

            print(dry_run_report(configuration, processes))
            if source is not None:
                print(f"fork:   begins at {source}; the steps until there are not trained again")
            return
        from nearfuture.run.start import train as run
        from nearfuture.train.processes import is_main

        flags = ["--resume", *(["--one-stage"] if one_stage else []), *(["--quiet"] if quiet else [])]
        again = command_line("nearfuture", "train", config, *(overrides or []), *flags)
        outcome = run(configuration, resume=resume, clean=clean, quiet=quiet, one_stage=one_stage, fork=fork)
        if outcome == "interrupted":
            print(f"interrupted; a checkpoint is saved. Go on with: {again}")
            raise typer.Exit(INTERRUPTED)
        if is_main() and outcome == "paused":
            print(f"a stage is done. Begin the next with: {again}")
        elif is_main():
            print(f"final policy: {configuration.run.run_dir / 'final'}")
            print(f"report:       {command_line('nearfuture', 'report', configuration.run.run_dir)}")


def fork_of(source: str, configuration: Configuration) -> Fork:
    """Return the checkpoint at which a fork begins, checked against its configuration."""
    from nearfuture.run.fork import Fork

    fork = Fork.named(source)
    fork.check(configuration)
    return fork
