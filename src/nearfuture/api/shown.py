"""What is known about a run, as values that display themselves: as text in a terminal, as the page in a notebook.

    page = nearfuture.report("runs/grpo", "runs/npo")     # a Page: page.path, print(page)
    nearfuture.explain("runs/npo")                        # likewise
    nearfuture.advise("trainer_state.json")["fired"]      # a dict; print() shows the words
    nearfuture.signal("runs/npo").page                    # a dict that also has a page

Not here: the measurements (`nearfuture.lab.measure`), the pages (`nearfuture.lab.report`).
"""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from nearfuture.lab.measure.scope import Scope
from nearfuture.method.trigger_config import TriggerConfig
from nearfuture.record.logs import Columns, read_log
from nearfuture.types import UserError

WIDTH = 110
HEIGHT = 620
"""The width of a summary in columns, and the height of a page in a notebook in pixels."""


@dataclass(frozen=True)
class Page:
    """A page that was written: `path` is the file, `str()` gives its summary, a notebook shows the page itself."""

    path: Path
    text: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Page({str(self.path)!r})"

    def _repr_html_(self) -> str:
        page = html.escape(self.path.read_text(), quote=True)
        return f'<iframe srcdoc="{page}" style="width: 100%; height: {HEIGHT}px; border: 0"></iframe>'


class Advice(dict[str, Any]):
    """What `nearfuture advise --json` writes; `str()` gives what the command prints."""

    def __str__(self) -> str:
        from nearfuture.lab.measure.advise import advice_text

        return advice_text(self)


class Signal(dict[str, Any]):
    """What `nearfuture signal --json` writes; `str()` gives what the command prints, `page` is the page."""

    page: Page

    def __str__(self) -> str:
        return self.page.text

    def _repr_html_(self) -> str:
        return self.page._repr_html_()


def report(*runs: Any, output: Path | str | None = None) -> Page:
    """Write one page about runs, or about the folder of a comparison.

    Args:
        runs: run folders, or `Run`s.
        output: the page; by default in the folder `report` of the first run.

    Raises:
        UserError: no run is given, a folder is not a run, or it has no metrics yet.
    """
    from nearfuture.lab.report import report_text, write_report
    from nearfuture.lab.report.report_page import page_of

    if not runs:
        raise UserError("report() was given no run. Give a run folder, several, or the folder of a comparison.")
    folders = [folder_of(run) for run in runs]
    path = page_of(folders) if output is None else Path(output)
    return Page(write_report(folders, path), as_text(report_text(folders)))


def explain(run: Any, *, output: Path | str | None = None) -> Page:
    """Write the page about what a run decided, based on which numbers and at what cost.

    Args:
        run: a run folder, or a `Run`.
        output: the page; `report/explain.html` in the run by default.

    Raises:
        UserError: the folder is not a run, or it has no metrics yet.
    """
    from nearfuture.lab.report.explain_page import explanation_text, write_explanation

    folder = folder_of(run)
    path = write_explanation(folder, None if output is None else Path(output))
    return Page(path, as_text(explanation_text(folder)))


def advise(
    log: Any,
    trigger: TriggerConfig | None = None,
    *,
    columns: Columns | None = None,
    run: str | None = None,
    logging_steps: int | None = None,
) -> Advice:
    """Find where AutoNPO's trigger would have fired, from a log alone: no GPU, no model.

    Args:
        log: a run folder or a `Run`, TRL's output folder, or any log that `nearfuture advise` reads.
        trigger: settings of the trigger; None: the defaults.
        columns: names of the columns with step, reward and entropy; None: known names.
        run: number or name of the run, if the log holds several.
        logging_steps: steps per row, for a console log that prints no steps.

    Raises:
        UserError: the log cannot be read, or holds several runs and `run` is not given.
    """
    from nearfuture.lab.measure.advise import advise as replay

    found = read_log(folder_of(log), columns or Columns(), run=run, logging_steps=logging_steps)
    return Advice(replay(found, trigger))


def signal(
    run: Any,
    scope: Scope | None = None,
    *,
    output: Path | str | None = None,
    overrides: Sequence[str] = (),
    task: str | None = None,
) -> Signal:
    """Measure what near-future guides bring and cost on a finished run: Q, V and S = Q / V over distance.

    Args:
        run: a run folder or a `Run`, or TRL's output folder with `checkpoint-*`.
        scope: which anchors and distances, how many prompts and samples; None: the defaults.
        output: the page; `report/signal.html` in the run by default.
        overrides: `key=value` settings of the configuration.
        task: the task, for a folder that TRL wrote.

    Raises:
        UserError: there is no run, there are too few checkpoints or failed prompts, or a step has no checkpoint.
    """
    from nearfuture.lab.measure.run_signal import measure_signal
    from nearfuture.lab.report.signal_page import signal_text, write_signal_page

    folder = folder_of(run)
    result = Signal(measure_signal(folder, scope or Scope(), task=task, overrides=overrides))
    path = Path(output) if output is not None else folder / "report" / "signal.html"
    result.page = Page(write_signal_page(result, path), as_text(signal_text(result)))
    return result


def folder_of(run: Any) -> Path:
    """Return the folder of a `Run`; a path is returned unchanged."""
    return Path(getattr(run, "folder", run))


def as_text(shown: RenderableType) -> str:
    """Return what a terminal would show, as plain text."""
    file = io.StringIO()
    Console(file=file, width=WIDTH).print(shown)
    return file.getvalue().rstrip("\n")
