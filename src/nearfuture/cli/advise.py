"""`nearfuture explain` and `nearfuture advise`: what a run decided, and what AutoNPO would have decided on a log.

Not here: how the answers are found (`nearfuture.lab.measure`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfuture.cli.base import app, example, print_whole, require_outputs, told_to_user
from nearfuture.method.trigger_config import TriggerConfig

TRIGGER = TriggerConfig()


@app.command(epilog=example("explain runs/tiny"))
def explain(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    output: Annotated[Path | None, typer.Option(help="Page to write. Default: RUN/report/explain.html.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the same facts to this file.")] = None,
) -> None:
    """Explain what a run decided, based on which numbers, at what cost and with what result, in words and as a page."""
    with told_to_user():
        require_outputs(output, json_file)
        from nearfuture.lab.report.explain_page import explanation_facts, explanation_text, write_explanation
        from nearfuture.record.writing import write_json

        print_whole(explanation_text(run))
        if json_file is not None:
            write_json(json_file, explanation_facts(run))
        print(f"page: {write_explanation(run, output)}")


@app.command(epilog=example("advise runs/tiny", "advise outputs/trainer_state.json --json advice.json"))
def advise(
    log: Annotated[
        Path,
        typer.Argument(
            metavar="LOG",
            help="A run folder (ours or TRL's), trainer_state.json, JSON lines (verl, EasyR1, ms-swift), a console "
            "log (verl, TRL, or lines such as step=5 reward=0.3), CSV (W&B), or TensorBoard files.",
        ),
    ],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all findings to this file.")] = None,
    reward: Annotated[str | None, typer.Option(help="Column of the reward or pass rate. Default: known names.")] = None,
    entropy: Annotated[str | None, typer.Option(help="Column of the entropy. Default: known names.")] = None,
    step: Annotated[str | None, typer.Option(help="Column of the step. Default: known names.")] = None,
    run: Annotated[str | None, typer.Option(help="Number or name of the run, if the log holds several.")] = None,
    logging_steps: Annotated[
        int | None, typer.Option(min=1, help="Steps per row, for a console log that prints no steps.")
    ] = None,
    min_evidence: Annotated[
        float, typer.Option(help="Least evidence (nats) that the reward has stopped rising.")
    ] = TRIGGER.min_evidence,
    max_entropy_evidence: Annotated[
        float, typer.Option(help="Most evidence (nats) that the entropy has stopped falling.")
    ] = TRIGGER.max_entropy_evidence,
    min_entropy_drop: Annotated[
        float, typer.Option(help="Smallest relative fall of the entropy while the reward stood still.")
    ] = TRIGGER.min_entropy_drop,
    min_pace: Annotated[
        float, typer.Option(help="What a rise gains per e-fold of steps, in widths of a row's noise.")
    ] = TRIGGER.min_pace,
    slowdown: Annotated[
        float, typer.Option(help="Share of its pace at which a rise still goes on.")
    ] = TRIGGER.slowdown,
    look_back: Annotated[float, typer.Option(help="Share of the run that is examined.")] = TRIGGER.look_back,
    min_stretch: Annotated[
        int, typer.Option(help="Steps of the shortest stretch without a rise.")
    ] = TRIGGER.min_stretch,
    patience: Annotated[int, typer.Option(help="Consecutive steps for which both must hold.")] = TRIGGER.patience,
    warmup: Annotated[int, typer.Option(help="No firing before this step.")] = TRIGGER.warmup,
    cooldown: Annotated[int, typer.Option(help="Steps after a firing before the next one.")] = TRIGGER.cooldown,
) -> None:
    """Show where AutoNPO's trigger would have fired, from a log alone: no GPU, no model."""
    with told_to_user():
        require_outputs(json_file)
        from nearfuture.lab.measure.advise import advice_text
        from nearfuture.lab.measure.advise import advise as replay
        from nearfuture.record.logs import Columns, read_log
        from nearfuture.record.writing import write_json

        config = TriggerConfig(
            min_evidence=min_evidence,
            max_entropy_evidence=max_entropy_evidence,
            min_entropy_drop=min_entropy_drop,
            min_pace=min_pace,
            slowdown=slowdown,
            look_back=look_back,
            min_stretch=min_stretch,
            patience=patience,
            warmup=warmup,
            cooldown=cooldown,
        )
        columns = Columns(step=step, reward=reward, entropy=entropy)
        advice = replay(read_log(log, columns, run=run, logging_steps=logging_steps), config)
        if json_file is not None:
            write_json(json_file, advice)
        print(advice_text(advice))
