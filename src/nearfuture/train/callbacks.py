"""What happens at the end of a step while a segment is trained: save, evaluate, write a row, stop as planned.

TRL re-creates its callbacks' state on resume, so none of these holds state that a run needs.

Not here: the plan (`nearfuture.run.settings.plan`), where rows go (the functions that are passed in).
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from types import FrameType
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from nearfuture.train import processes
from nearfuture.types import NoSignalError, UserError


class StopAt(TrainerCallback):
    """Save at `save_at`, and save and stop at `until`."""

    def __init__(self, until: int, save_at: Collection[int] = ()) -> None:
        self.until, self.save_at = until, save_at

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Save as often as the settings say; transformers would follow the checkpoint that it resumes from."""
        state.compute_steps(args, args.max_steps)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ask to save and stop when it is time."""
        if state.global_step in self.save_at or state.global_step >= self.until:
            control.should_save = True
        if state.global_step >= self.until:
            control.should_training_stop = True


class OnInterrupt(TrainerCallback):
    """After SIGINT or SIGTERM: end the step, save, stop. `is_interrupted` says whether that happened."""

    def __init__(self) -> None:
        self.is_interrupted = False
        self._received = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take over the signals (in the main thread) for a while; a second one ends the process at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = True
        signal.signal(number, signal.SIG_DFL)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ask to save and stop after a signal; it is enough that one process got it, since all must save together."""
        if processes.count(self._received):
            self.is_interrupted = True
            control.should_save = control.should_training_stop = True


class OnBegin(TrainerCallback):
    """Call `function()` when training begins, from the base weights or from a checkpoint: all has been loaded."""

    def __init__(self, function: Callable[[], None]) -> None:
        self.function = function

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Call the function."""
        self.function()


class AtStart(TrainerCallback):
    """Call `function(0)` before the first step from the base weights, once training has put these on its devices."""

    def __init__(self, function: Callable[[int], None]) -> None:
        self.function = function

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Call the function, unless the training continues from a checkpoint."""
        if state.global_step == 0:
            self.function(0)


class AtStep(TrainerCallback):
    """Call `function(step)` at every step for which `is_due(step)`."""

    def __init__(self, is_due: Callable[[int], bool], function: Callable[[int], None]) -> None:
        self.is_due, self.function = is_due, function

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Call the function if it is due."""
        if self.is_due(state.global_step):
            self.function(state.global_step)


class EachStep(TrainerCallback):
    """Base class of callbacks that look at the metrics of each optimizer step."""

    def see(self, step: int, logs: dict[str, Any], control: TrainerControl) -> None:
        """Look at the metrics of a step."""
        raise AssertionError("a subclass looks")

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Pass on rows that belong to a step (the summary at the end of training does not)."""
        if logs is not None and "loss" in logs:
            self.see(state.global_step, logs, control)


class OnLog(EachStep):
    """Call `function(step, logs)` with the metrics of each optimizer step."""

    def __init__(self, function: Callable[[int, dict[str, Any]], None]) -> None:
        self.function = function

    def see(self, step: int, logs: dict[str, Any], control: TrainerControl) -> None:
        """Call the function."""
        self.function(step, logs)


class StopWhen(EachStep):
    """Save and stop after a step for which `function(step, logs)` is true, on every process.

    Raises:
        UserError: it is true on only some of them (raised on all).
    """

    def __init__(self, function: Callable[[int, dict[str, Any]], bool]) -> None:
        self.function = function

    def see(self, step: int, logs: dict[str, Any], control: TrainerControl) -> None:
        """Ask the function on all processes."""
        num_votes = processes.count(self.function(step, logs))
        if 0 < num_votes < processes.number():
            raise UserError(
                f"step {step}: {num_votes} of {processes.number()} processes would stop here and the others continue. "
                "The decision must be the same on all: look for code that depends on the process in a task or callback."
            )
        if num_votes:
            control.should_save = control.should_training_stop = True


class NeedSignal(EachStep):
    """Stop a run that learns nothing: in `patience` consecutive steps, the rewards within every group were all equal.

    A step that generates nothing trains on the rollouts of the previous one, and counts as silent if that one was.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.num_silent = 0
        self._batch: dict[str, Any] = {}

    def see(self, step: int, logs: dict[str, Any], control: TrainerControl) -> None:
        """Count silent steps."""
        self._batch = logs if "frac_reward_zero_std" in logs else self._batch
        if not self.patience or not self._batch:
            return
        self.num_silent = self.num_silent + 1 if self._batch["frac_reward_zero_std"] == 1.0 else 0
        if self.num_silent >= self.patience:
            wrong, right = self._batch["npo/all_wrong_frac"], self._batch["npo/all_right_frac"]
            raise NoSignalError(
                f"step {step}: no group had a gradient for {self.num_silent} steps in a row (all wrong {wrong:.0%}, "
                f"all right {right:.0%} of the last batch). Easier prompts, a better base model or guidance give "
                "signal; no_signal_patience=0 continues anyway."
            )
