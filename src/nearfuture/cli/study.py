"""`nearfuture compare` and `nearfuture report`: many runs, and the page about them.

Not here: the grid (`nearfuture.lab.study`), the page (`nearfuture.lab.report`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nearfuture.cli.base import INTERRUPTED, app, hush, told_to_user


@app.command()
def compare(
    config: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="Methods and settings; see docs/compare.md.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="key=value", help="Override keys of `base`.")] = None,
    methods: Annotated[
        list[str] | None, typer.Option(help="Only these: a,b or repeated. Default: all of them.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Training seeds per method. Default: num_seeds.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Runs at once. Default: one per GPU or core.", min=1)] = None,
) -> None:
    """Train and compare methods over seeds: a grid of runs that can be interrupted, and a report on it."""
    with told_to_user():
        from nearfuture.lab.study.grid import GridRunner
        from nearfuture.lab.study.show import GridDisplay
        from nearfuture.lab.study.study_config import load_study

        chosen = [name.strip() for value in methods or [] for name in value.split(",")]
        study = load_study(config, overrides or [], methods=chosen, num_seeds=seeds)
        hush()
        display = GridDisplay(GridRunner(study, jobs))
        try:
            has_failed = display.run()
        except KeyboardInterrupt:
            print("interrupted; every run has saved a checkpoint. The same command continues.")
            raise typer.Exit(INTERRUPTED) from None
        show_report([study.run_dir], None)
        if has_failed:
            raise typer.Exit(1)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or the folder of a comparison.")],
    output: Annotated[
        Path | None, typer.Option(help="Page to write. Default: report/index.html in the first run.")
    ] = None,
) -> None:
    """Write one self-contained page about runs or a comparison, and print a summary."""
    with told_to_user():
        show_report(runs, output)


def show_report(runs: list[Path], output: Path | None) -> None:
    """Write the page about runs or a study, and print its summary."""
    from nearfuture.lab.report import report_text, write_report

    page = write_report(runs, output or runs[0] / "report" / "index.html")
    Console().print(report_text(runs))
    print(f"report: {page}")
