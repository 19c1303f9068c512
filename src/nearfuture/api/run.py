"""`Run`: a run with interventions, or one that decides by itself, from Python.

    run = Run("grpo.yaml", scout_steps=40)                    # a configuration, with some keys replaced
    run = Run(task=sums, model=..., run_dir="runs/a", max_steps=400, autonpo={"mode": "act"})
    run = Run("runs/a")                                       # an existing run

It does what `nearfuture train` does: the same keys, the same folder, the same bits.

Not here: what a run is (`nearfuture.run`), the pages about it (`shown`).
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfuture.api import shown
from nearfuture.lab.measure.scope import Scope
from nearfuture.record.ledger import build_ledger
from nearfuture.record.records import EVALUATION, RunRecords
from nearfuture.tasks import Task
from nearfuture.tasks.task import in_python
from nearfuture.types import UserError

if TYPE_CHECKING:
    import pandas as pd

    from nearfuture.run.executor import Outcome
    from nearfuture.run.settings.config import Configuration


class Run:
    """A run: its configuration and, once it has begun, the contents of its folder.

    Args:
        config: path of a YAML configuration, a mapping of its keys, or the folder of a run; None: only `settings`.
        task: name of a task, a `Task`, or a function that returns one.
        settings: keys of the configuration (docs/configuration.md), which replace those of `config`; keys that begin
            with `autonpo.` are given as a mapping: `autonpo={"mode": "act"}`.

    Raises:
        UserError: a key is unknown, a value does not fit, or settings cannot be combined.
    """

    def __init__(
        self,
        config: str | Path | Mapping[str, Any] | None = None,
        *,
        task: str | Task | Callable[..., Task] | None = None,
        **settings: Any,
    ) -> None:
        from nearfuture.run.settings.load import check, read_yaml

        if config is None or isinstance(config, Mapping):
            values = dict(config or {})
        else:
            path = Path(config)
            values = read_yaml(path / "config.yaml" if (path / "lineage.json").exists() else path)
        if task is not None:
            values["task"] = task if isinstance(task, str) else in_python(_made(task, settings.pop("task_args", {})))
        self.configuration: Configuration = check(_flat(values) | _flat(settings))

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.configuration.run.run_dir

    @property
    def final(self) -> Path:
        """The final policy, in the Hugging Face layout; it exists once the run has finished."""
        return self.folder / "final"

    def plan(self) -> str:
        """Say what would happen: the resolved settings, the segments, the disk space."""
        from nearfuture.lab.forecast.dry import dry_run_report

        return dry_run_report(self.configuration)

    def train(
        self, *, resume: bool = False, clean: bool = False, quiet: bool = False, one_stage: bool = False
    ) -> Outcome:
        """Train to the horizon, interventions included.

        Args:
            resume: continue where the run stopped, however it stopped.
            clean: delete the contents of the folder first.
            quiet: print errors only.
            one_stage: stop after the current stage; `resume` begins the next.

        Returns:
            `finished`, `paused` (a stage is done, more will follow), or `interrupted` (a checkpoint is saved).

        Raises:
            UserError: the folder holds a run and neither `resume` nor `clean` is given, or the data is bad.
            NoSignalError: there is nothing to learn from.
        """
        from nearfuture.run.start import train
        from nearfuture.train.hush import hush_libraries

        hush_libraries()
        return train(self.configuration, resume=resume, clean=clean, quiet=quiet, one_stage=one_stage)

    @property
    def records(self) -> RunRecords:
        """All records in the folder, read anew each time, so this also works while the run goes on."""
        return RunRecords.load(self.folder)

    @property
    def metrics(self) -> pd.DataFrame:
        """One row per segment and step, abandoned ones included (`kept` marks the others); see docs/metrics.md."""
        import pandas as pd

        records = self.records
        rows = [{**row, "kept": records.is_kept(*at)} for at, row in sorted(records.rows.items())]
        return pd.DataFrame(rows)

    @property
    def held_out(self) -> dict[int, float]:
        """Held-out pass rate by step, along the path that the policy descends from."""
        curve = self.records.curve(EVALUATION)
        return dict(zip(curve.steps.tolist(), curve.values.tolist(), strict=True))

    @property
    def ledger(self) -> dict[str, Any]:
        """What the run has paid, per segment and in total: steps, tokens, seconds."""
        return build_ledger(self.records)

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """What happened, in order; with a name, only events of that name: `triggered`, `collected`, `rollback`, ..."""
        return [dict(event) for event in self.records.events if name is None or event["event"] == name]

    def report(self, *others: Run | Path | str, output: Path | str | None = None) -> shown.Page:
        """Write the page about this run, together with others if given."""
        return shown.report(self, *others, output=output)

    def explain(self) -> shown.Page:
        """Write the page about the run's decisions."""
        return shown.explain(self)

    def advise(self) -> shown.Advice:
        """Find where AutoNPO's trigger would have fired on this run."""
        return shown.advise(self)

    def signal(self, scope: Scope | None = None) -> shown.Signal:
        """Measure Q, V and S = Q / V over distance on the checkpoints of this run."""
        return shown.signal(self, scope)

    def _state(self) -> dict[str, str]:
        """Describe the run in a few words."""
        if not (self.folder / "lineage.json").exists():
            return {"state": "not begun", "horizon": f"{self.configuration.max_steps} steps"}
        try:
            records = self.records
        except UserError:
            return {"state": "begun, no step yet", "horizon": f"{self.configuration.max_steps} steps"}
        step = records.last_step(records.head)
        state = {
            "state": "finished" if records.is_finished else "not finished",
            "step": f"{step} of {self.configuration.max_steps}",
            "paid for": f"{records.total_steps_at(records.head, step)} steps",
        }
        if held_out := self.held_out:
            state["held out"] = f"{held_out[max(held_out)]:.3f} at step {max(held_out)}"
        return state

    def __repr__(self) -> str:
        said = ", ".join(f"{name} {value}" if name != "state" else value for name, value in self._state().items())
        return f"Run({str(self.folder)!r}): {said}"

    def _repr_html_(self) -> str:
        rows = {"run": str(self.folder), **self._state()}
        cells = "".join(f"<tr><th>{name}</th><td>{html.escape(value)}</td></tr>" for name, value in rows.items())
        return f"<table>{cells}</table>"


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten AutoNPO's section into keys with a dot; paths become text, as in YAML."""
    from nearfuture.run.settings.keys import with_flat_autonpo

    flat = with_flat_autonpo(settings)
    return {key: str(value) if isinstance(value, Path) else value for key, value in flat.items()}


def _made(task: Task | Callable[..., Task], task_args: Mapping[str, Any]) -> Task:
    """Return the task itself, or what its function returns."""
    if isinstance(task, Task) and task_args:
        raise UserError(f"task_args={dict(task_args)}: the task is made already. Give the function that makes it.")
    made = task if isinstance(task, Task) else task(**task_args)
    if not isinstance(made, Task):
        raise UserError(f"task returned {type(made).__name__}. It must be a Task, or a function that returns one.")
    return made
