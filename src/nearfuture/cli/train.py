"""`nearfuture train`: a run, its dry run, its resume.

Not here: the run (`nearfuture.run.start`), what a dry run says (`nearfuture.lab.forecast.dry`).
"""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from nearfuture.cli.base import INTERRUPTED, ConfigPath, Overrides, app, example, hush, told_to_user
from nearfuture.types import UserError


@app.command(epilog=example("train apprentice/tiny run_dir=runs/a", "train apprentice/tiny run_dir=runs/a --resume"))
def train(
    config: ConfigPath,
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option(help="Print what would happen, and stop.")] = False,
    processes: Annotated[int | None, typer.Option(help="Number of processes a dry run assumes.", min=1)] = None,
    resume: Annotated[bool, typer.Option(help="Continue the run in run_dir where it stopped.")] = False,
    clean: Annotated[bool, typer.Option(help="Delete the run in run_dir first.")] = False,
    one_stage: Annotated[
        bool, typer.Option(help="Stop after one stage (a segment, or an intervention); --resume begins the next.")
    ] = False,
    quiet: Annotated[bool, typer.Option(help="Print only errors and the result.")] = False,
) -> None:
    """Train with GRPO and the interventions that the configuration asks for."""
    with told_to_user():
        from nearfuture.run.early import check_files, check_start
        from nearfuture.run.settings.load import load_configuration

        configuration = load_configuration(config, overrides or [])
        if processes is not None and not dry_run:
            raise UserError(
                f"--processes {processes} needs --dry-run. To start several processes, use accelerate or torchrun."
            )
        check_files(configuration) if dry_run else check_start(configuration, resume=resume, clean=clean)
        hush(quiet=quiet)
        if dry_run:
            from nearfuture.lab.forecast.dry import dry_run_report

            print(dry_run_report(configuration, processes))
            return
        from nearfuture.run.start import train as run
        from nearfuture.train.processes import is_main

        flags = ["--resume", *(["--one-stage"] if one_stage else []), *(["--quiet"] if quiet else [])]
        again = shlex.join(["nearfuture", "train", str(config), *(overrides or []), *flags])
        outcome = run(configuration, resume=resume, clean=clean, quiet=quiet, one_stage=one_stage)
        if outcome == "interrupted":
            print(f"interrupted; a checkpoint is saved. Go on with: {again}")
            raise typer.Exit(INTERRUPTED)
        if is_main() and outcome == "paused":
            print(f"a stage is done. Begin the next with: {again}")
        elif is_main():
            print(f"final policy: {configuration.run.run_dir / 'final'}")
            print(f"report:       nearfuture report {configuration.run.run_dir}")
