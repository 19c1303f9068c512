"""In training too, a rollout that was cut off is wrong for the gate; what it earns is a setting; groups are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tiny
from test_trainer_laws import trained

from nearfuture.train.examples import Example

LENGTH = 4
"""Long enough for a short answer, too short for the others."""


def always(completions: list[Any], **_: Any) -> list[float]:
    return [1.0] * len(completions)


def run(folder: Path, **settings: Any) -> tuple[Any, list[list[float]], list[Example]]:
    rates: list[list[float]] = []
    shown: list[Example] = []
    trainer = tiny.npo(folder, reward=always, max_completion_length=LENGTH, on_group=shown.append, **settings)
    trainer.on_pass_rates = lambda ids, values: rates.append(values)
    trainer.set_guidance(None)  # whoever wants pass rates wants ids
    trainer.shows_group = lambda step: step == 2
    return trained(trainer), rates, shown


def test_the_pass_rate_counts_what_ended(tmp_path: Path) -> None:
    trainer, rates, _ = run(tmp_path)
    for row, values in zip(trainer.state.log_history, rates, strict=False):
        ended = 1.0 - row["completions/clipped_ratio"]
        assert 0 < ended < 1, "some rollouts must be cut off and some not"
        assert abs(sum(values) / len(values) - ended) < 1e-6
        assert row["npo/reward"] == row["reward"] == 1.0, "what a rollout earns is its reward function's, as in TRL"


def test_it_can_earn_what_a_wrong_one_does(tmp_path: Path) -> None:
    trainer, rates, _ = run(tmp_path, truncated_is_wrong=True)
    for row, values in zip(trainer.state.log_history, rates, strict=False):
        assert abs(row["reward"] - (1.0 - row["completions/clipped_ratio"])) < 1e-6
        assert abs(row["npo/reward"] - sum(values) / len(values)) < 1e-6


def test_without_guidance_it_is_trls_own_training_bit_for_bit(tmp_path: Path) -> None:
    """Counting verdicts changes nothing that is trained."""
    ours = trained(tiny.npo(tmp_path / "a", reward=always, max_completion_length=LENGTH))
    theirs = trained(tiny.grpo(tmp_path / "b", reward=always, max_completion_length=LENGTH))
    tiny.assert_same_run(ours, theirs)


def test_a_guide_takes_the_slot_where_all_answers_were_right_but_cut_off(tmp_path: Path) -> None:
    plain = tiny.npo(tmp_path / "plain")
    cache = tiny.guidance_for(plain, tmp_path / "guidance")
    settings = {"max_completion_length": 8, "max_steps": 1, "per_device_train_batch_size": 48}
    open_gate = trained(tiny.npo(tmp_path / "a", reward=always, guidance=cache, max_pass_rate=0.99, **settings))
    row = open_gate.state.log_history[0]
    cut = row["completions/clipped_ratio"]
    assert (row["npo/guided_frac"] > 0) == (cut > 0)


def test_some_groups_without_guidance_are_shown(tmp_path: Path) -> None:
    _, rates, shown = run(tmp_path)
    (example,) = shown
    assert example.step == 2 and example.guidance_text is None and example.prompt_id
    assert len(example.rollouts) == tiny.SETTINGS["num_generations"] and example.pass_rate == rates[1][0]
    assert {verdict for _, verdict in example.rollouts} <= {0.0, 1.0}
    assert sum(verdict for _, verdict in example.rollouts) / len(example.rollouts) == example.pass_rate
