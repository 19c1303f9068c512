"""The command line: parsing and printing only.

    nearfuture train CONFIG.yaml [key=value ...]    nearfuture guide collect|show|verify|import|export
    nearfuture report RUN...                        nearfuture selftest
    nearfuture compare STUDY.yaml [key=value ...]
    nearfuture signal RUN [--anchor T --json FILE]  nearfuture advise LOG [--json FILE]

Exit codes: 0 done, 1 a run of a comparison failed, 2 bad configuration or data, 3 no learning signal, 4 disk,
130 interrupted with a checkpoint saved.

Not here: anything that a Python user could not call; heavy imports happen inside the commands.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from nearfuture.algo.trigger_config import TriggerConfig
from nearfuture.types import PolicyRef, UserError

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

INTERRUPTED = 130
TRIGGER = TriggerConfig()

app = typer.Typer(
    help="Near-Future Policy Optimization: a policy learns from its own near future, on TRL.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
guide_app = typer.Typer(help="Guidance caches: collect, show, verify, import, export.", no_args_is_help=True)
app.add_typer(guide_app, name="guide")

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


@app.command()
def train(
    config: ConfigPath,
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option(help="Print what would happen, and stop.")] = False,
    resume: Annotated[bool, typer.Option(help="Go on where the run in run_dir stopped.")] = False,
    clean: Annotated[bool, typer.Option(help="Delete the run in run_dir first.")] = False,
    quiet: Annotated[bool, typer.Option(help="Print errors and the result only.")] = False,
) -> None:
    """Train: GRPO, with the interventions the configuration asks for."""
    with told_to_user():
        from nearfuture.run.config import load_configuration

        configuration = load_configuration(config, overrides or [])
        hush()
        if dry_run:
            from nearfuture.run.dry import dry_run_report

            print(dry_run_report(configuration))
            return
        from nearfuture.run.start import train as run
        from nearfuture.train.processes import is_main

        outcome = run(configuration, resume=resume, clean=clean, quiet=quiet)
        if outcome == "interrupted":
            print(f"interrupted; a checkpoint is saved. Go on with: nearfuture train {config} ... --resume")
            raise typer.Exit(INTERRUPTED)
        if is_main():
            print(f"final policy: {configuration.run.run_dir / 'final'}")
            print(f"report:       nearfuture report {configuration.run.run_dir}")


@guide_app.command()
def collect(
    config: ConfigPath,
    guide: Annotated[str, typer.Option(help="The guide: a model folder or checkpoint in the Hugging Face layout.")],
    output: Annotated[Path, typer.Option(help="Folder of the cache.")],
    overrides: Overrides = None,
    num_kept: Annotated[int, typer.Option(help="Different trajectories a prompt keeps at most.", min=1)] = 1,
) -> None:
    """Collect verified guidance from a guide, for every training prompt of the configuration's task."""
    with told_to_user():
        from nearfuture.run.collect import collect_from
        from nearfuture.run.config import load_configuration

        configuration = load_configuration(config, [*(overrides or []), f"model={guide}"])
        hush()
        print_summary(collect_from(configuration, PolicyRef(0, 0, guide), output, num_kept=num_kept).summary())


@guide_app.command()
def show(cache: Annotated[Path, typer.Argument(help="Folder of the cache.")]) -> None:
    """Show what a cache holds."""
    with told_to_user():
        from nearfuture.guidance import GuidanceCache

        print_summary(GuidanceCache.open(cache).summary())


@guide_app.command()
def verify(
    cache: Annotated[Path, typer.Argument(help="Folder of the cache.")],
    config: Annotated[Path | None, typer.Option(help="Configuration with the task; default: the run's own.")] = None,
) -> None:
    """Verify a cache: its bytes, every entry's form, and every verdict again."""
    with told_to_user():
        from nearfuture.run.collect import verify_cache

        for line in verify_cache(cache, config):
            print(line)


@guide_app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(metavar="PATH", help="File of rows: .jsonl, .json or .parquet.")],
    row_format: Annotated[str, typer.Option("--format", help="easyvideor1, luffy, rlep or jsonl; docs/guidance.md.")],
    output: Annotated[Path, typer.Option(help="Folder of the cache.")],
    like: Annotated[Path | None, typer.Option(help="A cache that the new one is to fit.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration with task and tokenizer.")] = None,
) -> None:
    """Read trajectories of another framework into a cache: tokenised, verified, and what is left out is named."""
    with told_to_user():
        from nearfuture.run.interop import import_file

        hush()
        cache, report = import_file(source, row_format, output, like=like, config=config)
        for line in report.lines():
            print(line)
        print_summary(cache.summary())


@guide_app.command()
def export(
    cache: Annotated[Path, typer.Argument(help="Folder of the cache.")],
    row_format: Annotated[str, typer.Option("--format", help="easyvideor1, luffy, rlep or jsonl; docs/guidance.md.")],
    output: Annotated[Path, typer.Option(help="New file of rows: .jsonl, .json or .parquet.")],
    config: Annotated[Path | None, typer.Option(help="Configuration with the task; default: the run's own.")] = None,
) -> None:
    """Write a cache as the rows that another framework reads."""
    with told_to_user():
        from nearfuture.run.interop import export_file

        hush()
        for line in export_file(cache, row_format, output, config=config).lines():
            print(line)
        print(f"rows: {output}")


@app.command()
def compare(
    config: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="Methods and settings; see docs/compare.md.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="key=value", help="Override keys of `base`.")] = None,
    methods: Annotated[list[str] | None, typer.Option(help="Only these: a,b or repeated. Default: all.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Training seeds of each method. Default: num_seeds.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Runs at once. Default: one a GPU, or one a core.", min=1)] = None,
) -> None:
    """Train and compare methods over seeds: a grid of runs that can be interrupted, and the report on it."""
    with told_to_user():
        from nearfuture.run.study.config import load_study
        from nearfuture.run.study.grid import GridRunner
        from nearfuture.run.study.show import GridDisplay

        chosen = [name.strip() for value in methods or [] for name in value.split(",")]
        study = load_study(config, overrides or [], methods=chosen, num_seeds=seeds)
        hush()
        display = GridDisplay(GridRunner(study, jobs))
        try:
            has_failed = display.run()
        except KeyboardInterrupt:
            print("interrupted; every run has saved a checkpoint. The same command goes on.")
            raise typer.Exit(INTERRUPTED) from None
        show_report([study.run_dir], None)
        if has_failed:
            raise typer.Exit(1)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or the folder of a comparison.")],
    output: Annotated[Path | None, typer.Option(help="The page; default: report/index.html in the first run.")] = None,
) -> None:
    """Write one self-contained page about runs, or about the folder of a comparison, and print the summary."""
    with told_to_user():
        show_report(runs, output)


@app.command()
def signal(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or a TRL output folder with checkpoint-*.")],
    overrides: Overrides = None,
    anchor: Annotated[list[str] | None, typer.Option(help="Step(s) of the learner: 0,80 or repeated. 0: base.")] = None,
    distances: Annotated[list[str] | None, typer.Option(help="Steps ahead of it: 10,20,40 or repeated.")] = None,
    num_prompts: Annotated[int, typer.Option(help="Failed prompts wanted for each anchor.")] = 512,
    num_samples: Annotated[int, typer.Option(help="Samples a prompt, to choose failed ones and to measure.")] = 16,
    k: Annotated[int | None, typer.Option(help="Samples allowed for coverage. Default: guide_num_samples.")] = None,
    num_resamples: Annotated[int, typer.Option(help="Bootstrap resamples of the prompts.")] = 1000,
    num_gradients: Annotated[int, typer.Option(help="Gradients a distance to judge V by (small models); 0: off.")] = 64,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write everything measured to this file.")] = None,
    output: Annotated[Path | None, typer.Option(help="The page; default: report/signal.html in RUN.")] = None,
    config: Annotated[Path | None, typer.Option(help="Task, base model, sampling; default: the run's own.")] = None,
    task: Annotated[str | None, typer.Option(help="The task, for a folder that TRL wrote.")] = None,
) -> None:
    """Measure what near-future guides bring and cost on a finished run: Q, V and S = Q / V over distance."""
    with told_to_user():
        at = (steps("--anchor", anchor), steps("--distances", distances))
        from nearfuture.run.ledger import write_whole
        from nearfuture.run.measurement import Question
        from nearfuture.run.report.signal import signal_tables, write_signal_page
        from nearfuture.run.signal import measure_signal
        from nearfuture.train.processes import is_main

        hush()
        question = Question(*at, num_prompts, num_samples, k, num_resamples, num_gradients)
        result = measure_signal(run, question, config=config, task=task, overrides=overrides or [])
        if is_main():
            for table in signal_tables(result):
                Console().print(table)
            if json_file is not None:
                write_whole(json_file, json.dumps(result, indent=1))
            print(f"page: {write_signal_page(result, output or run / 'report' / 'signal.html')}")


def steps(option: str, values: list[str] | None) -> tuple[int, ...]:
    """Read steps given as `0,80` or one by one."""
    parts = [part.strip() for value in values or [] for part in value.split(",")]
    if wrong := [part for part in parts if not part.isdecimal()]:
        raise UserError(f"{option} {wrong[0]!r} is no step. Give whole numbers from 0 on, for example {option} 0,80.")
    return tuple(map(int, parts))


@app.command()
def explain(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    output: Annotated[Path | None, typer.Option(help="The page; default: report/explain.html in RUN.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the same facts to this file.")] = None,
) -> None:
    """Tell what the run decided, on what numbers, what it cost and what came of it: in words, and as a page."""
    with told_to_user():
        from nearfuture.run.explain import explain as story
        from nearfuture.run.explain import facts
        from nearfuture.run.ledger import write_whole
        from nearfuture.run.report.explanation import write_explanation

        Console().print(story(run))
        if json_file is not None:
            write_whole(json_file, json.dumps(facts(run), indent=1, allow_nan=False) + "\n")
        print(f"page: {write_explanation(run, output)}")


@app.command()
def advise(
    log: Annotated[
        Path,
        typer.Argument(
            metavar="LOG",
            help="Our or TRL's run folder, trainer_state.json, verl's or EasyR1's JSONL, CSV, TensorBoard files.",
        ),
    ],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write everything that was found here.")] = None,
    reward: Annotated[str | None, typer.Option(help="Column of the reward or pass rate; default: known names.")] = None,
    entropy: Annotated[str | None, typer.Option(help="Column of the entropy; default: known names.")] = None,
    step: Annotated[str | None, typer.Option(help="Column of the step; default: known names.")] = None,
    window: Annotated[int, typer.Option(help="Steps that are compared.")] = TRIGGER.window,
    max_reward_t: Annotated[
        float, typer.Option(help="Largest rise, in standard errors, that is none.")
    ] = TRIGGER.max_reward_t,
    max_entropy_t: Annotated[
        float, typer.Option(help="Largest slope of a falling entropy, in standard errors.")
    ] = TRIGGER.max_entropy_t,
    min_entropy_drop: Annotated[
        float, typer.Option(help="Share that the entropy must lose over the window.")
    ] = TRIGGER.min_entropy_drop,
    patience: Annotated[int, typer.Option(help="Steps both must hold.")] = TRIGGER.patience,
    warmup: Annotated[int, typer.Option(help="No firing before this step.")] = TRIGGER.warmup,
    cooldown: Annotated[int, typer.Option(help="Steps without firing after a firing.")] = TRIGGER.cooldown,
) -> None:
    """Say where AutoNPO would have stopped to think, from a log alone: no GPU, no model."""
    with told_to_user():
        from nearfuture.run.advise import advice_text
        from nearfuture.run.advise import advise as replay
        from nearfuture.run.logs import Columns, read_log

        config = TriggerConfig(
            window=window,
            max_reward_t=max_reward_t,
            max_entropy_t=max_entropy_t,
            min_entropy_drop=min_entropy_drop,
            patience=patience,
            warmup=warmup,
            cooldown=cooldown,
        )
        advice = replay(read_log(log, Columns(step=step, reward=reward, entropy=entropy)), config)
        if json_file is not None:
            json_file.write_text(json.dumps(advice, indent=1) + "\n")
        print(advice_text(advice))


@app.command()
def selftest(
    steps: Annotated[int, typer.Option(help="Optimizer steps of each comparison.", min=2)] = 6,
) -> None:
    """Prove on this machine that GRPO, resume and rollback are exact, and print what was compared."""
    with told_to_user():
        from nearfuture.run.selftest import run_selftest

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


def show_report(runs: list[Path], output: Path | None) -> None:
    """Write the page about runs or a study, and print its summary."""
    from nearfuture.run.report import report_text, write_report

    page = write_report(runs, output or runs[0] / "report" / "index.html")
    Console().print(report_text(runs))
    print(f"report: {page}")


def print_summary(summary: dict[str, Any]) -> None:
    """Print keys and values as a table."""
    table = Table(show_header=False)
    for key, value in summary.items():
        table.add_row(key, f"{value:.4g}" if isinstance(value, float) else str(value))
    Console().print(table)


def main() -> None:
    """Entry point of the `nearfuture` command."""
    app()
