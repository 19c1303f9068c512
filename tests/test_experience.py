"""Laws of experience replay: buckets, retirement, draws, state; then in a real trainer."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from slices import leave

from nearfuture.guidance.experience import ExperienceReplay, Success
from nearfuture.types import UserError


def success(prompt_id: str, *ids: int) -> Success:
    return Success(prompt_id, "hash", ids or (3, 1), tuple(-0.5 for _ in ids or (3, 1)), 4)


def filled(num_correct: dict[str, int], **settings: float) -> ExperienceReplay:
    replay = ExperienceReplay(**{"start_pass_rate": 0.0, **settings})
    replay.observe(list(num_correct), list(num_correct.values()), [8] * len(num_correct))
    replay.store([success(prompt_id) for prompt_id, k in num_correct.items() if 0 < k < 8])
    return replay


def test_nothing_is_asked_again_before_the_start() -> None:
    replay = ExperienceReplay(start_pass_rate=0.35)
    replay.observe(["a", "b"], [1, 4], [8, 8])  # 5 of 16 = 0.3125
    replay.store([success("a")])
    assert replay.draw(1, 4, 8, set()) == []
    replay.observe(["b"], [6], [8])  # 0.75: begun, for good
    replay.observe(["b"], [0], [8])
    assert replay.draw(2, 4, 8, set()) == ["a"]


def test_a_question_solved_by_all_rollouts_never_comes_back() -> None:
    replay = filled({"a": 4, "b": 3})
    replay.observe(["a"], [8], [8])
    replay.store([success("a", 5, 1)])
    assert len(replay) == 1 and replay.draw(1, 8, 8, set()) == ["b"]


def test_an_answer_found_again_keeps_its_first_log_probs() -> None:
    replay = filled({"a": 2})
    later = Success("a", "hash", (3, 1), (-0.1, -0.1), 9)
    replay.store([later, success("a", 7, 1)])
    assert [(s.completion_ids, s.step) for s in replay.stored("a")] == [((3, 1), 4), ((7, 1), 4)]


def test_buckets_are_drawn_with_gaussian_weights() -> None:
    """Buckets 2, 4 and 7 of 8 with 1000 questions each: weights e^-2, 1, e^-4.5, whatever a bucket holds."""
    replay = filled({f"{k}/{i}": k for k in (2, 4, 7) for i in range(1000 if k == 4 else 500)}, frac=1.0)
    drawn = Counter(replay.draw(step, 1, 8, set())[0].split("/")[0] for step in range(4000))
    weights = {k: math.exp(-((k - 4) ** 2) / 2) for k in (2, 4, 7)}
    for k, weight in weights.items():
        p = weight / sum(weights.values())
        assert drawn[str(k)] / 4000 == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 4000))


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(0, 8)), st.integers(0, 99))
def test_draws_are_distinct_stored_and_a_function_of_the_state(num_correct: dict[str, int], step: int) -> None:
    replay = filled(num_correct)
    again = ExperienceReplay(start_pass_rate=0.0)
    again.load_state_dict(replay.state_dict())
    taken = set(list(num_correct)[:2])
    drawn = replay.draw(step, 10, 8, taken)
    assert drawn == again.draw(step, 10, 8, taken)
    assert len(drawn) == len(set(drawn)) <= 5
    assert not taken & set(drawn)
    assert all(0 < num_correct[prompt_id] < 8 for prompt_id in drawn)


def test_a_share_is_a_share() -> None:
    with pytest.raises(UserError, match=r"frac=1\.5.*between 0 and 1"):
        ExperienceReplay(frac=1.5)


SETTINGS = {"weighting": "shaped", "max_pass_rate": 1.0, "max_steps": 4, "max_completion_length": 8}


def test_what_is_stored_is_what_the_policy_gave_it(tmp_path: Path) -> None:
    """With a learning rate of 0 the stored log-probs are those of the present policy, to the last rounding."""
    replay = ExperienceReplay(start_pass_rate=0.0)
    trainer = tiny.npo(tmp_path, guidance=replay, **SETTINGS | {"learning_rate": 0.0})
    trainer.train()
    trainer.replayer.flush()
    found = [s for row in trainer.train_dataset["prompt_id"] if row in replay._stored for s in replay.stored(row)]
    assert found
    rows = {row["prompt_id"]: row for row in trainer.train_dataset}
    scores = tiny.TRLEngine(trainer).score([rows[s.prompt_id] for s in found], [s.completion_ids for s in found])
    for stored, expected in zip(found, scores, strict=True):
        assert stored.logps == pytest.approx(expected, abs=1e-4)
        assert trainer.processing_class.decode(stored.completion_ids, skip_special_tokens=True)


def test_questions_come_back_with_one_replayed_answer(tmp_path: Path) -> None:
    replay = ExperienceReplay(start_pass_rate=0.0)
    trainer = tiny.npo(tmp_path, guidance=replay, **SETTINGS | {"max_steps": 6})
    trainer.train()
    logs = [row for row in trainer.state.log_history if "replay/num_served" in row]
    assert max(row["replay/num_served"] for row in logs) > 0
    for row in logs:
        assert row["replay/num_served"] == row["mix_policy/offline_replaced_groups"]
        assert row["replay/num_served"] <= 0.5 * row["mix_policy/online_groups_evaluated"]


@pytest.mark.parametrize("shape", leave([(1, 1, 1)], [(1, 1, 1), (2, 1, 1), (1, 2, 2)]), ids=str)
def test_resumed_equals_never_stopped(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    accumulation, split, passes = shape
    settings = {
        **SETTINGS,
        "gradient_accumulation_steps": accumulation,
        "steps_per_generation": split,
        "num_iterations": passes,
        "max_steps": 6,
        "save_strategy": "steps",
        "save_steps": 3,
        "optim": "adamw_torch",
        "learning_rate": 1e-4,
        "per_device_train_batch_size": 32,
    }
    whole = tiny.npo(tmp_path / "whole", guidance=ExperienceReplay(start_pass_rate=0.0), **settings)
    whole.train()
    resumed = tiny.npo(tmp_path / "resumed", guidance=ExperienceReplay(start_pass_rate=0.0), **settings)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "out" / "checkpoint-3"))
    a, b = tiny.weights(whole), tiny.weights(resumed)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert whole.guidance.state_dict() == resumed.guidance.state_dict()
    assert len(whole.guidance) > 0
