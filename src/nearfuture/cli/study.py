"""`nearfuture compare` and `nearfuture report`: many runs, and the page about them.

Not here: the grid (`nearfuture.lab.study`), the page (`nearfuture.lab.report`).
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from nearfuture.cli.base import INTERRUPTED, app, example, hush, print_whole, require_outputs, told_to_user
from nearfuture.record.formats import duration, plural

if TYPE_CHECKING:
    from nearfuture.lab.study.grid import GridRunner, Outcome

COLOURS = {"finished": "green", "failed": "bold red", "interrupted": "yellow"}


@app.command(epilog=example("compare apprentice/compare_smoke --seeds 1"))
def compare(
    config: Annotated[
        Path, typer.Argument(metavar="STUDY.yaml", help="Methods and settings; `nearfuture docs compare`.")
    ],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="key=value", help="Override keys of `base`.")] = None,
    methods: Annotated[
        list[str] | None, typer.Option(help="Only these: a,b or repeated. Default: all of them.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="How many training seeds per method, from first_seed on. Default: num_seeds.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Runs at once. Default: one per GPU or core.", min=1)] = None,
) -> None:
    """Train and compare methods over seeds: a grid of runs that can be interrupted, and a report on it."""
    with told_to_user():
        from nearfuture.lab.study.study_config import load_study

        chosen = [name.strip() for value in methods or [] for name in value.split(",")]
        study = load_study(config, overrides or [], methods=chosen, num_seeds=seeds)
        hush()
        from nearfuture.lab.study.grid import GridRunner

        runner = GridRunner(study, jobs)
        try:
            has_failed = run_grid(runner)
        except KeyboardInterrupt:
            print("interrupted; every run has saved a checkpoint. The same command continues.")
            raise typer.Exit(INTERRUPTED) from None
        show_report([study.run_dir], None)
        if has_failed:
            raise typer.Exit(1)


def run_grid(runner: GridRunner) -> bool:
    """Run the grid, print a line for each run that ends, and return whether any failed."""
    from nearfuture.lab.study.results import read_test

    study, numbers, console = runner.study, itertools.count(1), Console(highlight=False, soft_wrap=True)
    which = f"{study.seeds[0]} to {study.seeds[-1]}" if len(study.seeds) > 1 else f"{study.seeds[0]}"
    console.print(
        f"{plural(len(study.methods), 'method')} x {plural(study.num_seeds, 'seed')} ({which}) in {study.run_dir}, "
        f"{runner.num_jobs} at once; final evaluation on the {runner.split} prompts"
    )

    def say(outcome: Outcome, seconds_left: float | None) -> None:
        rate, time = "", duration(outcome.seconds) if outcome.seconds > 1 else "was there"
        if outcome.state == "finished":
            rate = f"  {runner.split} {read_test(runner.folder.test(outcome.name)).mean():.3f}"
        left = "" if not seconds_left else f", {duration(seconds_left)} left"
        state = f"[{COLOURS[outcome.state]}]{outcome.state:<11}[/]"
        progress = f"({next(numbers)} of {len(runner.jobs)}{left})"
        console.print(f"{outcome.name:<24} {state} {time:>12}{rate}  {progress}")

    failed = [outcome for outcome in runner.run(say) if outcome.state != "finished"]
    for outcome in failed:
        log = runner.folder.log(outcome.name)
        console.print(f"\n[bold red]{outcome.name} {outcome.state}[/]; {log} ends:")
        console.print(escape(outcome.last_lines))
    if failed:
        console.print("\nThe same command tries these again, and repeats nothing that is finished.")
    return bool(failed)


@app.command(epilog=example("report runs/tiny", "report runs/grpo runs/npo --output page.html"))
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or the folder of a comparison.")],
    output: Annotated[
        Path | None,
        typer.Option(help="Page to write. Default: report/index.html in the run, report/beside-OTHER.html of several."),
    ] = None,
) -> None:
    """Write one self-contained page about runs or a comparison, and print a summary."""
    with told_to_user():
        require_outputs(output)
        show_report(runs, output)


def show_report(runs: list[Path], output: Path | None) -> None:
    """Write the page about runs or a study, and print its summary."""
    from nearfuture.lab.report import page_of, report_text, write_report

    page = write_report(runs, output or page_of(runs))
    print_whole(report_text(runs))
    print(f"report: {page}")
