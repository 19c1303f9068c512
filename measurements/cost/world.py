"""A world that ships at its real batch size, and trainers of both kinds for it.

Not here: clocks (`clock`), measurements (the files beside).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PrinterCallback
from trl import GRPOConfig, GRPOTrainer

from nearfuture.run.rows import plain_rows
from nearfuture.tasks import Task, VerdictReward, load_task
from nearfuture.tasks.identity import with_prompt_ids

REAL: dict[str, Any] = {
    "learning_rate": 3e-4,
    "adam_beta2": 0.95,
    "per_device_train_batch_size": 512,
    "num_generations": 8,
    "max_completion_length": 8,
    "save_strategy": "no",
    "logging_steps": 1,
    "report_to": "none",
    "disable_tqdm": True,
    "seed": 0,
}
ON_CPU = {"use_cpu": True, "bf16": False, "gradient_checkpointing": False, "dataloader_pin_memory": False}
SCOUT_STEPS, BATCH = 40, 512  # as configs/apprentice/npo_early.yaml


class World:
    """The task, its rows, and a folder that is deleted at the end."""

    def __init__(
        self,
        folder: Path,
        task: str = "apprentice",
        settings: dict[str, Any] | None = None,
        model: Path | None = None,
    ) -> None:
        self.folder = folder
        shipped = load_task(task)
        self.task = shipped if model is None else replace(shipped, model=str(model))
        self.settings = REAL | ON_CPU | (settings or {})
        self.rows = with_prompt_ids(Dataset.from_list(list(self.task.train))).shuffle(seed=0)
        self.num_judged = 0
        self._num_trainers = 0
        self._cache: Any = None

    def counting(self) -> Task:
        """The task with a verifier that counts its calls in `num_judged`."""

        def verify(text: str, row: dict[str, Any]) -> Any:
            self.num_judged += 1
            return self.task.verify(text, row)

        return replace(self.task, verify=verify)

    def trl(self, **settings: Any) -> GRPOTrainer:
        """TRL's own trainer."""
        return self._make(GRPOTrainer, GRPOConfig, settings)

    def npo(self, guidance: Any = None, **settings: Any) -> Any:
        """Ours."""
        from nearfuture.train import NPOConfig, NPOTrainer

        return self._make(NPOTrainer, NPOConfig, settings, guidance=guidance)

    def _processing_class(self) -> Any:
        """Ours where TRL's own trainer cannot load one: Qwen3-VL without torchvision."""
        if "images" not in self.rows.column_names:
            return None
        from nearfuture.train.vision import processor

        return processor.load_for_training(self.task.model)

    def _make(self, trainer: Any, config: Any, settings: dict[str, Any], **kwargs: Any) -> Any:
        self._num_trainers += 1
        args = config(output_dir=str(self.folder / f"trainer-{self._num_trainers}"), **(self.settings | settings))
        reward = VerdictReward(self.counting())
        kwargs["processing_class"] = self._processing_class()
        made = trainer(self.task.model, reward_funcs=reward, args=args, train_dataset=self.rows, **kwargs)
        made.remove_callback(PrinterCallback)
        return made

    def scout(self) -> Any:
        """The policy of `SCOUT_STEPS` steps of plain GRPO: the guide of configs/apprentice/npo_early.yaml."""
        trainer = self.npo(max_steps=SCOUT_STEPS, fast_generation=True)
        trainer.train()
        return trainer

    def guidance(self) -> Path:
        """A cache with the right answer to every training prompt, so that no step gets off lightly."""
        if self._cache is None:
            from nearfuture.train import TRLEngine

            self._cache = self.folder / "guidance"
            base = self.npo()
            collect(base, self, plain_rows(self.rows), self._cache, KnowsAll(TRLEngine(base)))
        return self._cache


class KnowsAll:
    """An engine that scores as the policy does, and writes the right answer."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def generate(self, rows: Any, seed: int) -> list[list[int]]:
        """The answers, with the stop token."""
        tokenizer = self.engine.trainer._tokenizer
        ids = tokenizer([row["answer"] for row in rows], add_special_tokens=False)["input_ids"]
        return [[*answer, tokenizer.eos_token_id] for answer in ids]


def collect(guide: Any, world: World, rows: Any, folder: Path, engine: Any = None) -> Any:
    """Collect guidance as a run does."""
    from nearfuture.guidance import collect_guidance
    from nearfuture.tasks import judge
    from nearfuture.train import TRLEngine
    from nearfuture.types import PolicyRef

    def verify(text: str, row: dict[str, Any]) -> Any:
        return judge(world.task.verify, text, row)

    ref = PolicyRef(0, SCOUT_STEPS, "checkpoint")
    return collect_guidance(engine or TRLEngine(guide), rows, verify, folder, guide=ref, batch_size=BATCH)
