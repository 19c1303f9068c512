"""The policies of a finished run by step, one at a time in one trainer; step 0 is the base weights.

Not here: what is measured with them (`nearfuture.lab.measure.run_signal`), a run that is being trained (`executor`).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from datasets import Dataset
from safetensors import safe_open

from nearfuture.method.lineage import Lineage
from nearfuture.refusals import is_a_librarys
from nearfuture.run import build
from nearfuture.run.settings.config import Configuration
from nearfuture.tasks import Task
from nearfuture.train import NPOTrainer, TRLEngine, checkpoint, sharding
from nearfuture.train.factory import release
from nearfuture.types import PolicyRef, UserError

logger = logging.getLogger(__name__)

WEIGHTS = ("model*.safetensors", "pytorch_model*.bin", "adapter_model*")


def find_checkpoints(run: Path) -> dict[int, Path]:
    """Return the checkpoints of a run by ascending step: those on the head's path, or those of a TRL output folder.

    Raises:
        UserError: the folder does not exist, or holds neither a lineage nor checkpoints.
    """
    if (run / "lineage.json").exists():
        saved = saved_policies(run, Lineage.read(run / "lineage.json"))
        return {policy.step: run / policy.path for policy in saved if _is_there(run / policy.path)}
    if not run.is_dir():
        raise UserError(f"{run} does not exist. Name a run folder, or a TRL output folder with checkpoint-* in it.")
    named = {path.name.removeprefix(checkpoint.PREFIX): path for path in run.glob(f"{checkpoint.PREFIX}*")}
    found = {int(step): path for step, path in named.items() if step.isdecimal() and _has_weights(path)}
    if not found:
        raise UserError(
            f"{run} is not a run: it has no lineage.json (a run of nearfuture) and no {checkpoint.PREFIX}* with "
            f"weights in the Hugging Face layout (a TRL output folder; {len(named)} without weights). Name another "
            "folder."
        )
    return dict(sorted(found.items()))


def saved_policies(run: Path, lineage: Lineage) -> list[PolicyRef]:
    """Return the completed checkpoints on the path to the head, in ascending order, damaged or not."""
    found = {}
    for segment, last in lineage.path():
        for step in checkpoint.saved_steps(run / segment.folder):
            if segment.start_step < step and (last is None or step <= last):
                found[step] = PolicyRef(segment.id, step, segment.checkpoint(step))
    return [found[step] for step in sorted(found)]


def _is_there(folder: Path) -> bool:
    """True for a checkpoint whose files all have the right sizes; a warning names any other."""
    try:
        checkpoint.read_state(folder)
    except UserError as error:
        logger.warning("%s It is left out.", error)
        return False
    return True


def _has_weights(folder: Path) -> bool:
    return any(any(folder.glob(pattern)) for pattern in WEIGHTS)


class Policies:
    """Loads one policy after another, and releases the previous one."""

    def __init__(
        self, config: Configuration, task: Task, rows: Dataset, checkpoints: dict[int, Path], scratch: Path
    ) -> None:
        self._built_from = (config, task, rows, scratch)
        self._checkpoints = checkpoints
        self._trainer: NPOTrainer | None = None
        self._step = 0

    def load(self, step: int) -> TRLEngine:
        """Return the policy of a step as an engine; the engine returned before must no longer be used.

        The base weights come with a new trainer, so that they are the same whatever was loaded before (a checkpoint
        may hold only adapters); every other step is loaded into the existing trainer.
        """
        if self._trainer is None or (step == 0 and self._step != 0):
            self.release()
            self._trainer = build.build_trainer(*self._built_from)
            sharding.place(self._trainer)
            self._step = 0
        if step != self._step:
            folder = self._checkpoints[step]
            checkpoint.require_whole(folder)
            try:
                self._refuse_other_model(folder, self._trainer)
                self._trainer._load_from_checkpoint(str(folder))
            except UserError:
                raise
            except Exception as error:
                if not is_a_librarys(error):
                    raise
                raise UserError(
                    f"{folder} cannot be loaded into the base model: {error}. Give the configuration the run was "
                    "trained with (model and, for adapters, its LoRA settings)."
                ) from None
            self._step = step
            if self._trainer.use_vllm:
                self._trainer._last_loaded_step = -1  # vLLM holds the weights of the previous policy
        return TRLEngine(self._trainer)

    @staticmethod
    def _refuse_other_model(folder: Path, trainer: NPOTrainer) -> None:
        """Refuse weights that fit nowhere: transformers only warns about them, and the base would be measured."""
        names: set[str] = set()
        for path in folder.glob("model*.safetensors"):
            with safe_open(path, framework="numpy") as file:
                names |= set(file.keys())
        if names and not names & set(trainer.model.state_dict()):
            raise UserError(
                f"{folder} holds {len(names)} tensors, none of which are in the base model (for example "
                f"{min(names)!r}). Give the configuration the run was trained with."
            )

    def release(self) -> None:
        """Release the trainer's memory."""
        if self._trainer is not None:
            release(self._trainer)
            self._trainer = None

    def __enter__(self) -> Policies:
        return self

    def __exit__(self, *_: Any) -> None:
        self.release()
