"""What the commands share: the application, how an error is told, and the arguments that come again.

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

from nearfuture.types import UserError

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
    """Print a `UserError` as one message and leave with its exit code."""
    try:
        yield
    except UserError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print("[bold red]error:[/]", end=" ")
        print(error, file=sys.stderr)
        raise typer.Exit(error.exit_code) from None


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
