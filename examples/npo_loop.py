"""Near-Future Policy Optimization in one file: train ahead, collect, go back, replay with guidance.

    python examples/npo_loop.py            # a minute on a CPU, in a temporary folder
    python examples/npo_loop.py out        # keep the checkpoints and the guidance in out/

NPO (arXiv:2604.20733) lets a policy learn from its own near future:

    step 0 ──── START ════════ AHEAD         1. train ahead with plain GRPO
                  │              │           2. ask the later policy; keep one verified answer per prompt
                  │ <────────────┘           3. go back to START: weights, optimizer, random states, order of the data
                  └════════════ AHEAD        4. train the same steps again; where most rollouts of a group are wrong,
                                                the later policy's answer takes the place of the last one

The model (95,000 parameters) and the task (chains of made-up operators; the answer is every intermediate result) ship
with nearfuture. For your own, change `MODEL`, `TRAIN`, `HELD_OUT` and `verify`.

Four calls are ours, the rest is TRL: `prompts_between`, `collect_guidance` (which asks a `TRLEngine`), `set_guidance`,
and `train`, which resumes exactly. `nearfuture train configs/apprentice/npo_late.yaml` makes the same calls and adds
what is left out here: several interventions, surviving a kill, the costs, and finding START and AHEAD (AutoNPO).
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PrinterCallback, logging

from nearfuture import GuidanceCache, NPOConfig, NPOTrainer, PolicyRef, TRLEngine, Verdict, collect_guidance, load_task

warnings.filterwarnings("ignore", category=FutureWarning)  # transformers about itself, at every step that is saved
logging.set_verbosity_error()
logging.disable_progress_bar()

START, AHEAD = 10, 40  # train to AHEAD, go back to START

TASK = load_task("apprentice")
MODEL = TASK.model
TRAIN = Dataset.from_list(TASK.train)  # columns: prompt, prompt_id, answer
HELD_OUT = TASK.evaluation


def verify(completion: str, row: dict) -> Verdict:
    """Judge one completion: all that NPO asks of a task."""
    return Verdict.CORRECT if completion.strip() == row["answer"] else Verdict.WRONG


def correct(prompts: list[str], completions: list[str], answer: list[str], **_: Any) -> list[float]:
    """The reward for TRL: 1 for a correct completion, 0 for a wrong one. The gate counts it too."""
    pairs = zip(completions, answer, strict=True)
    return [float(verify(text, {"answer": gold}) is Verdict.CORRECT) for text, gold in pairs]


def make_trainer(folder: Path) -> NPOTrainer:
    """A `GRPOTrainer` in all but name: without guidance it computes the same, bit for bit."""
    args = NPOConfig(
        str(folder),
        max_pass_rate=0.6,  # the gate: guidance enters a group only where at most 60 % of the rollouts are correct
        max_steps=AHEAD,
        save_steps=START,  # a checkpoint to go back to
        learning_rate=5e-4,
        lr_scheduler_type="constant",  # a schedule that falls would want max_steps to be the whole run's
        per_device_train_batch_size=256,
        num_generations=8,
        max_completion_length=8,
        fast_generation=True,
        logging_steps=5,
        report_to="none",
        disable_tqdm=True,
        seed=0,
    )
    trainer = NPOTrainer(MODEL, reward_funcs=correct, args=args, train_dataset=TRAIN)
    trainer.remove_callback(PrinterCallback)
    return trainer


def collect(trainer: NPOTrainer, folder: Path) -> GuidanceCache:
    """Ask the present policy about the prompts that the replay will meet; keep one verified answer per prompt."""
    window = trainer.prompts_between(START, AHEAD)
    cache = collect_guidance(
        TRLEngine(trainer),
        [TRAIN[i] for i in window],
        verify,
        folder,
        guide=PolicyRef(segment=0, step=AHEAD, path=f"checkpoint-{AHEAD}"),
        num_samples=8,  # at most; a prompt is not sampled again once it is solved
    )
    print(f"the policy of step {AHEAD} solved {len(cache)} of the {len(window)} prompts between {START} and {AHEAD}")
    return cache


def held_out(trainer: NPOTrainer) -> float:
    """Share of held-out prompts that the present policy solves, one sample each."""
    engine = TRLEngine(trainer)
    texts = engine.decode(HELD_OUT, engine.generate(HELD_OUT, seed=1))
    return sum(verify(text, row) is Verdict.CORRECT for text, row in zip(texts, HELD_OUT, strict=True)) / len(texts)


def show(trainer: NPOTrainer) -> None:
    """The policy's own pass rate on training prompts, and how many groups received guidance."""
    for row in trainer.state.log_history:
        if "npo/pass_rate" in row and row["step"] > START:
            guided = row.get("npo/guided_frac", 0.0)
            print(f"  step {row['step']:3d}  pass rate {row['npo/pass_rate']:.3f}  groups with guidance {guided:.0%}")


def main(folder: Path) -> None:
    """Train ahead, collect, go back, replay with guidance."""
    trainer = make_trainer(folder)

    print(f"1. ahead: plain GRPO to step {AHEAD}")
    trainer.train()
    show(trainer)
    plain = held_out(trainer)

    print("2. collect")
    cache = collect(trainer, folder / "guidance")

    print(f"3. back to step {START}, 4. replay with guidance")
    trainer.set_guidance(cache)
    trainer.train(resume_from_checkpoint=str(folder / f"checkpoint-{START}"))
    show(trainer)

    print(f"held-out pass rate at step {AHEAD}: {plain:.3f} without guidance, {held_out(trainer):.3f} with")
    print(f"the price: {AHEAD - START} steps trained twice, and the tokens of the collection")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
