"""What a guide's tokens buy: the same coverage with the run's own answers and with samples where they help.

What it does: trains GRPO for 40 steps on every seed, keeping what it writes (`guidance_harvest`), as the scout of NPO
early does; draws 32 samples of every training prompt from its last policy; then collects guidance four times from these
very samples, with the code that a run collects with: evenly with 8 a prompt (today), and until that coverage is reached
with the harvest, with adaptive samples, with both. Tokens are those of the samples that were drawn. It writes a row a
seed, and the mean ratio to today with a Student interval over seeds.

What it leaves out: whether answers of the run's own teach as much as the guide's (they are those of policies that are
nearer); other worlds.

    OMP_NUM_THREADS=1 python measurements/guide_tokens.py runs/guide_tokens      # 1 minute a seed
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from nearfuture.guidance.allocation import Chances
from nearfuture.guidance.ask import ask
from nearfuture.guidance.draws import BatchResult, Draws
from nearfuture.guidance.harvest import Harvest
from nearfuture.run import build
from nearfuture.run.checkpoints import Policies, find_checkpoints
from nearfuture.run.rows import plain_rows
from nearfuture.run.settings.load import load_configuration
from nearfuture.run.start import train
from nearfuture.stats.seeds import mean_ratio
from nearfuture.train.exact import HARVEST, state_file
from nearfuture.train.hush import hush_libraries

OUTPUT = Path(__file__).parent / "results" / "price" / "tokens.md"
CONFIG = Path(__file__).parent.parent / "configs" / "apprentice" / "grpo.yaml"
STEPS, DRAWN, EVEN, MEAN, BATCH = 40, 32, 8, 4, 128
"""Steps of the scout, samples drawn a prompt, those of today, those of `adaptive` on the average, samples at once."""
WAYS = ("today", "harvest", "adaptive", "both")


@dataclass(frozen=True)
class World:
    """Every sample that any way to collect may draw.

    Attributes:
        tokens: by prompt id, of each sample.
        correct: by prompt id, of each sample.
        kinds: by prompt id.
        harvest: what the scout wrote.
    """

    tokens: Mapping[str, list[int]]
    correct: Mapping[str, list[bool]]
    kinds: Mapping[str, str]
    harvest: Harvest


def world_of(folder: Path, seed: int) -> World:
    """Train a scout and draw from its last policy; what was drawn stays in the folder."""
    run, drawn = folder / f"scout-{seed}", folder / f"drawn-{seed}.json"
    settings = [f"run_dir={run}", f"seed={seed}", f"max_steps={STEPS}", "guidance_harvest=true", "eval_every=0"]
    config = load_configuration(CONFIG, settings)
    if not (run / "final").exists():
        train(config, resume=(run / "lineage.json").exists(), quiet=True)
    checkpoints, task = find_checkpoints(run), build.load_checked_task(config)
    rows = plain_rows(build.training_rows(task))
    if not drawn.exists():
        asked = [row for row in rows for _ in range(DRAWN)]
        with (
            tempfile.TemporaryDirectory() as scratch,
            Policies(config, task, build.training_rows(task), checkpoints, Path(scratch)) as policies,
        ):
            engine = policies.load(STEPS)
            found = list(ask(engine, task.verify, asked, batch_size=512, seeds=count(seed * 1_000_003)))
        values = [[len(one.completion_ids), one.outcome == "correct"] for one in found]
        drawn.write_text(json.dumps([values[i : i + DRAWN] for i in range(0, len(values), DRAWN)]))
    samples = dict(zip((row["prompt_id"] for row in rows), json.loads(drawn.read_text()), strict=True))
    return World(
        tokens={name: [tokens for tokens, _ in values] for name, values in samples.items()},
        correct={name: [is_correct for _, is_correct in values] for name, values in samples.items()},
        kinds={row["prompt_id"]: "/".join(str(row[name]) for name in task.groups) for row in rows},
        harvest=Harvest.read(state_file(checkpoints[STEPS], HARVEST)),
    )


def collect(world: World, way: str, target: int | None) -> tuple[int, int]:
    """Collect until as many prompts have an answer, or to the end; return how many have one, and the tokens drawn."""
    harvests, adapts = way in ("harvest", "both"), way in ("adaptive", "both")
    free = world.harvest.answers(list(world.tokens), after=0) if harvests else {}
    names = [name for name in world.tokens if name not in free]
    known = world.harvest.known(names) if harvests else {}
    tried = {number: known[name] for number, name in enumerate(names) if name in known}
    chances = Chances([world.kinds[name] for name in names], tried) if adapts else None
    draws = Draws(len(names), MEAN if adapts else EVEN, BATCH, 1, chances)
    while (target is None or len(free) + draws.counts().num_solved < target) and (numbers := draws.next_batch()):
        draws.observe(_drawn(world, names, draws, numbers))
    return len(free) + draws.counts().num_solved, draws.counts().num_tokens


def _drawn(world: World, names: list[str], draws: Draws, numbers: list[int]) -> BatchResult:
    """The next samples of these prompts: every way gets the same ones, in the same order."""
    at, places = list(draws.num_drawn), []
    for number in numbers:
        places.append((number, at[number]))
        at[number] += 1
    is_correct = [world.correct[names[number]][i] for number, i in places]
    return BatchResult(
        index=draws.num_batches,
        prompts=numbers,
        num_tokens=[world.tokens[names[number]][i] for number, i in places],
        outcomes=["correct" if correct else "wrong" for correct in is_correct],
        correct=[(number, [i]) for (number, i), correct in zip(places, is_correct, strict=True) if correct],
        seconds=0.0,
    )


def table(worlds: Mapping[int, World]) -> Iterator[str]:
    """Write the table, line by line."""
    found: dict[str, list[tuple[int, int]]] = {way: [] for way in WAYS}
    for world in worlds.values():
        target, tokens = collect(world, "today", None)
        found["today"].append((target, tokens))
        for way in WAYS[1:]:
            found[way].append(collect(world, way, target))
    yield "# Tokens of a guide for the same coverage"
    yield ""
    num_prompts = len(next(iter(worlds.values())).tokens)
    today = f"Today: {EVEN} samples a prompt at most; the others stop where they have as many answers."
    today = f"Today: {EVEN} samples a prompt at most; the others stop where they have as many answers."
    told = "Prompts with an answer / tokens of the guide; ratio to today's tokens, 95 % Student interval over seeds."
    asked = f"the apprentice, the policy of step {STEPS} is asked all {num_prompts} training prompts."
    yield f"Written by `measurements/guide_tokens.py`: {asked} {today} {told}"
    yield ""
    yield f"| seed | answers of the scout's own | {' | '.join(WAYS)} |"
    yield "|" + " --- |" * (len(WAYS) + 2)
    for i, (seed, world) in enumerate(worlds.items()):
        cells = [f"{found[way][i][0]} / {found[way][i][1]:,}" for way in WAYS]
        yield f"| {seed} | {len(world.harvest)} | {' | '.join(cells)} |"
    ratios = ["1"]
    for way in WAYS[1:]:
        pairs = zip(found[way], found["today"], strict=True)
        estimate = mean_ratio(np.array([max(1, mine[1]) / old[1] for mine, old in pairs]))
        ratios.append(f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]")
    yield f"| ratio | | {' | '.join(ratios)} |"


def main() -> None:
    """Train and draw what is missing, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where scouts and samples are kept")
    parser.add_argument("--seeds", type=int, nargs="+", default=[300, 301, 302, 303, 304])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    hush_libraries()
    options.folder.mkdir(parents=True, exist_ok=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    worlds: dict[int, World] = {}
    for seed in options.seeds:
        worlds[seed] = world_of(options.folder, seed)
        options.output.write_text("\n".join(table(worlds)) + "\n")
    print(options.output.read_text(), end="")


if __name__ == "__main__":
    main()
