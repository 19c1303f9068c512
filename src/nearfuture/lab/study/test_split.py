"""The final evaluation of a run: its last policy on the task's test prompts, counted prompt by prompt.

    python -m nearfuture.lab.study.test_split CELL.yaml BASE.yaml OUTPUT.json NUM_SAMPLES

Every method is sampled with the settings of `base` and one fixed seed, whatever the method trained with, so that two
policies meet the same draws. Only the length limit is the method's own, because a policy that learned to write more
would be cut off. The stored counts let anyone compute mean@k and pass@k. Nothing is selected by these numbers: no
checkpoint, no setting, no rollback.

Not here: sampling and judging (`nearfuture.guidance.held_out`), means and intervals (`nearfuture.stats.seeds`).
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from nearfuture.guidance.held_out import answer
from nearfuture.guidance.shown import ShownSamples
from nearfuture.record.lock import writing
from nearfuture.record.writing import write_whole
from nearfuture.run import build
from nearfuture.run.checkpoints import Policies
from nearfuture.run.rows import plain_rows
from nearfuture.run.settings.config import Configuration
from nearfuture.run.settings.load import load_configuration
from nearfuture.tasks import Task
from nearfuture.tasks.identity import with_prompt_ids
from nearfuture.train.hush import hush_libraries
from nearfuture.types import UserError

VERSION = 1
TEST_SEED = 20_261
WHOLE = "all"
NUM_SHOWN = 40
"""How many prompts keep their samples for people to look at."""


def evaluate_final(cell: Configuration, base: Configuration, num_samples: int, output: Path) -> dict[str, Any]:
    """Evaluate the final policy of a run (the base weights if `cell` is `base`), and write the counts.

    Args:
        cell: the run's configuration, by which its model and adapters are loaded.
        base: the settings that every method is sampled with.
        num_samples: completions per prompt.
        output: the file.

    Returns:
        What was written: the protocol, and for each prompt `family`, `num_correct`, `num_judged`.
    """
    task = build.load_checked_task(base)
    split, rows = final_rows(task)
    sampled_as = _sampled_as(cell, base)
    is_base = cell.run.run_dir == base.run.run_dir
    step = 0 if is_base else cell.max_steps
    final = cell.run.run_dir / "final"
    with (
        tempfile.TemporaryDirectory() as scratch,
        Policies(sampled_as, task, build.training_rows(task), {step: final}, Path(scratch)) as policies,
    ):
        engine = policies.load(step)
        kept = ShownSamples(engine, task, rows, NUM_SHOWN)
        answers = answer(
            engine,
            rows,
            task.verify,
            num_samples=num_samples,
            batch_size=base.run.guide_batch_size,
            seed=TEST_SEED,
            on_sample=kept.see,
        )
        samples = kept.rows(answers.rates)
        sampling = asdict(engine.sampling)
    counted = zip(rows, answers.num_correct, answers.num_judged, strict=True)
    result = {
        "version": VERSION,
        "task": task.name,
        "split": split,
        "step": step,
        "num_samples": num_samples,
        "seed": TEST_SEED,
        "sampling": sampling,
        "verifier_version": task.verifier_version,
        "num_unjudged": answers.num_unjudged,
        "tokens": answers.num_tokens,
        "seconds": round(answers.seconds, 3),
        "prompts": [
            {"prompt_id": row["prompt_id"], "family": row.get("family") or WHOLE, "num_correct": c, "num_judged": n}
            for row, c, n in counted
        ],
        "samples": samples,
    }
    write_whole(output, json.dumps(result, allow_nan=False) + "\n")
    return result


def _sampled_as(cell: Configuration, base: Configuration) -> Configuration:
    """Return the model and length of `cell`, and everything else of `base`."""
    config = base.with_training(max_completion_length=cell.training.max_completion_length)
    return replace(config, model_settings=cell.model_settings, run=replace(base.run, model=cell.run.model))


def final_rows(task: Task) -> tuple[str, list[dict[str, Any]]]:
    """Return the split of the final evaluation and its rows: the task's test prompts, or else its evaluation prompts.

    Raises:
        UserError: the task has neither.
    """
    split, rows = ("test", task.test) if len(task.test) else ("evaluation", task.evaluation)
    if not len(rows):
        raise UserError(
            f"task {task.name!r} has neither test nor evaluation rows, so no method can be judged. Add some."
        )
    return split, plain_rows(with_prompt_ids(rows))


def main() -> None:
    """Evaluate what the arguments name."""
    hush_libraries()
    cell, base, output, num_samples = sys.argv[1:]
    with writing(Path(output).parent, "run"):
        result = evaluate_final(
            load_configuration(Path(cell)), load_configuration(Path(base)), int(num_samples), Path(output)
        )
    correct, judged = (sum(row[key] for row in result["prompts"]) for key in ("num_correct", "num_judged"))
    print(f"{result['split']}: {correct} of {judged} judged samples correct, {result['num_unjudged']} not judged")


if __name__ == "__main__":
    main()
