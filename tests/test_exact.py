"""Resume equals continue and rollback equals replay, bit for bit, wherever a run stops.

Property tests over where it stops (k), how much follows (m), accumulation, generation cycles and the end of epochs,
with Adam, a learning-rate schedule and gradient clipping, so that every state that a checkpoint must hold is in play.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import guidance_for, npo, rows

from nearfuture.train import NPOTrainer, checkpoint
from nearfuture.train.callbacks import StopAt
from nearfuture.train.exact import load_buffer, save_buffer
from nearfuture.train.proofs import difference as first_difference
from nearfuture.train.proofs import metrics_of
from nearfuture.types import UserError

few = settings(max_examples=4, deadline=None)
turns = pytest.mark.parametrize("turn", [0, *(pytest.param(turn, marks=pytest.mark.long) for turn in (1, 2, 3))])
"""Each turn draws other examples."""
cycles = st.fixed_dictionaries(
    {
        "gradient_accumulation_steps": st.sampled_from([1, 2, 3]),
        "steps_per_generation": st.sampled_from([1, 2, 4]),
        "num_iterations": st.sampled_from([1, 2]),
        "seed": st.integers(0, 99),
    }
)


def trainer_with(folder: Path, steps: int, cycle: dict[str, Any], **more: Any) -> NPOTrainer:
    """A trainer on 12 prompts: with 4 rows a micro-batch (1 prompt) an epoch ends after a few steps."""
    return npo(
        folder,
        data=rows(12),
        max_steps=steps,
        per_device_train_batch_size=4,
        optim="adamw_torch",
        learning_rate=1e-3,
        lr_scheduler_type="linear",
        warmup_steps=1,
        max_grad_norm=0.5,
        save_strategy="steps",
        save_steps=1000,
        **cycle,
        **more,
    )


def weights(trainer: NPOTrainer) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in trainer.model.named_parameters()}


@turns
@few
@given(k=st.integers(1, 8), m=st.integers(1, 6), cycle=cycles)
def test_resume_equals_continue(turn: int, k: int, m: int, cycle: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = trainer_with(Path(folder) / "whole", k + m, cycle)
        whole.train()
        trainer_with(Path(folder) / "part", k + m, cycle, callbacks=[StopAt(k)]).train()
        resumed = trainer_with(Path(folder) / "part", k + m, cycle)
        torch.rand(k)  # a process that resumes has another history
        resumed.train(resume_from_checkpoint=True)
        assert len(metrics_of(resumed)) == k + m
        assert first_difference(whole, resumed) is None


@turns
@few
@given(k=st.integers(1, 6), m=st.integers(1, 6), cycle=cycles)
def test_rollback_and_replay_reproduces_the_abandoned_tail(turn: int, k: int, m: int, cycle: dict[str, Any]) -> None:
    """On one trainer object, which still holds the tail's buffers, counters and optimizer."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_with(Path(folder), k + m, cycle, callbacks=[StopAt(k + m, save_at={k})])
        trainer.train()
        tail, end = metrics_of(trainer)[k:], weights(trainer)
        trainer.train(resume_from_checkpoint=str(Path(trainer.args.output_dir) / f"checkpoint-{k}"))
        assert metrics_of(trainer)[k:] == tail
        assert all(torch.equal(end[name], value) for name, value in weights(trainer).items())


def test_replay_with_guidance_leaves_the_tail_and_is_itself_exact(tmp_path: Path) -> None:
    cycle = {"gradient_accumulation_steps": 1, "steps_per_generation": 2, "num_iterations": 2, "seed": 3}
    plain = trainer_with(tmp_path / "plain", 8, cycle, callbacks=[StopAt(8, save_at={3})])
    cache = guidance_for(plain, tmp_path / "guidance")
    plain.train()
    back = str(Path(plain.args.output_dir) / "checkpoint-3")
    replays = []
    for name in ("one", "two"):
        replay = trainer_with(tmp_path / name, 8, cycle, guidance=cache, weighting="importance", max_pass_rate=1.0)
        replay.train(resume_from_checkpoint=back)
        replays.append(replay)
    assert first_difference(*replays) is None
    assert first_difference(plain, replays[0]) is not None


def test_guided_rollouts_survive_inside_a_generation_cycle(tmp_path: Path) -> None:
    """The buffer that a checkpoint holds includes who is guided and the guide's log-probs."""
    cycle = {"gradient_accumulation_steps": 1, "steps_per_generation": 4, "num_iterations": 2, "seed": 5}
    settings = {"weighting": "importance", "max_pass_rate": 1.0}
    whole = trainer_with(tmp_path / "whole", 7, cycle, **settings)
    cache = guidance_for(whole, tmp_path / "guidance")
    whole.set_guidance(cache)
    whole.train()
    trainer_with(tmp_path / "part", 7, cycle, guidance=cache, callbacks=[StopAt(3)], **settings).train()
    resumed = trainer_with(tmp_path / "part", 7, cycle, guidance=cache, **settings)
    resumed.train(resume_from_checkpoint=True)
    assert first_difference(whole, resumed) is None
    assert max(row["npo/guided_frac"] for row in metrics_of(whole) if "npo/guided_frac" in row) == 1.0


def test_the_buffer_round_trips_tensors_scalars_and_counts(tmp_path: Path) -> None:
    buffer = [
        {
            "ids": torch.arange(6).view(2, 3),
            "is_guided": torch.tensor([True, False]),
            "n": torch.tensor(7),
            "num_images": [1, 2],
        },
        {
            "ids": torch.arange(6, 12).view(2, 3),
            "is_guided": torch.tensor([False, False]),
            "n": torch.tensor(7),
            "none": None,
        },
    ]
    save_buffer(buffer, tmp_path / "buffer.safetensors")
    loaded = load_buffer(tmp_path / "buffer.safetensors", torch.device("cpu"))
    assert loaded[0]["num_images"] == [1, 2] and "none" not in loaded[1]
    for saved, found in zip(buffer, loaded, strict=True):
        for name, value in saved.items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(found[name], value) and found[name].dtype == value.dtype


def test_evaluation_between_steps_changes_no_bit(tmp_path: Path) -> None:
    from tiny import TASK

    from nearfuture.guidance.held_out import answer, metrics_of
    from nearfuture.train import TRLEngine
    from nearfuture.train.callbacks import AtStep

    cycle = {"gradient_accumulation_steps": 1, "steps_per_generation": 1, "num_iterations": 1, "seed": 1}
    plain = trainer_with(tmp_path / "plain", 4, cycle)
    plain.train()
    watched = trainer_with(tmp_path / "watched", 4, cycle)
    seen = []
    held_out = [dict(row) for row in TASK.evaluation][:6]

    def look(step: int) -> None:
        engine = TRLEngine(watched)
        how = {"batch_size": 5, "seed": 9}
        answers = [answer(engine, held_out, TASK.verify, num_samples=3, **how) for _ in range(2)]
        twice = [metrics_of(each, held_out) for each in answers]
        rates = [{k: v for k, v in result.items() if k != "eval/seconds"} for result in twice]
        assert rates[0] == rates[1], "the same policy and seed give the same rates"
        once = answer(engine, held_out, TASK.verify, num_samples=1, **how)
        by_operator = metrics_of(once, held_out, groups=("operator",))
        values = {row["operator"] for row in held_out}
        assert {f"eval/operator-{value}/pass_rate" for value in values} <= by_operator.keys()
        assert not any("length" in key for key in by_operator)
        seen.append(rates[0]["eval/pass_rate"])

    watched.add_callback(AtStep(lambda step: True, look))
    watched.train()
    assert len(seen) == 4
    assert first_difference(plain, watched) is None


def test_save_total_limit_keeps_the_newest_and_the_pinned(tmp_path: Path) -> None:
    cycle = {"gradient_accumulation_steps": 1, "steps_per_generation": 1, "num_iterations": 1, "seed": 1}
    trainer = trainer_with(tmp_path, 6, cycle, save_total_limit=2, callbacks=[StopAt(6, save_at=range(1, 7))])
    trainer.pinned_steps = frozenset({2})
    trainer.train()
    assert checkpoint.complete_steps(Path(trainer.args.output_dir)) == [2, 5, 6]


def test_checkpoints_that_cannot_be_trusted_are_refused(tmp_path: Path) -> None:
    cycle = {"gradient_accumulation_steps": 1, "steps_per_generation": 2, "num_iterations": 1, "seed": 1}
    trainer = trainer_with(tmp_path, 4, cycle, callbacks=[StopAt(3)])
    with pytest.raises(UserError, match="no whole checkpoint"):
        trainer.train(resume_from_checkpoint=True)
    trainer.train()
    folder = Path(trainer.args.output_dir) / "checkpoint-3"
    with pytest.raises(UserError, match="does not exist"):
        trainer.train(resume_from_checkpoint=str(folder.with_name("checkpoint-2")))
    (folder / "optimizer.pt").write_bytes(b"half")
    with pytest.raises(UserError, match=r"is damaged: optimizer.pt has 4 bytes"):
        trainer.train(resume_from_checkpoint=str(folder))
    checkpoint.open_for_writing(folder)
    with pytest.raises(UserError, match="was not written completely"):
        trainer.train(resume_from_checkpoint=str(folder))
