"""`nearfuture selftest`: the proof of exactness, on the user's own machine.

Not here: the proof (`nearfuture.lab.measure.selftest`).
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from nearfuture.cli.base import app, example, hush, told_to_user


@app.command(epilog=example("selftest --steps 4"))
def selftest(
    steps: Annotated[int, typer.Option(help="Optimizer steps per comparison.", min=2)] = 6,
) -> None:
    """Prove on this machine that GRPO, resume and rollback are exact, and print what was compared."""
    with told_to_user():
        from nearfuture.lab.measure.selftest import run_selftest

        hush()
        results = run_selftest(steps)
        table = Table("law", "compared", "result")
        for result in results:
            table.add_row(
                result.law, result.compared, "identical" if result.is_identical else f"DIFFERS: {result.first}"
            )
        Console().print(table)
        if not all(result.is_identical for result in results):
            raise typer.Exit(1)
