"""Resume equals continue, bit for bit: the state that TRL keeps between steps but not in its checkpoints.

Three things are missing from a TRL 1.16 checkpoint: where the prompt order stands after the first epoch, how many
micro-batches were consumed, and the rollouts that were generated but not trained on yet (`steps_per_generation` or
`num_iterations` above 1). Without them a resumed run silently trains on other data. The first two follow from the step,
so a checkpoint of plain TRL is resumed just as exactly between two generation cycles, and refused inside one.

Exact on the same number of processes, on a CPU, under DDP and FSDP2; a vLLM server and continuous batching cannot be
exact.

Not here: the method (`nearfuture.train.trainer`), which checkpoint to use (`nearfuture.run`).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from trl import GRPOTrainer

from nearfuture.train import checkpoint, plain, processes, sharding
from nearfuture.train.order import ExactRepeatSampler, Schedule
from nearfuture.train.renew import settings_kept
from nearfuture.types import UserError

Buffer = list[dict[str, Any]]
CONTROLLER, EXPERIENCE, HARVEST = STATES = "controller", "experience", "harvest"
"""Names of the states that a checkpoint may hold beside TRL's own: of the training, not of the policy."""


def state_file(folder: Path, name: str) -> Path:
    """The path of a checkpoint's state of this name."""
    return folder / f"{name}.json"


def tensor_file(folder: Path, name: str) -> Path:
    """The path of a checkpoint's tensors of this name."""
    return folder / f"self-{name}.safetensors"


class Stateful(Protocol):
    """Anything with memory that a checkpoint must hold: the same on every process."""

    def state_dict(self) -> dict[str, Any]:
        """The whole memory as JSON values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was called."""
        ...


class Weighty(Protocol):
    """Anything whose memory is tensors: the same on every process."""

    def tensors(self) -> dict[str, Tensor]:
        """The whole memory; if it is empty, nothing is saved."""
        ...

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Continue exactly where `tensors` was called."""
        ...


def save_buffer(buffer: Buffer, path: Path) -> None:
    """Write buffered rollouts: tensors as safetensors, the lists of counts beside them as JSON metadata."""
    tensors: dict[str, Tensor] = {}
    lists: dict[str, list[int]] = {}
    for i, batch in enumerate(buffer):
        for name, value in batch.items():
            if isinstance(value, Tensor):
                tensors[f"{i}.{name}"] = value.contiguous().clone()
            elif isinstance(value, list) and all(isinstance(item, int) for item in value):
                lists[f"{i}.{name}"] = value
            elif value is not None:
                raise TypeError(f"TRL buffers {name} as {type(value).__name__}, which a checkpoint cannot hold yet.")
    save_file(tensors, path, metadata={"lists": json.dumps(lists), "num_batches": str(len(buffer))})


def load_buffer(path: Path, device: torch.device) -> Buffer:
    """Read what `save_buffer` wrote."""
    with safe_open(path, framework="pt", device=str(device)) as file:
        metadata = file.metadata()
        flat: dict[str, Any] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    flat |= json.loads(metadata["lists"])
    buffer: Buffer = [{} for _ in range(int(metadata["num_batches"]))]
    for key, value in flat.items():
        i, name = key.split(".", 1)
        buffer[int(i)][name] = value
    return buffer


def _complete(folder: Path, state: dict[str, Any], limit: int | None, rotation: dict[str, Any]) -> None:
    """Put a checkpoint on disk, mark it complete, and delete the old ones that it replaces."""
    checkpoint.mark_complete(folder, state)
    checkpoint.rotate(folder.parent, limit, **rotation)


class ExactResume(GRPOTrainer):
    """A `GRPOTrainer` that continues from any of its checkpoints as if it had never stopped.

    A checkpoint is put on disk and gets its digests while training continues. It counts when both are done, at the
    latest when the next one is saved or `train` returns.

    `pinned_steps` are never deleted by `save_total_limit`; `trusted` is a checkpoint that the caller has verified;
    each of `stateful` and `weighty` is saved and restored with every checkpoint, under its name.
    """

    pinned_steps: frozenset[int] = frozenset()
    trusted: Path | None = None
    stateful: Mapping[str, Stateful] = MappingProxyType({})
    weighty: Mapping[str, Weighty] = MappingProxyType({})
    train_dataset: Any
    _brought: Mapping[str, tuple[Stateful, dict[str, Any]]] = MappingProxyType({})
    _rotates_later = False
    _is_renewed = False
    _completion: Future[None] | None = None
    _buffered_inputs: Buffer | None

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """Train from a checkpoint (its path, or True for the latest whole one) or from the current weights.

        Args:
            resume_from_checkpoint: a checkpoint of this trainer or of a plain `GRPOTrainer`.
            args, kwargs: as in `GRPOTrainer.train`.

        Raises:
            UserError: the checkpoint is not whole, holds only weights, was saved inside a generation cycle by plain TRL
                or by another number of processes, or would be written in shards by FSDP.
        """
        if self.is_fsdp_enabled:
            sharding.check(self.accelerator.state.fsdp_plugin)
        if resume_from_checkpoint is True:
            resume_from_checkpoint = self._latest_checkpoint()
        self._step = 0
        self._is_renewed = False
        self._buffered_inputs = None
        self._current_train_step_time = 0.0
        self._metrics["train"].clear()
        if self.use_vllm:
            self._last_loaded_step = -1
        self._remember_brought()
        for weighty in self.weighty.values():
            weighty.load_tensors({})
        if resume_from_checkpoint:
            self._restore(Path(resume_from_checkpoint))
        try:
            output = super().train(resume_from_checkpoint or None, *args, **kwargs)
        finally:
            self._finish_checkpoint()
        self.accelerator.wait_for_everyone()
        return output

    def _remember_brought(self) -> None:
        """Remember what each memory held when it was first trained with, for checkpoints that know nothing of it."""
        before = self._brought
        self._brought = {
            name: before[name]
            if name in before and before[name][0] is stateful
            else (stateful, copy.deepcopy(stateful.state_dict()))
            for name, stateful in self.stateful.items()
        }

    def _latest_checkpoint(self) -> str:
        output_dir = Path(self.args.output_dir)
        folder = processes.from_main(lambda: checkpoint.latest(output_dir))
        if folder is None:
            raise UserError(f"{output_dir} holds no whole checkpoint to resume from. Train without resume first.")
        return str(folder)

    def _restore(self, folder: Path) -> None:
        """Restore the micro-batch counter, all memories, and the rollouts that were generated but not trained on."""
        if checkpoint.is_plain(folder):
            self._restore_memories(folder)
            is_sized = hasattr(self.train_dataset, "__len__")
            schedule = self.schedule(len(self.train_dataset)) if is_sized else None
            self._step = plain.micro_step(folder, schedule, self.accelerator.num_processes)
            return
        is_read = self.accelerator.is_main_process and folder != self.trusted
        state = checkpoint.verified(folder) if is_read else checkpoint.read_state(folder)
        self._is_renewed = bool(state.get("is_renewed"))
        if not state.get("is_reseeded"):
            plain.require_random_states(folder)
        self._step = self._position(folder, state["step"]) if state["micro_step"] is None else state["micro_step"]
        self._restore_memories(folder)
        for name, weighty in self.weighty.items():
            path = tensor_file(folder, name)
            weighty.load_tensors(load_file(path) if path.exists() else {})
        if not state["has_buffer"]:
            return
        if state["num_processes"] != self.accelerator.num_processes:
            raise UserError(
                f"{folder} was saved inside a generation cycle by {state['num_processes']} processes, "
                f"{self.accelerator.num_processes} are running. Use the same number, or a checkpoint at a multiple of "
                "steps_per_generation * num_iterations."
            )
        self._buffered_inputs = load_buffer(self._buffer_file(folder), self.accelerator.device)

    def _restore_memories(self, folder: Path) -> None:
        """Load what a checkpoint remembers; what it knows nothing of is as it was brought."""
        for name, stateful in self.stateful.items():
            path = state_file(folder, name)
            known = json.loads(path.read_text()) if path.exists() else copy.deepcopy(self._brought[name][1])
            stateful.load_state_dict(known)

    def _position(self, folder: Path, step: int) -> int:
        """Return the micro-batches until a step if a fork has another batch or other data than its parent."""
        schedule = self.schedule(len(self.train_dataset))
        found = schedule.micro_step(step)
        if rest := found % schedule.micro_per_batch:
            raise UserError(
                f"{folder}: with the new batch, step {step} lies {rest} of {schedule.micro_per_batch} micro-batches "
                "into a generation cycle. Fork at another step, or keep steps_per_generation and num_iterations."
            )
        return found

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Load what a checkpoint holds; a fork with changed settings keeps its own."""
        if not self._is_renewed or checkpoint is None:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        with settings_kept(self.optimizer, self.lr_scheduler):
            super()._load_optimizer_and_scheduler(checkpoint)

    def _buffer_file(self, folder: Path) -> Path:
        return folder / f"rollouts-{self.accelerator.process_index}.safetensors"

    def save_model(self, *args: Any, **kwargs: Any) -> None:
        """Save the weights, and the current settings beside them.

        TRL deletes old checkpoints before the new one is whole; here that happens afterwards, so TRL sees no limit from
        here to the end of a checkpoint.
        """
        super().save_model(*args, **kwargs)
        if self._rotates_later:
            self.args.save_total_limit = None

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self._finish_checkpoint()
        output_dir = Path(self._get_output_dir(trial=trial))
        folder = output_dir / f"{checkpoint.PREFIX}{self.state.global_step}"
        if self.args.should_save:
            checkpoint.open_for_writing(folder)
        limit, self._rotates_later = self.args.save_total_limit, True
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit, self._rotates_later = limit, False
        has_buffer = self._step % (self.args.steps_per_generation * self.num_iterations) != 0
        if has_buffer:
            assert self._buffered_inputs is not None
            save_buffer(self._buffered_inputs, self._buffer_file(folder))
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            for name, stateful in self.stateful.items():
                state_file(folder, name).write_text(json.dumps(stateful.state_dict()))
            for name, weighty in self.weighty.items():
                if tensors := weighty.tensors():
                    save_file({key: value.contiguous() for key, value in tensors.items()}, tensor_file(folder, name))
            state = {
                "step": self.state.global_step,
                "micro_step": self._step,
                "has_buffer": has_buffer,
                "num_processes": self.accelerator.num_processes,
            }
            best = self.state.best_global_step if self.state.best_model_checkpoint else None
            rotation = {"newest": self.state.global_step, "pinned": self.pinned_steps, "best": best}
            pool = ThreadPoolExecutor(1, "checkpoint")
            self._completion = pool.submit(_complete, folder, state, limit, rotation)
            pool.shutdown(wait=False)
            if self.control.should_training_stop or self.args.load_best_model_at_end:
                self._finish_checkpoint()  # transformers may look for it, or delete it, before `train` returns
        self.accelerator.wait_for_everyone()

    def _finish_checkpoint(self) -> None:
        """Wait until the last checkpoint counts; a failure in the meantime is raised here."""
        completion, self._completion = self._completion, None
        if completion is not None:
            completion.result()

    def schedule(self, num_prompts: int) -> Schedule:
        """The schedule by which steps go through `num_prompts` prompts."""
        return Schedule(
            num_prompts,
            prompts_per_batch=self.args.generation_batch_size // self.num_generations,
            micro_per_batch=self.num_iterations * self.args.steps_per_generation,
            micro_per_step=self.args.gradient_accumulation_steps,
        )

    def _get_train_sampler(self, dataset: Any = None) -> ExactRepeatSampler:
        dataset = self.train_dataset if dataset is None else dataset
        schedule = self.schedule(len(dataset))
        return self.make_sampler(
            data_source=dataset,
            mini_repeat_count=self.num_generations,
            batch_size=schedule.prompts_per_batch,
            repeat_count=schedule.micro_per_batch,
            shuffle=self.shuffle_dataset,
            seed=self.args.seed,
            epoch=lambda: self.state.global_step // schedule.steps_per_epoch,
        )

    def make_sampler(self, **arguments: Any) -> ExactRepeatSampler:
        """The order of the prompts."""
        return ExactRepeatSampler(**arguments)

    def steps_per_epoch(self, num_prompts: int) -> int:
        """Optimizer steps in one pass over `num_prompts` prompts."""
        return self.schedule(num_prompts).steps_per_epoch

    def prompts_between(self, start_step: int, end_step: int) -> list[int]:
        """Return dataset indices of the prompts whose rollouts are trained on in steps `start_step` + 1 to `end_step`.

        Each comes once, in order. This is the window that a replay crosses, and so what a guide is asked.
        """
        if end_step <= start_step:
            return []
        sampler = self._get_train_sampler()
        indices: dict[int, None] = {}
        for epoch, first, end in self.schedule(len(self.train_dataset)).batches(start_step, end_step):
            indices.update(dict.fromkeys(index for batch in sampler.prompts(epoch)[first:end] for index in batch))
        return list(indices)
