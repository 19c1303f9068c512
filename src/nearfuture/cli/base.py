"""What the commands share: the application, how errors are printed, and the arguments several of them take.

Not here: any command (the other files of this package); heavy imports happen inside the commands.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from nearfuture.cli.failures import as_user_error

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

INTERRUPTED = 130

app = typer.Typer(
    help="Near-Future Policy Optimization: a policy learns from its own near future, on TRL.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="Flat YAML; see docs/configuration.md.")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="key=value", help="Override keys of the configuration.")]


@contextlib.contextmanager
def told_to_user() -> Iterator[None]:
    """Print an error the user can fix as one message and exit with its code; a bug keeps its traceback."""
    try:
        yield
        sys.stdout.flush()  # here a full disk behind a pipe or a file can still be reported
    except Exception as error:
        told = as_user_error(error)
        if told is None:
            raise
        _let_go_of_a_full_stdout()
        with contextlib.suppress(OSError):  # stderr may be the full file
            Console(stderr=True, highlight=False, soft_wrap=True).print("[bold red]error:[/]", end=" ")
            print(told, file=sys.stderr)
        raise typer.Exit(told.exit_code) from None


def _let_go_of_a_full_stdout() -> None:
    """Drop what cannot be written: Python would try again at exit, and exit with a code of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def hush() -> None:
    """Silence the training libraries; imported late, like them."""
    from nearfuture.train.hush import hush_libraries

    hush_libraries()


def print_summary(summary: dict[str, Any]) -> None:
    """Print keys and values as a table."""
    table = Table(show_header=False)
    for key, value in summary.items():
        table.add_row(key, f"{value:.4g}" if isinstance(value, float) else str(value))
    Console().print(table)
