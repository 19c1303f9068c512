"""`nearfuture guide collect|show|verify|import|export`: guidance caches.

Not here: collecting (`nearfuture.run.collect`), other frameworks' files (`nearfuture.run.interop`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfuture.cli.base import ConfigPath, Overrides, app, example, hush, print_summary, told_to_user
from nearfuture.types import Guidance, PolicyRef, UserError

if TYPE_CHECKING:
    from nearfuture.guidance import GuidanceCache

guide_app = typer.Typer(help="Guidance caches: collect, show, verify, import, export.", no_args_is_help=True)
app.add_typer(guide_app, name="guide")


@guide_app.command(epilog=example("guide collect apprentice/tiny --guide runs/tiny/final --output guidance"))
def collect(
    config: ConfigPath,
    guide: Annotated[str, typer.Option(help="The guide: a model folder or checkpoint in the Hugging Face layout.")],
    output: Annotated[Path, typer.Option(help="Folder of the cache.")],
    overrides: Overrides = None,
    num_kept: Annotated[int, typer.Option(help="Most distinct trajectories to keep per prompt.", min=1)] = 1,
) -> None:
    """Collect verified guidance from a guide for every training prompt of the configuration's task."""
    with told_to_user():
        from nearfuture.run.settings.load import load_configuration

        configuration = load_configuration(config, [*(overrides or []), f"model={guide}"])
        from nearfuture.run.early import check_files, check_model

        check_files(configuration)
        check_model(guide)
        hush()
        from nearfuture.run.collect import collect_from
        from nearfuture.run.show import CollectionDisplay

        with CollectionDisplay(configuration.run.guide_num_samples) as display:
            policy, shown = PolicyRef(0, 0, guide), display.collected
            cache = collect_from(configuration, policy, output, num_kept=num_kept, progress=shown)
        print_summary(cache.summary())


@guide_app.command(epilog=example("guide show guidance"))
def show(
    cache: Annotated[Path, typer.Argument(help="Folder of the cache.")],
    num: Annotated[int, typer.Option(help="Number of trajectories to show as text.", min=0)] = 3,
    prompt: Annotated[str | None, typer.Option(help="Show all trajectories of this prompt id instead.")] = None,
) -> None:
    """Show a cache: its counts and the text of some trajectories."""
    with told_to_user():
        from nearfuture.guidance import GuidanceCache

        opened = GuidanceCache.open(cache)
        print_summary(opened.summary())
        for guidance, text in _shown(opened, num, prompt):
            drawn = f"{guidance.num_correct} of {guidance.num_samples} samples correct"
            source = drawn if guidance.num_samples else "imported"
            length = len(guidance.completion_ids)
            print(f"\n{guidance.prompt_id}: step {guidance.guide_step}, {length} tokens, {source}\n{text}")


def _shown(cache: GuidanceCache, num: int, prompt_id: str | None) -> Iterator[tuple[Guidance, str]]:
    """Return the first `num` trajectories with their text, or all of one prompt."""
    if prompt_id is None:
        return islice(cache.entries(), num)
    if prompt_id not in cache:
        ids = ", ".join(guidance.prompt_id for guidance, _ in islice(cache.entries(), 3))
        raise UserError(f"the cache has no prompt {prompt_id!r}. Its prompts are {ids}, ... ({len(cache)} in all).")
    return (entry for entry in cache.entries() if entry[0].prompt_id == prompt_id)


@guide_app.command(epilog=example("guide verify guidance --config apprentice/tiny"))
def verify(
    cache: Annotated[Path, typer.Argument(help="Folder of the cache.")],
    config: Annotated[Path | None, typer.Option(help="Configuration with the task. Default: the run's own.")] = None,
) -> None:
    """Check a cache: its bytes and the form of every entry; judge every trajectory again."""
    with told_to_user():
        from nearfuture.run.collect import verify_cache

        for line in verify_cache(cache, config):
            print(line)


@guide_app.command(
    "import", epilog=example("guide import traces.parquet --format luffy --output cache --config npo.yaml")
)
def import_(
    source: Annotated[
        Path, typer.Argument(metavar="PATH", help="File of rows: .jsonl, .json or .parquet; or a folder with one.")
    ],
    row_format: Annotated[
        str, typer.Option("--format", help="luffy, rlep, easyvideor1 or jsonl (`nearfuture docs guidance`).")
    ],
    output: Annotated[Path, typer.Option(help="Folder of the cache.")],
    like: Annotated[Path | None, typer.Option(help="Take tokenizer and sampling settings from this cache.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration with task and tokenizer.")] = None,
) -> None:
    """Import trajectories of another framework: tokenize and verify them, and report what is left out."""
    with told_to_user():
        from nearfuture.run.interop import import_file

        hush()
        cache, report = import_file(source, row_format, output, like=like, config=config)
        for line in report.lines():
            print(line)
        print_summary(cache.summary())


@guide_app.command(epilog=example("guide export guidance --format jsonl --output guidance.jsonl"))
def export(
    cache: Annotated[Path, typer.Argument(help="Folder of the cache.")],
    row_format: Annotated[
        str, typer.Option("--format", help="luffy, rlep, easyvideor1 or jsonl (`nearfuture docs guidance`).")
    ],
    output: Annotated[
        Path, typer.Option(help="New file of rows (.jsonl, .json or .parquet), or folder of a data set for the Hub.")
    ],
    config: Annotated[Path | None, typer.Option(help="Configuration with the task. Default: the run's own.")] = None,
) -> None:
    """Write a cache as rows that another framework reads."""
    with told_to_user():
        from nearfuture.run.interop import export_file

        hush()
        for line in export_file(cache, row_format, output, config=config).lines():
            print(line)
        print(f"rows: {output}")
