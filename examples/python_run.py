"""A run that trains ahead, goes back and learns from its own future, from Python; then what it did.

    python examples/python_run.py            # half a minute on a CPU

The same keys as in a configuration (docs/configuration.md), the same folder, the same bits as `nearfuture train`.
"""

from nearfuture import Run, Task, load_task


def verify(completion: str, row: dict) -> bool:
    """Judge one completion."""
    return completion.strip() == row["answer"]


def chains() -> Task:
    """A task: rows and a verifier."""
    world = load_task("apprentice")  # prompts, answers and a model of 95,000 parameters; yours come here
    rows = {"train": world.train, "evaluation": world.evaluation[:200]}
    return Task("chains", **rows, verify=verify, gold_column="answer", model=world.model)


def main(folder: str) -> Run:
    """Train, and show what happened."""
    run = Run(
        task=chains,
        run_dir=folder,
        max_steps=12,
        scout_steps=6,  # or autonpo={"mode": "act"}: the run decides by itself when to go back and how far
        eval_every=6,
        learning_rate=5e-4,
        per_device_train_batch_size=128,
        num_generations=8,
        max_completion_length=8,
        fast_generation=True,
    )
    run.train(clean=True, quiet=True)
    print(run)
    for event in run.events("collected"):
        print(f"the policy of step 6 solved {event['num_solved']} of {event['num_prompts']} prompts")
    print(run.metrics[["segment", "step", "npo/pass_rate", "npo/guided_frac", "kept"]].dropna().to_string(index=False))
    print(f"page: {run.report().path}")
    return run


if __name__ == "__main__":
    main("runs/python_run")
