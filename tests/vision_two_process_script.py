"""One process of `test_vision_two_processes`: train on image prompts, a group split between both, and write it down.

    ACCELERATE_USE_CPU=true torchrun --nproc-per-node 2 tests/vision_two_process_script.py FOLDER

FOLDER holds the model `model` and the guidance cache `guidance`. Writes FOLDER/<rank>.pt. Every third prompt has
no image.

Not here: what must hold (`test_vision_two_processes`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import tiny
import tiny_vl
import torch
import transformers
from torchrun import leave

from nearfuture.guidance import GuidanceCache
from nearfuture.train import NPOTrainer

GLOBAL_BATCH = 12
SETTINGS: dict[str, Any] = {
    "num_generations": 4,
    "top_k": 1,  # on two processes other random numbers are drawn than on one
    "max_steps": 3,
    "max_pass_rate": 1.0,
    "learning_rate": 0.02,
    "weighting": "importance",
    "loss_type": "grpo",
}


def rows() -> list[dict[str, Any]]:
    return [row if i % 3 else tiny_vl.without_image(row) for i, row in enumerate(tiny_vl.rows(12))]


def build(folder: Path, num_processes: int) -> NPOTrainer:
    size = GLOBAL_BATCH // num_processes
    return tiny_vl.npo(folder, folder / "model", data=rows(), per_device_train_batch_size=size, **SETTINGS)


def run(folder: Path, num_processes: int) -> dict[str, Any]:
    """Train, and return what this process saw."""
    trainer = build(folder, num_processes)
    trainer.set_guidance(GuidanceCache.open(folder / "guidance"))
    recorder = tiny.record(trainer)
    trainer.train()
    return {
        "num_processes": trainer.accelerator.num_processes,
        "num_images": [sum(batch.get("num_images", [0])) for buffer in recorder.generations for batch in buffer],
        "num_guided": [int(batch["is_guided"].sum()) for buffer in recorder.generations for batch in buffer],
        "gradients": [step.gradients for step in recorder.steps],
        "weights": tiny.weights(trainer),
    }


def main() -> None:
    folder = Path(sys.argv[1])
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    result = run(folder, num_processes=2)
    torch.save(result, folder / f"{torch.distributed.get_rank()}.pt")
    leave()


if __name__ == "__main__":
    main()
