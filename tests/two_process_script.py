"""One process of `test_two_processes`: train each scenario on this process's share, and write down what happened.

    ACCELERATE_USE_CPU=true torchrun --nproc-per-node 2 tests/two_process_script.py FOLDER

FOLDER holds the guidance cache `guidance`. Writes FOLDER/<scenario>-<rank>.pt for each scenario.

Sampling draws other random numbers on two processes than on one, so rollouts are greedy here (`top_k=1`): a function of
the prompt and the weights. A group then has a gradient exactly if its last slot is guided.

Not here: what must hold (`test_two_processes`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tiny
import torch
import transformers
from torchrun import leave

from nearfuture.guidance import GuidanceCache
from nearfuture.guidance.experience import ExperienceReplay, Success
from nearfuture.guidance.harvest import Harvest
from nearfuture.train import NPOTrainer
from nearfuture.types import Guidance, UserError

GLOBAL_BATCH = 12
NUM_STEPS = 3

SCENARIOS: dict[str, dict[str, Any]] = {
    "on_policy": {"weighting": "on_policy", "num_generations": 4},  # 3 groups over 6 + 6 rows: the second one is split
    "importance": {"weighting": "importance", "num_generations": 4, "loss_type": "grpo"},
    "shaped": {"weighting": "shaped", "num_generations": 4, "loss_type": "dr_grpo"},
    "experience": {"weighting": "shaped", "num_generations": 4, "max_pass_rate": 1.0},
    "own": {"weighting": "importance", "num_generations": 4},
    "one_group": {"weighting": "importance", "num_generations": 12},  # the first process owns no last slot
    "accumulated": {
        "weighting": "importance",
        "num_generations": 4,
        "gradient_accumulation_steps": 2,
        "num_iterations": 2,
    },
}


@dataclass
class BrokenOnOneProcess:
    """Guidance that the second process cannot read."""

    cache: GuidanceCache
    rank: int

    def lookup(self, prompt_id: str, step: int) -> Guidance | None:
        if self.rank == 1 and step == 1:
            raise UserError(f"the disk of process {self.rank} is gone")
        return self.cache.lookup(prompt_id)


def build(folder: Path, scenario: str, num_processes: int) -> NPOTrainer:
    return tiny.npo(
        folder,
        per_device_train_batch_size=GLOBAL_BATCH // num_processes,
        top_k=1,
        max_steps=NUM_STEPS,
        learning_rate=0.02,
        epsilon=0.05,
        epsilon_high=0.08,
        **SCENARIOS[scenario],
    )


def run(folder: Path, scenario: str, num_processes: int) -> dict[str, Any]:
    """Train one scenario, and return what this process saw."""
    trainer = build(folder, scenario, num_processes)
    cache = GuidanceCache.open(folder / "guidance")
    remembered = {"experience": experience, "own": harvest}.get(scenario)
    trainer.set_guidance(cache if remembered is None else remembered(cache))
    recorder = tiny.record(trainer)
    trainer.train()
    return {
        "num_processes": trainer.accelerator.num_processes,
        "weights": tiny.weights(trainer),
        "gradients": [step.gradients for step in recorder.steps],
        "guided": [guided_prompts(trainer, buffer) for buffer in recorder.generations],
        "metrics": [row for row in trainer.state.log_history if "loss" in row],
    }


def experience(cache: GuidanceCache) -> ExperienceReplay:
    """Replay that remembers the cache's answers as its own; greedy rollouts alone would be all right or all wrong."""
    replay = ExperienceReplay(start_pass_rate=0.0)
    found = list(cache)
    replay.observe([g.prompt_id for g in found], [2] * len(found), [4] * len(found))
    replay.store([Success(g.prompt_id, g.prompt_hash, g.completion_ids, g.behavior_logps, 1) for g in found])
    return replay


def harvest(cache: GuidanceCache) -> Harvest:
    """The cache's answers, as if this run had written them before step 1."""
    own, found = Harvest(), list(cache)
    own.observe([g.prompt_id for g in found], [1] * len(found), [4] * len(found))
    own.store(Success(g.prompt_id, g.prompt_hash, g.completion_ids, g.behavior_logps, 0) for g in found)
    return own


def guided_prompts(trainer: NPOTrainer, buffer: list[dict[str, Any]]) -> list[str]:
    """The prompts of the guided rows on this process."""
    decode = trainer.processing_class.decode
    return [
        decode(batch["prompt_ids"][i], skip_special_tokens=True)
        for batch in buffer
        if "is_guided" in batch
        for i in batch["is_guided"].nonzero().flatten().tolist()
    ]


def run_broken(folder: Path, num_processes: int) -> dict[str, Any]:
    """Train with guidance that one process cannot read, and return the error this process ended with."""
    trainer = build(folder, "on_policy", num_processes)
    trainer.set_guidance(BrokenOnOneProcess(GuidanceCache.open(folder / "guidance"), trainer.accelerator.process_index))
    try:
        trainer.train()
    except UserError as error:
        return {"error": str(error), "step": trainer.state.global_step}
    return {"error": None, "step": trainer.state.global_step}


def main() -> None:
    folder = Path(sys.argv[1])
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    for scenario in SCENARIOS:
        result = run(folder, scenario, num_processes=2)
        torch.save(result, folder / f"{scenario}-{torch.distributed.get_rank()}.pt")
    broken = run_broken(folder, num_processes=2)
    torch.save(broken, folder / f"broken-{torch.distributed.get_rank()}.pt")
    leave()


if __name__ == "__main__":
    main()
