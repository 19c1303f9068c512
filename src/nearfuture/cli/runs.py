"""`nearfuture runs` and `nearfuture clean`: which runs there are, and freeing their disk.

Not here: reading a run (`nearfuture.record.listing`), what may be deleted (`nearfuture.run.clean`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from nearfuture.cli.base import app, example, told_to_user
from nearfuture.record.formats import count, duration, format_bytes, plural

if TYPE_CHECKING:
    from nearfuture.record.listing import RunLine

NARROW = 100
"""A terminal with fewer columns gets a narrower table."""
COLOURS = {"finished": "green", "running": "cyan", "stopped": "yellow", "begun": "yellow", "damaged": "bold red"}


@app.command(epilog=example("runs", "runs runs/study --json"))
def runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to look, at any depth.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as JSON.")] = False,
) -> None:
    """List the runs in a folder: state, step, held-out pass rate, cost, method, size."""
    with told_to_user():
        from nearfuture.record.listing import runs_in

        found = runs_in(folder)
        if as_json:
            print(json.dumps([run.as_dict() for run in found], indent=1))
            return
        if not found:
            print(f"no runs in {folder}. `nearfuture train` writes one to run_dir.")
            return
        console = Console(highlight=False)
        console.print(table_of(found, folder, is_narrow=console.width < NARROW))
        for run in found:
            if run.problem is not None:
                print(f"{run.path}: {run.problem}")


def table_of(found: list[RunLine], folder: Path, *, is_narrow: bool) -> Table:
    """The runs, one per row; a narrow table leaves out tokens and time."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("run", overflow="fold", min_width=16)
    for name in ("state", "method"):
        table.add_column(name, no_wrap=True)
    for name in ("step", "held-out", "paid", "size", *(() if is_narrow else ("tokens", "time"))):
        table.add_column(name, justify="right", no_wrap=True)
    for run in found:
        name = str(Path(run.path).relative_to(folder)) if run.path != str(folder) else run.path
        step = "" if run.step is None else f"{run.step}/{run.max_steps}"
        held_out = "" if run.held_out is None else f"{run.held_out:.3f}"
        fork = "" if run.forked_from is None else f" (fork of {Path(run.forked_from).name})"
        paid, tokens = ("" if value is None else count(value) for value in (run.total_steps, run.tokens))
        time = "" if run.seconds is None else duration(run.seconds)
        state = f"[{COLOURS[run.state]}]{run.state}[/]"
        costs = () if is_narrow else (tokens, time)
        table.add_row(name + fork, state, run.method, step, held_out, paid, format_bytes(run.num_bytes), *costs)
    return table


@app.command(epilog=example("clean runs/tiny", "clean runs/tiny --yes --keep 20,30"))
def clean(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder that no process is training.")],
    yes: Annotated[bool, typer.Option("--yes", help="Free it; without this nothing is deleted.")] = False,
    keep: Annotated[list[str] | None, typer.Option(help="Steps whose checkpoints stay: 100,200 or repeated.")] = None,
) -> None:
    """Free the disk of a run: checkpoints that its lineage does not need, and leftovers of kills."""
    with told_to_user():
        from nearfuture.run.clean import clean as free
        from nearfuture.run.clean import pieces, steps_to_keep

        kept = steps_to_keep(keep or [])
        found = pieces(run, kept)
        freed = free(run, kept) if yes else [piece for piece in found if not piece.is_kept]
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("", "what", "frees", "why"):
            table.add_column(name, justify="right" if name == "frees" else "left")
        verb = "freed" if yes else "would free"
        for piece in found:
            size = "" if piece.is_kept else format_bytes(piece.num_bytes)
            table.add_row("keep" if piece.is_kept else verb, piece.path, size, piece.why)
        Console(highlight=False).print(table)
        total = format_bytes(sum(piece.num_bytes for piece in freed))
        print(f"{verb} {total} in {plural(len(freed), 'folder')}{'' if yes or not freed else '; --yes does it'}")
