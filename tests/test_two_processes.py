"""Two real processes with gloo, groups split between them: they decide the same, and train what one process trains.

Not here: what each process runs (`two_process_script`), resume on several processes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import two_process_script as script
from torchrun import two_processes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with guidance for five of six prompts a step meets, in which two processes have run every scenario."""
    folder = tmp_path_factory.mktemp("two")
    trainer = tiny.npo(folder, per_device_train_batch_size=script.GLOBAL_BATCH)
    met = trainer.prompts_between(0, 8)
    entries = tiny.guidance(trainer, [index for n, index in enumerate(met) if n % 6 != 4], tiny.apart)
    tiny.GuidanceCache.write(folder / "guidance", tiny.header_of(trainer), [(entry, "") for entry in entries])

    two_processes(script.__file__, folder)
    return folder


@pytest.fixture(scope="module")
def both(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What each of the two processes wrote, by scenario."""
    names = [*script.SCENARIOS, "broken"]
    return {name: [torch.load(folder / f"{name}-{rank}.pt", weights_only=False) for rank in (0, 1)] for name in names}


@pytest.mark.parametrize("scenario", script.SCENARIOS)
def test_both_processes_decide_the_same(both: dict[str, list[dict[str, Any]]], scenario: str) -> None:
    first, second = both[scenario]
    assert first["num_processes"] == second["num_processes"] == 2
    assert all(torch.equal(first["weights"][name], second["weights"][name]) for name in first["weights"])
    for ours, theirs in zip(first["metrics"], second["metrics"], strict=True):
        shared = [name for name in ours if name.startswith(("npo/", "mix_policy/", "reward"))]
        assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}


@pytest.mark.parametrize("scenario", script.SCENARIOS)
def test_two_processes_train_what_one_trains(
    folder: Path, both: dict[str, list[dict[str, Any]]], scenario: str
) -> None:
    first, second = both[scenario]
    one = script.run(folder, scenario, num_processes=1)
    assert one["num_processes"] == 1

    guided = [sorted(a + b) for a, b in zip(first["guided"], second["guided"], strict=True)]
    assert guided == [sorted(prompts) for prompts in one["guided"]]
    assert sum(map(len, guided)) > 0
    largest = max(float(g.abs().max()) for step in one["gradients"] for g in step.values())
    assert largest > 1e-2, "there is something to learn"
    for ours, theirs in zip(first["gradients"], one["gradients"], strict=True):
        assert max(float((ours[name] - theirs[name]).abs().max()) for name in theirs) < 1e-4 * largest  # float32
    assert tiny.largest_difference(first["weights"], one["weights"]) < 1e-4

    counts = ("rollout_tokens", "trained_tokens", "num_tokens")
    for ours, theirs in zip(first["metrics"], one["metrics"], strict=True):
        for name in [name for name in theirs if name.startswith(("npo/", "mix_policy/", "reward", *counts))]:
            if scenario == "accumulated" and name.startswith(("npo/entropy", "npo/guide/")):
                continue  # means over micro-batches, and the shuffle divides rows into other micro-batches
            assert ours[name] == pytest.approx(theirs[name], rel=1e-4, abs=1e-6), name


def test_groups_are_split_and_guided_on_both_processes(both: dict[str, list[dict[str, Any]]]) -> None:
    """The scenarios are what they claim: guided rows on both, unequally many, and once on the second process alone."""
    first, second = both["on_policy"]
    numbers = [(len(a), len(b)) for a, b in zip(first["guided"], second["guided"], strict=True)]
    assert any(a > 0 for a, _ in numbers) and any(b > 0 for _, b in numbers)
    assert any(a != b for a, b in numbers)
    first, second = both["one_group"]
    assert not any(first["guided"]) and any(second["guided"])


def test_a_failing_look_up_on_one_process_ends_both(both: dict[str, list[dict[str, Any]]]) -> None:
    assert [result["error"] for result in both["broken"]] == ["the disk of process 1 is gone"] * 2
    assert [result["step"] for result in both["broken"]] == [1, 1]
