"""What guidance costs on top of TRL: every number is a ratio of pairs that were measured in turns, inside one run.

What it does: measures, on the apprentice world at its real batch size (configs/apprentice/grpo.yaml), the bits and the
time of a step with the gate closed and open, its peak memory, the collection of guidance, a rollback, and generation;
prints a table, with what was expected before the first run.

What it leaves out: absolute times (they are the machine's), vLLM, more than one process, GPUs.

    OMP_NUM_THREADS=1 python benchmarks/overhead.py                # about 10 minutes
    OMP_NUM_THREADS=1 python benchmarks/overhead.py --write        # and write benchmarks/results/overhead.{md,json}
    OMP_NUM_THREADS=1 python benchmarks/overhead.py --only steps   # one part, 1 to 3 minutes

How steps are timed: each arm has a trainer, built once. In turns, in an order drawn anew each time, each trains four
steps on the same prompts, of which the first is not counted. The learning rate is 0, so that all arms have the same
policy and draw the same rollouts: what differs is what is measured. The policy is the base model and there is guidance
for every prompt, so that nearly every group is guided: the dearest case. A step waits for nothing and runs on one
thread, so its CPU time is its time on a machine at rest, where other jobs do not count; the wall clock is beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from transformers.utils import logging
from trl import GRPOConfig, GRPOTrainer

from nearfuture.tasks import Task, VerdictReward, load_task
from nearfuture.tasks.identity import with_prompt_ids

RESULTS = Path(__file__).parent / "results"
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
STEPS_PER_TURN = 4
HEAP = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}


@dataclass(frozen=True)
class Row:
    """One line of the table. `ratios` are those of the pairs; an empty list where there is nothing to divide."""

    what: str
    bar: str
    expected: str
    measured: str
    is_met: bool | None = None
    ratios: tuple[float, ...] = ()


def ratio_row(what: str, bar: str, expected: str, ratios: Iterable[float], note: str = "") -> Row:
    """A row with the median of ratios and a 95 % interval for it; `bar` is `<= x`, `>= x` or empty."""
    values = sorted(ratios)
    low, high = interval(values)
    median = statistics.median(values)
    sign, _, limit = bar.partition(" ")
    met = None if not limit else median <= float(limit) if sign == "<=" else median >= float(limit)
    note = f"; {note}" if note else ""
    return Row(
        what, bar, expected, f"{median:.3f} ({low:.3f} to {high:.3f}, n={len(values)}){note}", met, tuple(values)
    )


def interval(ordered: list[float]) -> tuple[float, float]:
    """A distribution-free interval for the median: order statistics, n/2 -+ 0.98 sqrt(n); the range where n < 6."""
    n = len(ordered)
    k = max(0, int(n / 2 - 0.98 * n**0.5)) if n >= 6 else 0
    return ordered[k], ordered[n - 1 - k]


def divide(ours: list[float], theirs: list[float]) -> list[float]:
    """Ratios of pairs."""
    return [a / b for a, b in zip(ours, theirs, strict=True)]


class World:
    """The task, its rows, and a folder that is deleted at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.task = load_task("apprentice")
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

    def _make(self, trainer: Any, config: Any, settings: dict[str, Any], **kwargs: Any) -> Any:
        self._num_trainers += 1
        args = config(output_dir=str(self.folder / f"trainer-{self._num_trainers}"), **(REAL | ON_CPU | settings))
        reward = VerdictReward(self.counting())
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
            collect(base, self, self.rows.to_list(), self._cache, KnowsAll(TRLEngine(base)))
        return self._cache


class KnowsAll:
    """An engine that scores as the policy does, and writes the right answer."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def generate(self, rows: Any, seed: int) -> list[list[int]]:
        """The answers, with the stop token."""
        tokenizer = self.engine.trainer.processing_class
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


# Bits


def measure_bits(world: World) -> list[Row]:
    """20 steps of training: losses, rewards, every other metric and the weights, against TRL's trainer."""
    from nearfuture.guidance import GuidanceCache
    from nearfuture.train.proofs import difference, metrics_of

    cache = GuidanceCache.open(world.guidance())
    theirs = world.trl(max_steps=20)
    theirs.train()
    rows = []
    for what, settings in {
        "gate closed": {"guidance": cache, "max_pass_rate": -1.0},
        "no guidance": {},
        "no guidance, fast_generation": {"fast_generation": True},
    }.items():
        ours = world.npo(max_steps=20, **settings)
        ours.train()
        found = difference(theirs, ours)
        compared = f"{len(metrics_of(theirs))} steps, {len(metrics_of(theirs)[-1]) - 1} metrics each, all weights"
        measured = f"identical ({compared})" if found is None else f"first difference: {found}"
        rows.append(Row(f"{what} vs GRPOTrainer, 20 steps", "identical bits", "identical", measured, found is None))
    return rows


# Steps


class Times(TrainerCallback):
    """The duration of every step but a turn's first: batch, rollouts, loss, optimizer, logs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.judged: list[int] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End the step before. What a turn draws depends on what was measured before only by its amount."""
        if state.global_step == 0:
            torch.manual_seed(len(self.wall))
        if state.global_step > 1:
            self._end()
        self.began = (time.perf_counter(), time.process_time(), self.world.num_judged)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """End the last step."""
        self._end()

    def least(self) -> float:
        """CPU time of a turn, each of its steps at its fastest: other jobs only ever add."""
        period = STEPS_PER_TURN - 1
        return sum(min(self.cpu[k::period]) for k in range(period))

    def _end(self) -> None:
        wall, cpu, judged = self.began
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)
        self.judged.append(self.world.num_judged - judged)


def in_turns(world: World, arms: dict[str, Any], num_turns: int) -> dict[str, Times]:
    """Train all arms in turns of a few steps, in an order drawn anew each time. Step k of one is paired with step k."""
    times = {name: Times(world) for name in arms}
    for name, trainer in arms.items():
        trainer.add_callback(times[name])
    order = random.Random(0)
    for _ in range(num_turns):
        for name in order.sample(list(arms), len(arms)):
            arms[name].train()
    return times


def measure_steps(world: World) -> list[Row]:
    """Step time of four kinds of our trainer over TRL's, and the verifier's calls."""
    from nearfuture.guidance import GuidanceCache

    cache = GuidanceCache.open(world.guidance())
    constant = {"max_steps": STEPS_PER_TURN, "learning_rate": 0.0, "shuffle_dataset": False}
    arms = {
        "trl": world.trl(**constant),
        "none": world.npo(**constant),
        "closed": world.npo(cache, max_pass_rate=-1.0, **constant),
        "open": world.npo(cache, **constant),
        "importance": world.npo(cache, weighting="importance", **constant),
    }
    times = in_turns(world, arms, 12)
    judged = {name: statistics.mean(measured.judged) for name, measured in times.items()}
    rows = []
    for name, what, bar, expected in (
        ("none", "step time, no guidance / TRL", "<= 1.02", "1.005"),
        ("closed", "step time, gate closed / TRL", "<= 1.02", "1.01"),
        ("open", "step time, gate open, on_policy / TRL", "<= 1.05", "1.03"),
        ("importance", "step time, gate open, importance / TRL", "<= 1.05", "1.03"),
    ):
        wall = statistics.median(divide(times[name].wall, times["trl"].wall))
        least = times[name].least() / times["trl"].least()
        calls = f"{judged[name]:.0f} verifier calls a step, TRL {judged['trl']:.0f}"
        note = f"of the minima {least:.3f}, wall clock {wall:.3f}; {calls}"
        rows.append(ratio_row(what, bar, expected, divide(times[name].cpu, times["trl"].cpu), note))
    return rows


def measure_shares(world: World) -> list[Row]:
    """The same cost seen from within, and sharper: a step over what is left of it without our own functions."""
    from nearfuture.guidance import GuidanceCache

    cache = GuidanceCache.open(world.guidance())
    constant = {"max_steps": 16, "learning_rate": 0.0}
    closed = world.npo(cache, max_pass_rate=-1.0, **constant)
    importance = world.npo(cache, weighting="importance", **constant)
    what = "step / the step without our own functions"
    return [
        ratio_row(f"{what}, no guidance", "<= 1.02", "", shares(world, world.npo(**constant))),
        ratio_row(f"{what}, gate closed", "<= 1.02", "", shares(world, closed)),
        ratio_row(f"{what}, gate open, on_policy", "<= 1.05", "1.025", shares(world, world.npo(cache, **constant))),
        ratio_row(f"{what}, gate open, importance", "<= 1.05", "", shares(world, importance)),
    ]


def own_functions(trainer: Any) -> list[tuple[Any, str]]:
    """Where our own functions of a step lie."""
    from nearfuture.train import groups

    places = [(trainer, "_lookup")]
    places += [(trainer.onpolicy, name) for name in ("observe", "observe_loss", "take_token_counts")]
    names = ("inject", "reward_guided_rows", "attach", "with_behavior", "show_examples")
    return places + [(groups, name) for name in names]


def shares(world: World, trainer: Any, places: Sequence[tuple[Any, str]] | None = None) -> list[float]:
    """For each step, its CPU time over its CPU time without some functions' (default: all of ours)."""
    places = own_functions(trainer) if places is None else places
    plain = [(place, name, getattr(place, name)) for place, name in places]
    ratios: list[float] = []
    spent = [0.0]

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            result = function(*args, **kwargs)
            spent[0] += time.process_time() - began
            return result

        return call

    class Shares(Times):
        """Compares each step with what our functions took of it."""

        def _end(self) -> None:
            super()._end()
            ratios.append(self.cpu[-1] / (self.cpu[-1] - spent[0]))

        def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
            super().on_step_begin(*args, **kwargs)
            spent[0] = 0.0

    for place, name, function in plain:
        setattr(place, name, timed(function))
    trainer.add_callback(Shares(world))
    trainer.train()
    for place, name, function in plain:
        setattr(place, name, function)
    return ratios


def measure_generation(world: World) -> list[Row]:
    """`fast_generation`, alone and in a whole step; and a second thread, if the machine has a core for it."""
    trainer = world.npo()
    per_batch = REAL["per_device_train_batch_size"] // REAL["num_generations"]
    seconds: dict[bool, list[float]] = {False: [], True: []}
    num_different = num_rows = 0
    for turn, start in enumerate(range(0, 24 * per_batch, per_batch)):
        prompts = [world.rows[i]["prompt"] for i in range(start, start + per_batch) for _ in range(8)]
        prompt_ids = trainer._tokenize_prompts(prompts)[0]
        drawn = {}
        for fast in (False, True) if turn % 2 else (True, False):
            trainer.args.fast_generation = fast
            torch.manual_seed(turn)
            began = time.process_time()
            drawn[fast] = trainer._generate_single_turn(prompt_ids, None, {}, 8)[0]
            seconds[fast].append(time.process_time() - began)
        num_different += sum(a != b for a, b in zip(drawn[False], drawn[True], strict=True))
        num_rows += len(prompts)
    note = f"{num_different} of {num_rows} completions differ"
    constant = {"max_steps": STEPS_PER_TURN, "learning_rate": 0.0, "shuffle_dataset": False}
    arms = {"trl": world.trl(**constant), "fast": world.npo(fast_generation=True, **constant)}
    times = in_turns(world, arms, 10)
    wall = statistics.median(divide(times["fast"].wall, times["trl"].wall))
    steps = divide(times["fast"].cpu, times["trl"].cpu)
    return [
        ratio_row("tokens/s, fast_generation / TRL", "", "2.1", divide(seconds[False], seconds[True]), note),
        ratio_row("step time, fast_generation / TRL", "<= 0.9", "0.82", steps, f"wall clock {wall:.3f}"),
    ]


def measure_threads(world: World) -> list[Row]:
    """A second thread, if the machine has a core for it. Last, because OpenMP's idle threads go on spinning."""
    trainer = world.trl(max_steps=STEPS_PER_TURN, learning_rate=0.0, shuffle_dataset=False)
    times = Times(world)
    trainer.add_callback(times)
    for turn in range(12):
        torch.set_num_threads(1 + turn % 2)
        trainer.train()
    torch.set_num_threads(1)
    turns = [sum(times.wall[i : i + STEPS_PER_TURN - 1]) for i in range(0, len(times.wall), STEPS_PER_TURN - 1)]
    ratios = divide(turns[1::2], turns[::2])
    return [ratio_row("step time, TRL, 2 threads / 1 thread", "", "0.75", ratios)]


# Memory


def measure_memory(world: World) -> list[Row]:
    """Peak resident memory of a process that trains twelve steps, with TRL alone and with the gate open.

    glibc keeps freed memory by rules that depend on the order of frees, and the peak varies by 10 % from run to run;
    with fixed thresholds large tensors go back to the system at once, and the peak is that of what is alive.
    """
    cache = world.guidance()
    peaks: dict[str, list[float]] = {"trl": [], "open": []}
    for _ in range(4):
        for name, values in peaks.items():
            command = [sys.executable, __file__, "--child", name, str(cache)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | HEAP)
            values.append(float(done.stdout.split()[-1]))
    what = "peak memory of the process, gate open / TRL"
    note = f"TRL {statistics.median(peaks['trl']):.0f} MiB"
    return [ratio_row(what, "<= 1.03", "1.01", divide(peaks["open"], peaks["trl"]), note)]


def child(name: str, cache: Path) -> None:
    """Train twelve steps and print the peak in MiB; TRL's process imports nothing of ours but the task."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        if name == "trl":
            trainer = world.trl(max_steps=12)
            assert "nearfuture.guidance" not in sys.modules
        else:
            from nearfuture.guidance import GuidanceCache

            trainer = world.npo(GuidanceCache.open(cache), max_steps=12)
        trainer.train()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


# Collection


class Recorded:
    """An engine that remembers what it was asked to generate."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.asked: list[tuple[Any, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def generate(self, rows: Any, seed: int) -> list[list[int]]:
        """Generate, and remember."""
        self.asked.append((list(rows), seed))
        return self.engine.generate(rows, seed)


def measure_collection(world: World) -> list[Row]:
    """Tokens a second of a whole collection over those of `engine.generate` alone, on the very same batches."""
    from nearfuture.train import TRLEngine

    guide = world.scout()
    rows = world.rows.to_list()[:1024]
    engine = TRLEngine(guide)
    ratios: dict[bool, list[float]] = {False: [], True: []}
    walls: dict[bool, list[float]] = {False: [], True: []}
    extra: list[float] = []
    for fast in ratios:
        guide.args.fast_generation = fast
        for turn in range(5):
            recorded = Recorded(engine)
            began = time.perf_counter(), time.process_time()
            cache = collect(guide, world, rows, world.folder / f"collection-{fast}-{turn}", recorded)
            middle = time.perf_counter(), time.process_time()
            for asked, seed in recorded.asked:
                engine.generate(asked, seed)
            plain, whole = time.process_time() - middle[1], middle[1] - began[1]
            ratios[fast].append(plain / whole)
            extra.append((whole - plain) / sum(len(asked) for asked, _ in recorded.asked) * 1e6)
            walls[fast].append((time.perf_counter() - middle[0]) / (middle[0] - began[0]))
        counts = cache.header.counts
    wall = {fast: f"wall clock {statistics.median(values):.3f}" for fast, values in walls.items()}
    solved = f"{counts.num_solved} of {counts.num_prompts} prompts solved in {counts.num_samples} samples"
    note = f"{wall[False]}; {statistics.median(extra):.0f} us of CPU more a sample; {solved}"
    what = "collection, tokens/s / plain generation"
    return [
        ratio_row(what, ">= 0.95", "0.93", ratios[False], note),
        ratio_row(f"{what}, both with fast_generation", "", "0.90", ratios[True], wall[True]),
    ]


# Rollback


def measure_rollback(world: World) -> list[Row]:
    """From the end of the last step before a rollback to the end of the first step after it, without the collection.

    In it: the guide's checkpoint, written and flushed; the trainer released; a trainer built for the guide and its
    checkpoint loaded; the cache opened; that trainer released; the lineage and the logs written; a trainer built for
    the replay, the cache checked and verified again; the checkpoint restored with optimizer and random states; a step.
    Beside it: a trainer built, one checkpoint restored with everything, one step.
    """
    from nearfuture.run import build, executor
    from nearfuture.run.config import check
    from nearfuture.run.start import train
    from nearfuture.train import callbacks

    plain = {name: value for name, value in REAL.items() if name not in ("save_strategy", "disable_tqdm")}
    steps: list[float] = []
    collections: list[float] = []
    on_log, collect_guidance = callbacks.OnLog.on_log, executor.collect_guidance

    def timed_log(self: Any, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if logs is not None and "loss" in logs:
            steps.append(time.perf_counter())
        on_log(self, args, state, control, logs=logs, **kwargs)

    def timed_collection(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        cache = collect_guidance(*args, **kwargs)
        collections.append(time.perf_counter() - began)
        return cache

    callbacks.OnLog.on_log, executor.collect_guidance = timed_log, timed_collection
    ours, theirs = [], []
    for turn in range(5):
        run_dir = world.folder / f"run-{turn}"
        late = {"max_steps": 5, "guide_step": 4, "rollback_to": 2, "save_steps": 100, "guide_batch_size": BATCH}
        config = check({"task": "apprentice", "run_dir": str(run_dir), **plain, **late})
        del steps[:], collections[:]
        train(config, quiet=True)
        ours.append(steps[4] - steps[3] - collections[0])

        del steps[:]
        hooks = [callbacks.OnLog(lambda *_: None), callbacks.StopAt(3)]
        source = next(run_dir.rglob("checkpoint-2"))
        began = time.perf_counter()
        trainer = build.build_trainer(config, world.task, world.rows, world.folder / f"load-{turn}", callbacks=hooks)
        trainer.train(resume_from_checkpoint=str(source))
        theirs.append(steps[0] - began)
    callbacks.OnLog.on_log, executor.collect_guidance = on_log, collect_guidance
    note = f"{statistics.median(ours):.2f} s against {statistics.median(theirs):.2f} s here"
    return [ratio_row("rollback / fresh trainer, one load, first step", "<= 2", "2.2", divide(ours, theirs), note)]


PARTS: dict[str, Callable[[World], list[Row]]] = {
    "bits": measure_bits,
    "steps": measure_steps,
    "shares": measure_shares,
    "memory": measure_memory,
    "collection": measure_collection,
    "rollback": measure_rollback,
    "generation": measure_generation,
    "threads": measure_threads,
}


def table(parts: dict[str, list[Row]], machine: str) -> str:
    """The table in Markdown."""
    verdicts = {True: "yes", False: "**no**", None: ""}
    rows = [row for name in PARTS for row in parts.get(name, [])]
    lines = [f"| {r.what} | {r.bar} | {r.expected} | {r.measured} | {verdicts[r.is_met]} |" for r in rows]
    return "\n".join(
        [
            "# What guidance costs",
            "",
            f"Written by `benchmarks/overhead.py` ({machine}). Ratios are medians of pairs measured in turns, with a",
            "95 % interval for the median and the number of pairs; `expected` was written down before the first run.",
            "",
            "| what | bar | expected | measured | met |",
            "|---|---|---|---|---|",
            *lines,
            "",
        ]
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(PARTS), action="append", help="one part; may be given more than once")
    parser.add_argument("--write", action="store_true", help="update benchmarks/results/overhead.md and .json")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning)
    if options.child:
        child(options.child[0], Path(options.child[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        parts = {name: PARTS[name](world) for name in options.only or PARTS}
    machine = f"{platform.machine()} CPU, 1 thread, Python {platform.python_version()}, torch {torch.__version__}"
    print(table(parts, machine))
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / "overhead.json"
        before = json.loads(path.read_text())["parts"] if path.exists() else {}
        merged = {name: [Row(**row) for row in rows] for name, rows in before.items()} | parts
        facts = {"machine": machine, "parts": {name: [asdict(row) for row in merged[name]] for name in sorted(merged)}}
        path.write_text(json.dumps(facts, indent=1) + "\n")
        path.with_suffix(".md").write_text(table(merged, machine))


if __name__ == "__main__":
    main()
