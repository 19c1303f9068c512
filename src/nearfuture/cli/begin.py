"""`nearfuture init` and `nearfuture docs`: a first configuration, and the documentation that ships.

Not here: what they write (`nearfuture.run.settings.first`), where pages are (`nearfuture.options.shipped`).
"""

from __future__ import annotations

import dataclasses
import keyword
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from nearfuture.cli.base import app, example, told_to_user
from nearfuture.options import shipped
from nearfuture.record.formats import command_line
from nearfuture.types import UserError, did_you_mean

if TYPE_CHECKING:
    from nearfuture.run.settings.first import Wish


@app.command(epilog=example("init", "init sums.yaml --task sums.py:sums", "init qwen.yaml --data gsm8k --method grpo"))
def init(
    output: Annotated[Path, typer.Argument(metavar="FILE", help="The configuration to write.")] = Path("npo.yaml"),
    task: Annotated[
        str | None,
        typer.Option(help="A task that ships, or FILE.py:FUNCTION of your own; a file that is not there is written."),
    ] = None,
    data: Annotated[str | None, typer.Option(help="A known data set, an id on the Hub, or a file of rows.")] = None,
    model: Annotated[str | None, typer.Option(help="Folder or name on the Hub. Default: the task's own.")] = None,
    method: Annotated[
        str | None, typer.Option(help="npo (the default), grpo, autonpo, luffy, exgrpo, self_imitation, rlep or opd.")
    ] = None,
    is_list: Annotated[bool, typer.Option("--list", help="List the configurations that ship, and stop.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.")] = False,
) -> None:
    """Write a commented configuration that is ready to run, and beside it your own task if you name one."""
    with told_to_user():
        if is_list:
            show_shipped()
            return
        from nearfuture.run.settings.first import TINY, Wish

        wish = Wish(output.stem, task or (TINY if data is None else None), data, model, method or Wish.method)
        write_first(wish, output, force=force)


def show_shipped() -> None:
    """Print the names of the configurations that ship, with the first line of each."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for name, path in shipped.configurations().items():
        text = path.read_text(encoding="utf-8")
        command = "compare" if "\nmethods:" in text else "train"
        table.add_row(f"{command} {name}", text.splitlines()[0].lstrip("# "))
    Console(highlight=False).print(table)
    print("\nFor example: nearfuture train apprentice/tiny run_dir=runs/first")


def write_first(wish: Wish, output: Path, *, force: bool) -> None:
    """Write the requested files, check them, and say what to type next."""
    from nearfuture.record import flat_yaml
    from nearfuture.run.early import check_files
    from nearfuture.run.settings.first import configuration
    from nearfuture.run.settings.first_task import task_file
    from nearfuture.run.settings.load import check

    text = configuration(wish)
    checked = check(flat_yaml.load(text))
    if output.exists() and not force:
        raise UserError(f"{output} exists. Choose another name, or replace it with --force.")
    own = wish.own_task
    if own is not None and not own[0].exists():
        require_name(own[1])
        own[0].write_text(task_file(own[1], for_tiny_model=wish.model is None), encoding="utf-8")
        print(f"wrote {own[0]}: a task to change, {own[1]}()")
    check_files(dataclasses.replace(checked, run=dataclasses.replace(checked.run, traces=None)))
    output.write_text(text, encoding="utf-8")
    print(f"wrote {output}")
    if checked.run.traces is not None:
        print(f"put your teacher's trajectories into {checked.run.traces} (`nearfuture docs guidance`)")
    print(f"next: {command_line('nearfuture', 'train', output)}")


def require_name(function: str) -> None:
    """Refuse a name that cannot be a function's.

    Raises:
        UserError: it cannot be.
    """
    if not function.isidentifier() or keyword.iskeyword(function):
        raise UserError(f"--task ...:{function}: not a valid function name. Use letters, digits and underscores.")


@app.command(epilog=example("docs", "docs configuration"))
def docs(
    page: Annotated[str | None, typer.Argument(metavar="PAGE", help="Its name; without one all are listed.")] = None,
    is_path: Annotated[bool, typer.Option("--path", help="Print where the page lies instead.")] = False,
) -> None:
    """Read a page of the documentation in the terminal."""
    with told_to_user():
        pages = shipped.pages()
        if page is None:
            for name, path in pages.items():
                print(f"{name:<28} {path.read_text(encoding='utf-8').splitlines()[0].lstrip('# ')}")
            return
        if page not in pages:
            raise UserError(f"there is no page {page!r}.{did_you_mean(page, pages)} `nearfuture docs` lists them.")
        console = Console()
        if is_path or not console.is_terminal:
            print(pages[page] if is_path else pages[page].read_text(encoding="utf-8"))
            return
        from rich.markdown import Markdown

        with console.pager(styles=True):
            console.print(Markdown(pages[page].read_text(encoding="utf-8")))
