"""The method in thirty lines of a user's own script: train ahead, collect, go back, replay.

python examples/short_loop.py            # under a minute on a CPU; npo_loop.py explains each line
"""

from datasets import Dataset

from nearfuture import NPOConfig, NPOTrainer, PolicyRef, TRLEngine, collect_guidance, load_task

START, AHEAD = 6, 24
WORLD = load_task("apprentice")  # prompts, answers and a model of 95,000 parameters; yours come here
DATA = Dataset.from_list([{"prompt": row["prompt"], "answer": row["answer"]} for row in WORLD.train])


def verify(completion: str, row: dict) -> bool:
    """Judge one completion."""
    return completion.strip() == row["answer"]


def correct(completions: list[str], answer: list[str], **_: object) -> list[float]:
    """The reward for TRL."""
    return [float(verify(text, {"answer": gold})) for text, gold in zip(completions, answer, strict=True)]


def main(out: str) -> None:
    """Train ahead, collect, go back, replay."""
    ahead = {"max_steps": AHEAD, "save_steps": START, "learning_rate": 5e-4, "lr_scheduler_type": "constant"}
    rollouts = {"per_device_train_batch_size": 128, "max_completion_length": 8, "fast_generation": True}
    args = NPOConfig(out, **ahead, **rollouts, logging_steps=START, report_to="none")
    trainer = NPOTrainer(WORLD.model, reward_funcs=correct, args=args, train_dataset=DATA)
    trainer.train()  # ahead
    rows = [DATA[i] for i in trainer.prompts_between(START, AHEAD)]
    cache = collect_guidance(TRLEngine(trainer), rows, verify, f"{out}/guidance", guide=PolicyRef(0, AHEAD, out))
    trainer.set_guidance(cache)
    trainer.train(resume_from_checkpoint=f"{out}/checkpoint-{START}")  # back, and the same steps again
    print(f"{len(cache)} of {len(rows)} prompts had an answer of step {AHEAD} when steps {START} to {AHEAD} came again")


if __name__ == "__main__":
    main("runs/short_loop")
