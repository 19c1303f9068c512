"""Train models of a real size with random weights for a few steps, and put memory and time beside the plan.

    python measurements/gpu_shapes.py                    8b-lora and 2b-full, on one GPU of 80 GB
    python measurements/gpu_shapes.py --shapes tiny      the same path on whatever is there, a CPU as well

    8b-lora    Qwen3-VL-8B in bfloat16, adapters on all linear layers
    2b-full    Qwen3-VL-2B, every weight trained, float32 master weights
    tiny       the image shape of memory_plan.py

Each shape runs in a process of its own: images of 512 x 512, GRPO with transformers' generation, so that nothing but
this package is needed. Random weights cost what trained ones cost, but for the length of completions, which is fixed.
On a GPU the highest number of bytes torch had allocated is compared; on a CPU resident memory, as in memory_plan.py.

Not here: the quality of anything; vLLM; several GPUs.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import memory_plan
from memory_plan import CASES, ENVIRONMENT, RESULTS, Case, build, predict, resident, train

LORA = {"use_peft": True, "lora_r": 32, "lora_dropout": 0.0, "lora_target_modules": ["all-linear"]}
BATCH = {"num_generations": 4, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}


def case(name: str) -> Case:
    """The shape of that name."""
    if name == "tiny":
        return replace(CASES["image"], name="tiny", settings={**CASES["image"].settings, "max_completion_length": 8})
    from nearfuture.train.shape.known_shapes import KNOWN_SHAPES

    size, extra = {"8b-lora": ("8B", {"dtype": "bfloat16", **LORA}), "2b-full": ("2B", {"dtype": "float32"})}[name]
    sizes = KNOWN_SHAPES[f"Qwen/Qwen3-VL-{size}-Instruct"][1]
    return Case(
        name,
        {**sizes["text_config"], "max_position_embeddings": 4096},
        {**BATCH, **extra, "max_completion_length": 512},
        prompt=512,
        vision=sizes["vision_config"],
        image_side=512,
    )


def run(name: str, folder: Path) -> dict[str, Any]:
    """In this process: plan, train, measure."""
    import torch

    shape, has_gpu = case(name), torch.cuda.is_available()
    planned = predict(shape, folder / "model", folder / "plan", is_cpu=not has_gpu)
    before = 0
    if has_gpu:
        torch.cuda.reset_peak_memory_stats()
    else:
        train(shape, folder / "small", folder / "warm")
        gc.collect()
        before = resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
    begun = time.perf_counter()
    train(shape, folder / "model", folder / "run")
    seconds = time.perf_counter() - begun
    peak = torch.cuda.max_memory_allocated() if has_gpu else resident("VmHWM") - before
    return {
        "shape": name,
        "device": torch.cuda.get_device_name() if has_gpu else "CPU",
        "planned": planned,
        "measured": peak,
        "seconds_per_step": seconds / memory_plan.NUM_STEPS,
    }


def main() -> None:
    """Run the shapes, one process each, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="*", default=["8b-lora", "2b-full"])
    parser.add_argument("--run", nargs=2, metavar=("SHAPE", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, default=RESULTS / "gpu_shapes.md")
    arguments = parser.parse_args()
    if arguments.run:
        print(json.dumps(run(arguments.run[0], Path(arguments.run[1]))))
        return
    lines = [
        "# Real sizes with random weights",
        "",
        "Written by `measurements/gpu_shapes.py`; the first step's warm-up and loading are in the seconds.",
        "",
        "| shape | device | planned peak, GB | measured peak, GB | plan / measured - 1 | seconds per step |",
        "|---|---|---|---|---|---|",
    ]
    for name in arguments.shapes:
        found = in_own_process(name)
        planned, measured = found["planned"]["peak"], found["measured"]
        print(name, json.dumps(found["planned"]), flush=True)
        gigabytes = f"{planned / 1e9:.2f} | {measured / 1e9:.2f} | {planned / measured - 1:+.1%}"
        lines.append(f"| {name} | {found['device']} | {gigabytes} | {found['seconds_per_step']:.1f} |")
        print(lines[-1], flush=True)
    arguments.output.write_text("\n".join([*lines, ""]))


def in_own_process(name: str) -> dict[str, Any]:
    """Build a model and run it in a fresh process."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        build(case(name), folder / "small", is_small=True)
        build(case(name), folder / "model", is_small=False)
        command = [sys.executable, __file__, "--run", name, str(folder)]
        done = subprocess.run(command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
