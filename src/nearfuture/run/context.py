"""What everything that carries out a run works with: its configuration, its task and rows, its folder, its display.

Not here: what is done with them (`nearfuture.run.executor`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from nearfuture.record.folder import RunFolder
from nearfuture.run import build
from nearfuture.run.settings.config import Configuration
from nearfuture.run.show import Display
from nearfuture.tasks import Task
from nearfuture.train import NPOTrainer, processes


@dataclass(frozen=True)
class RunContext:
    """One run at work; `train_rows` are its training rows with their ids."""

    config: Configuration
    task: Task
    display: Display
    folder: RunFolder
    train_rows: Dataset

    @classmethod
    def of(cls, config: Configuration, task: Task, display: Display) -> RunContext:
        """The context of a run in its folder, which the main process writes."""
        folder = RunFolder(config.run.run_dir, is_main=processes.is_main())
        return cls(config, task, display, folder, build.training_rows(task))

    def trainer(self, output_dir: Path, config: Configuration | None = None, **kwargs: Any) -> NPOTrainer:
        """A fresh trainer with the base weights; `kwargs` as in `nearfuture.train.factory.make_trainer`."""
        return build.build_trainer(config or self.config, self.task, self.train_rows, output_dir, **kwargs)
