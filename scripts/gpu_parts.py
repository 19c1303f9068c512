"""The parts of `gpu_minutes`: each yields what it has measured as soon as it has, as (what, measured, note).

Not here: the trainers and the clock (`gpu_bench`), the time and the table (`gpu_minutes`).
"""

from __future__ import annotations

import gc
import importlib.metadata
import importlib.util
import platform
import random
import statistics
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from gpu_bench import Bench, Clock, Ending, Written, attention, memory_plan, now
from trl import GRPOTrainer

from nearfuture.train import NPOTrainer

Line = tuple[str, str, str]
STEPS_A_TURN = {True: 2, False: 3}
NUM_TURNS = {True: 1, False: 3}
"""On a tiny shape, and else. The first step of a turn is not counted."""
SIDE = {True: 256, False: 8192}
"""Of the square matrices whose product is the device's peak."""


def device(bench: Bench) -> Iterator[Line]:
    """What it runs on, and the fastest it multiplies."""
    has_gpu = torch.cuda.is_available()
    properties = torch.cuda.get_device_properties(0) if has_gpu else None
    memory = f"{properties.total_memory / 1e9:.0f} GB" if properties else ""
    yield "device", torch.cuda.get_device_name() if has_gpu else f"CPU ({platform.machine()})", memory
    names = ("torch", "transformers", "trl", "accelerate", "vllm", "flash_attn")
    found = {name: importlib.metadata.version(name) for name in names if importlib.util.find_spec(name)}
    yield "versions", " ".join(f"{name} {version}" for name, version in found.items()), f"attention: {attention()}"
    yield "fastest product", f"{peak(bench) / 1e12:.3g} TFLOP/s", f"{SIDE[bench.is_tiny]} x itself, {dtype()}"


def steps(bench: Bench) -> Iterator[Line]:
    """The time of a step beside TRL's, in turns; what generation and the update reach."""
    yield from _steps_beside_trl(bench)


def vllm_steps(bench: Bench) -> Iterator[Line]:
    """The same with a colocated vLLM."""
    if importlib.util.find_spec("vllm") is None:
        yield "vLLM", "not installed", ""
        return
    yield from _steps_beside_trl(bench, use_vllm=True, vllm_mode="colocate", vllm_gpu_memory_utilization=0.25)


def _steps_beside_trl(bench: Bench, **settings: Any) -> Iterator[Line]:
    settings["max_steps"] = STEPS_A_TURN[bench.is_tiny]
    arms = {"trl": bench.trainer(GRPOTrainer, **settings), "closed": bench.trainer(NPOTrainer, **settings)}
    cache = bench.collect(Written(arms["closed"]), "written")
    arms["guided"] = bench.trainer(NPOTrainer, guidance=cache, **settings)
    clocks = {name: Clock(trainer) for name, trainer in arms.items()}
    order = random.Random(0)
    for _ in range(NUM_TURNS[bench.is_tiny]):
        for name in order.sample(list(arms), len(arms)):
            arms[name].train()
        medians = {name: statistics.median(clock.steps) for name, clock in clocks.items()}
        counted = f"medians of {len(clocks['trl'].steps)} steps"
        yield "step, TRL", f"{medians['trl']:.3g} s", counted
        yield "step, gate closed / TRL", f"{medians['closed'] / medians['trl']:.3f}", counted
        share = arms["guided"].state.log_history[0]["npo/guided_frac"]
        yield (
            "step, guided / TRL",
            f"{medians['guided'] / medians['trl']:.3f}",
            f"{counted}, {share:.0%} of groups guided",
        )
    rows = arms["trl"].args.generation_batch_size
    yield from _rates(bench, clocks["closed"], rows, arms["closed"].model.num_parameters())


def _rates(bench: Bench, clock: Clock, rows: int, num_parameters: int) -> Iterator[Line]:
    """Tokens a second while generating; the share of the fastest product in the rest of the step."""
    length = bench.case.settings["max_completion_length"]
    generation = statistics.median(clock.generations)
    update = statistics.median(s - g for s, g in zip(clock.steps, clock.generations, strict=True))
    yield "generation", f"{rows * length / generation:.0f} tokens/s", f"{rows} rollouts of {length} tokens at once"
    operations = 6 * num_parameters * rows * (bench.case.prompt + length)
    share = operations / update / peak(bench)
    yield "update", f"{update:.3g} s", f"{operations / update / 1e12:.3g} TFLOP/s at 6 a parameter and token"
    yield "update / fastest product", f"{share:.1%}", "without attention and without what is computed again"


def collection(bench: Bench) -> Iterator[Line]:
    """Tokens a second of a whole collection, beside plain generation of the same batches."""
    trainer = bench.trainer(NPOTrainer)
    engine = Ending(trainer)
    engine.generate(list(bench.rows)[:4], seed=0)  # the first call warms up
    asked: list[tuple[Any, int]] = []
    generate = engine.generate

    def recorded(rows: Any, seed: int) -> list[list[int]]:
        asked.append((list(rows), seed))
        return generate(rows, seed)

    engine.generate = recorded  # type: ignore[method-assign]
    began = now()
    counts = bench.collect(engine, "collected", batch_size=64).header.counts
    whole = now() - began
    solved = f"{counts.num_solved} of {counts.num_prompts} prompts in {counts.num_samples} samples"
    yield "collection", f"{counts.num_tokens / whole:.0f} tokens/s", solved
    began = now()
    for rows, seed in asked:
        generate(rows, seed)
    yield "collection / plain generation", f"{(now() - began) / whole:.3f}", f"{len(asked)} batches"


def resume(bench: Bench) -> Iterator[Line]:
    """Four steps in one go, again, and as two and two: how far apart are the weights, with deterministic kernels?"""
    torch.use_deterministic_algorithms(True, warn_only=True)
    settings = {
        "max_steps": 4,
        "save_strategy": "steps",
        "save_steps": 2,
        "learning_rate": 1e-4,
        "optim": "adamw_torch",
    }
    out = bench.folder / "out"

    def trained(checkpoint: Path | None = None) -> dict[str, torch.Tensor]:
        trainer = bench.trainer(NPOTrainer, **settings)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        found = {name: weight.detach().cpu().clone() for name, weight in trainer.model.state_dict().items()}
        del trainer
        gc.collect()
        return found

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        once = trained()
        yield "resumed / in one go", *apart(once, trained(out / "checkpoint-2"))
        yield "in one go, again", *apart(once, trained())
    said = {str(one.message).split(" ")[0] for one in heard if "deterministic" in str(one.message)}
    yield "kernels without a deterministic form", ", ".join(sorted(said)) or "none", ""


def apart(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> tuple[str, str]:
    """How far two sets of weights lie apart."""
    largest = max(float((ours[name] - theirs[name]).abs().max()) for name in ours)
    moved = sum(not torch.equal(ours[name], theirs[name]) for name in ours)
    return ("identical bits", "") if not moved else (f"{largest:.2g}", f"{moved} of {len(ours)} tensors differ")


def memory(bench: Bench) -> Iterator[Line]:
    """The highest memory of a training run, beside the plan."""
    has_gpu = torch.cuda.is_available()
    planned = memory_plan.predict(bench.case, bench.model, bench.folder / "plan", is_cpu=not has_gpu)["peak"]
    yield "memory, planned", f"{planned / 1e9:.3g} GB", bench.case.name
    if has_gpu:
        torch.cuda.reset_peak_memory_stats()
    before = 0 if has_gpu else memory_plan.resident("VmRSS")
    memory_plan.train(bench.case, bench.model, bench.folder / "run")
    peak = torch.cuda.max_memory_allocated() if has_gpu else memory_plan.resident("VmHWM") - before
    how = "torch.cuda.max_memory_allocated" if has_gpu else "resident, with all that was loaded on the way"
    yield "memory, measured", f"{peak / 1e9:.3g} GB", how
    yield "plan / measured - 1", f"{planned / peak - 1:+.1%}", ""


def dtype() -> torch.dtype:
    """What the policy multiplies in."""
    return torch.bfloat16 if torch.cuda.is_available() else torch.float32


def peak(bench: Bench) -> float:
    """Operations a second of the fastest of a few large products."""
    side, where = SIDE[bench.is_tiny], "cuda" if torch.cuda.is_available() else "cpu"
    matrix = torch.randn(side, side, device=where, dtype=dtype())
    seconds = []
    for _ in range(8):
        began = now()
        matrix @ matrix
        seconds.append(now() - began)
    return 2 * side**3 / min(seconds)
