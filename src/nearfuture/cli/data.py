"""`nearfuture data check|difficulty`: what is in a data set, and how hard it is for a model.

Not here: the checks (`nearfuture.lab.forecast.data_check`), the measurement (`nearfuture.lab.measure.difficulty`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from nearfuture.cli.base import ConfigPath, Overrides, app, example, hush, require_outputs, told_to_user

if TYPE_CHECKING:
    from nearfuture.lab.forecast.data_check import DataReport

data_app = typer.Typer(help="Data sets: what is in them, and how hard they are for a model.", no_args_is_help=True)
app.add_typer(data_app, name="data")


@data_app.command(epilog=example("data check apprentice/tiny"))
def check(
    config: ConfigPath,
    overrides: Overrides = None,
    benchmarks: Annotated[
        Path | None, typer.Option(help="Folder that mirrors the benchmarks' repository ids, to find leaked rows.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all findings to this file.")] = None,
) -> None:
    """Count rows read, kept and left out; find repeated, contradictory, unverifiable, overlong and leaked ones."""
    with told_to_user():
        require_outputs(json_file)
        from nearfuture.record.writing import write_json
        from nearfuture.run.settings.load import load_configuration

        configuration = load_configuration(config, overrides or [])
        from nearfuture.run.early import check_files

        check_files(configuration)
        hush()
        from nearfuture.lab.forecast.data_check import check_data, require_rows

        report = check_data(configuration, benchmarks)
        show(report)
        if configuration.data.verifier is not None:
            print(f"gold answers: not checked (only {configuration.data.verifier} could)")
        if json_file is not None:
            write_json(json_file, report.as_dict())
        require_rows(report)


def show(report: DataReport) -> None:
    """Print what was found, with examples."""
    counts, findings = report.loaded.counts, report.findings
    table = Table("rows", "what", "for example", title=f"{report.loaded.source} ({report.loaded.form})", expand=False)
    table.add_row(str(counts.num_rows), "read", "")
    for reason, count in counts.dropped.most_common():
        table.add_row(str(count), f"left out: {reason}", f"rows {', '.join(map(str, counts.examples[reason]))}")
    table.add_row(str(counts.num_kept), "kept", "")
    for kind, count in findings.counts.most_common():
        table.add_row(str(count), f"found: {kind}", "\n".join(findings.examples[kind]))
    table.add_row(str(report.num_usable), "can be trained on", "")
    Console(highlight=False).print(table)
    if report.lengths:
        print(f"prompts: {max(report.lengths)} tokens at most, images counted")
    if report.note:
        print(f"prompts: {report.note}")
    if report.lengths is None:
        print("lengths: not checked (that needs a tokenizer, and no model is named)")
    compared = ", ".join(f"{name} ({count})" for name, count in report.num_compared.items())
    print(f"benchmarks: {f'compared with {compared}' if compared else 'not compared (give --benchmarks DIR)'}")


@data_app.command(epilog=example("data difficulty npo.yaml --output rows.parquet num_generations=8"))
def difficulty(
    config: ConfigPath,
    output: Annotated[Path, typer.Option(help="New .parquet file: the rows with their pass rates.")],
    overrides: Overrides = None,
    num_samples: Annotated[int, typer.Option(help="Samples per row.", min=1)] = 4,
) -> None:
    """Sample the configuration's model on every row and write its pass rate to the column `difficulty`."""
    with told_to_user():
        from nearfuture.run.settings.load import load_configuration

        configuration = load_configuration(config, overrides or [])
        from nearfuture.run.early import check_files

        check_files(configuration)
        hush()
        from nearfuture.lab.measure.difficulty import measure_difficulty

        for line in measure_difficulty(configuration, output, num_samples=num_samples, say=print):
            print(line)
