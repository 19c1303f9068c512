"""Begin a run at a checkpoint of another one, with the other's past up to there and its own settings from there on.

    lineage, rows, events, samples     those of the other run up to the checkpoint; `origin.forked_from` names both
    checkpoints, guidance, traces      those on the path to it, as hard links (as copies if links are not possible)

Step numbers, schedules and the order of prompts continue where they were, so a fork with the settings of its parent
is the parent's own continuation, bit for bit. Changed settings have these effects (docs/configuration.md):

    batch, data, seed      the position in the data follows from the step; only between two generation cycles
    seed                   random states start over from the new seed
    optimizer's numbers    replace those in the checkpoint; its moments stay
    model, adapters, optim refused, since the weights or moments would not fit

Not here: resuming the run itself (`start`), reading a checkpoint (`nearfuture.train.exact`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfuture.method.lineage import Lineage
from nearfuture.record import flat_yaml
from nearfuture.record.folder import RunFolder
from nearfuture.record.reading import Row, read_object, read_rows
from nearfuture.record.records import LOGS
from nearfuture.run.changes import WATCHING, changed
from nearfuture.run.origin import PLACES
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.keys import with_present_names
from nearfuture.run.settings.plan import Train, next_stage, stages_ahead
from nearfuture.train import checkpoint
from nearfuture.types import Intervention, PolicyRef, UserError

SEED = frozenset(("seed",))
_POSITION = """
    data_seed shuffle_dataset per_device_train_batch_size gradient_accumulation_steps steps_per_generation
    generation_batch_size num_iterations num_generations task task_args dataset_name dataset_config
    dataset_train_split dataset_test_split dataset_num_held_out dataset_columns dataset_min_difficulty
    dataset_max_difficulty max_prompt_length max_image_pixels
"""
POSITION = SEED | frozenset(_POSITION.split())
"""Keys that decide which prompts belong to which step."""
_FITTING = """
    model use_peft optim optim_args dtype model_revision freeze_vision_tower load_in_4bit
"""
FITTING = frozenset(_FITTING.split())
"""Keys that must not change, or weights or moments of a checkpoint would not fit; also every `lora_*`."""


@dataclass(frozen=True)
class Fork:
    """A checkpoint of a run at which another run begins.

    Attributes:
        run: folder of the other run.
        lineage: the new run's lineage: the other's up to the checkpoint, with a head that continues from there.
        policy: the checkpoint.
    """

    run: Path
    lineage: Lineage
    policy: PolicyRef

    @classmethod
    def named(cls, name: str) -> Fork:
        """Find `RUN@STEP`, on the path to the run's head or else on the tail that was abandoned last.

        Raises:
            UserError: there is no such run or checkpoint.
        """
        stem, at, step = name.rpartition("@")
        if not at or not step.isdecimal():
            raise UserError(f"--from {name} is not RUN@STEP. Name a run folder and one of its steps: runs/npo@200.")
        run, number = Path(stem), int(step)
        lineage = Lineage.read(run / "lineage.json")
        saved = {segment.id: checkpoint.saved_steps(run / segment.folder) for segment in lineage.segments}
        on_path = {s.id for s, last in lineage.path() if s.start_step < number and (last is None or number <= last)}
        found = [id_ for id_, steps in saved.items() if number in steps]
        if not found:
            steps = ", ".join(map(str, sorted({one for steps in saved.values() for one in steps}))) or "none yet"
            raise UserError(f"{run} has no checkpoint at step {number}. There are: {steps}.")
        segment = lineage.segments[max(found, key=lambda id_: (id_ in on_path, id_))]
        cut = lineage.cut(segment.id, number)
        return cls(run, cut, PolicyRef(segment.id, number, segment.checkpoint(number)))

    def facts(self) -> dict[str, Any]:
        """The facts that the new lineage remembers."""
        return {"run": str(self.run.absolute()), "segment": self.policy.segment, "step": self.policy.step}

    def check(self, config: Configuration) -> dict[str, tuple[Any, Any]]:
        """Return what the new run changes in the other's settings.

        Raises:
            UserError: a change does not fit the checkpoint, or an intervention would be before it.
        """
        if config.run.run_dir.resolve() == self.run.resolve():
            raise UserError(
                f"--from {self.run}@{self.policy.step}: a fork needs a run_dir of its own. Set another one."
            )
        before = with_present_names(read_object(self.run / "config.yaml"), is_told=False)
        now = flat_yaml.load(flat_yaml.dump(config.as_dict()))
        changes = {key: found for key, found in changed(before, now, PLACES).items() if key not in WATCHING}
        name = f"{self.run}@{self.policy.step}"
        if misfits := [key for key in changes if key in FITTING or key.startswith("lora_")]:
            listed = ", ".join(f"{key}: {changes[key][0]} -> {changes[key][1]}" for key in misfits)
            raise UserError(
                f"--from {name}: weights or optimizer of that checkpoint do not fit ({listed}). Keep these, or begin a "
                f"new run from its weights (model={self.run / self.policy.path})."
            )
        self._check_stages(config, name)
        if changes.keys() & POSITION and checkpoint.read_state(self.run / self.policy.path)["has_buffer"]:
            raise UserError(
                f"--from {name}: the checkpoint lies inside a generation cycle, whose rollouts belong to the other "
                f"run's {', '.join(sorted(changes.keys() & POSITION))}. Keep these, or fork at the end of a cycle."
            )
        return changes

    def _check_stages(self, config: Configuration, name: str) -> None:
        """Refuse an intervention that would have been before the checkpoint, or that lacks its own."""
        step, stage = self.policy.step, next_stage(self.lineage, config)
        if config.max_steps <= step:
            raise UserError(f"max_steps={config.max_steps}: --from {name} begins at step {step} already. Raise it.")
        if isinstance(stage, Intervention) or (isinstance(stage, Train) and stage.until < step):
            what = "resample_steps" if isinstance(stage, Intervention) else f"step {stage.until} ({stage.reason})"
            raise UserError(
                f"--from {name}: the configuration has an intervention at {what}, before the fork. Leave scout_steps, "
                "guide_step and resample_steps unset, or set a guide_step after it."
            )
        ahead = [stage.start_step for _, stage in stages_ahead(config, self.lineage) if isinstance(stage, Intervention)]
        for start in ahead:
            back = self.lineage.ref(start) if start < step else None
            if back is not None and not (self.run / back.path).is_dir():
                raise UserError(
                    f"rollback_to={start}: {self.run} keeps no checkpoint of that step. Choose another one."
                )

    def write(self, folder: RunFolder, changes: Mapping[str, Any]) -> None:
        """Write everything except the lineage into the folder of the new run."""
        checkpoint.verified(self.run / self.policy.path)
        for path in self._needed():
            if (self.run / path).is_dir():
                _link(self.run / path, folder.path / path)
        self._adjust(folder.path / self.policy.path, changes)
        for name, required in LOGS.items():
            rows = read_rows(self.run / f"{name}.jsonl", required).rows
            for row in _until(rows, self.policy, is_events=name == "events"):
                folder.append(name, row)
        step = self.policy.step
        facts = {key: list(values) for key, values in changes.items()}
        folder.event("forked", segment=self.policy.segment, step=step, **{"from": self.facts()}, changes=facts)

    def _needed(self) -> Iterable[str]:
        """Return the checkpoints on the path, those of its guides, and the collected guidance."""
        step = self.policy.step
        for segment, last in self.lineage.path():
            for saved in checkpoint.saved_steps(self.run / segment.folder):
                if segment.start_step < saved <= (step if last is None else last):
                    yield segment.checkpoint(saved)
            if segment.intervention is not None:
                yield f"{segment.folder}/guidance"
                if segment.intervention.guide.path:  # the base weights have none
                    yield segment.intervention.guide.path
        yield "traces"

    def _adjust(self, folder: Path, changes: Mapping[str, Any]) -> None:
        """Record in the marker what the changed settings replace in the checkpoint; without changes it stays as is."""
        if not changes:
            return
        state = {key: value for key, value in checkpoint.read_state(folder).items() if key not in ("files", "digests")}
        if changes.keys() & SEED:
            for path in folder.glob("rng_state*"):
                path.unlink()
        state["micro_step"] = None if changes.keys() & POSITION else state["micro_step"]
        checkpoint.mark_complete(folder, {**state, "is_renewed": True, "is_reseeded": bool(changes.keys() & SEED)})


def _until(rows: Iterable[Row], policy: PolicyRef, *, is_events: bool) -> Iterable[Row]:
    """Return the rows written until the checkpoint; events of decisions made at it belong to the other run."""
    for row in rows:
        segment, step = row.get("segment"), row.get("step")
        if isinstance(segment, int) and isinstance(step, int):
            at, end = (segment, step), (policy.segment, policy.step)
            if is_events and at >= end:
                return  # they are in the order in which they happened
            if at > end:
                continue
        yield row


def _link(source: Path, target: Path) -> None:
    """Make a folder whose files are those of another one, as links if the file system supports them."""
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir() or place.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, place)
        except OSError:
            shutil.copy2(path, place)
