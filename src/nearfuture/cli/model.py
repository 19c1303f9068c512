"""`nearfuture model convert`: a model in another format, as a folder that can be trained.

Not here: the conversion (`nearfuture.train.convert`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nearfuture.cli.base import app, example, hush, told_to_user
from nearfuture.record.formats import command_line

model_app = typer.Typer(help="Models: from other formats to the Hugging Face layout.", no_args_is_help=True)
app.add_typer(model_app, name="model")


@model_app.callback()
def models() -> None:
    """Models: from other formats to the Hugging Face layout."""


@model_app.command(epilog=example("model convert small.gguf models/small"))
def convert(
    source: Annotated[str, typer.Argument(help="A .gguf file, or an installed package that holds one.")],
    output: Annotated[Path, typer.Argument(help="The folder to write; it must not exist.")],
    dtype: Annotated[
        str | None, typer.Option(help="Format of the weights: bfloat16 (the default), float16 or float32.")
    ] = None,
) -> None:
    """Write a GGUF model as a folder for `model=`, for example `nearfuture model convert small.gguf models/small`."""
    with told_to_user():
        hush()
        from nearfuture.train.convert import convert as convert_model

        asked: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
        print(f"{convert_model(source, output, **asked)}: train with {command_line(f'model={output}')}")
