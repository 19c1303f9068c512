"""What people see while a grid runs: a line for each run that ends, what it reached, how long the rest will take.

Not here: the comparison (`nearfuture.lab.report`), what a single run prints (its log).
"""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from nearfuture.lab.study.grid import GridRunner, Outcome
from nearfuture.lab.study.results import read_test
from nearfuture.record.formats import duration, plural

COLOURS = {"finished": "green", "failed": "bold red", "interrupted": "yellow"}


class GridDisplay:
    """Shows a grid, and carries it out."""

    def __init__(self, runner: GridRunner) -> None:
        self.runner = runner
        self.console = Console(highlight=False, soft_wrap=True)
        self.num_done = 0

    def run(self) -> bool:
        """Run the grid and say what became of it. True where a run failed."""
        runner = self.runner
        study = runner.study
        self.console.print(
            f"{plural(len(study.methods), 'method')} x {plural(study.num_seeds, 'seed')} in {study.run_dir}, "
            f"{runner.num_jobs} at once; final evaluation on the {runner.split} prompts"
        )
        outcomes = runner.run(self.said)
        failed = [outcome for outcome in outcomes if outcome.state != "finished"]
        for outcome in failed:
            self.console.print(
                f"\n[bold red]{outcome.name} {outcome.state}[/]; {runner.folder.log(outcome.name)} ends:"
            )
            self.console.print(escape(outcome.last_lines))
        if failed:
            self.console.print("\nThe same command tries these again, and repeats nothing that is finished.")
        return bool(failed)

    def said(self, outcome: Outcome, seconds_left: float | None) -> None:
        """Print the line of one outcome."""
        self.num_done += 1
        rate, time = "", duration(outcome.seconds) if outcome.seconds > 1 else "was there"
        if outcome.state == "finished":
            rate = f"  {self.runner.split} {read_test(self.runner.folder.test(outcome.name)).mean():.3f}"
        left = "" if not seconds_left else f", {duration(seconds_left)} left"
        state = f"[{COLOURS[outcome.state]}]{outcome.state:<11}[/]"
        progress = f"({self.num_done} of {len(self.runner.jobs)}{left})"
        self.console.print(f"{outcome.name:<24} {state} {time:>12}{rate}  {progress}")
