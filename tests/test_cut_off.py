"""A completion that was cut off is wrong wherever a policy is asked, and a run says how many before it pays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from commands import CONFIGS, run
from test_collect import EOS, FakeEngine

from nearfuture.guidance.ask import judged
from nearfuture.guidance.held_out import answer, metrics_of
from nearfuture.types import Verdict

SHORT = [
    "max_steps=2",
    "scout_steps=1",
    "guide_step=null",
    "rollback_to=null",
    "eval_every=0",
    "per_device_train_batch_size=16",
    "save_steps=1",
]


def all_correct(text: str, row: dict[str, Any]) -> Verdict:
    return Verdict.CORRECT


def test_what_did_not_end_is_wrong_and_no_verifier_is_asked() -> None:
    rows = [{"prompt_id": name} for name in "abcd"]
    asked: list[str] = []

    def verify(text: str, row: dict[str, Any]) -> Verdict:
        asked.append(row["prompt_id"])
        return Verdict.CORRECT

    samples = judged(FakeEngine(), verify, rows, [[1, EOS], [1, 2], [], [EOS]])
    assert [s.verdict for s in samples] == [Verdict.CORRECT, Verdict.WRONG, Verdict.WRONG, Verdict.CORRECT]
    assert [s.is_cut_off for s in samples] == [False, True, True, False]
    assert asked == ["a", "d"]


def test_held_out_prompts_count_it_as_wrong_and_say_how_many() -> None:
    rows = [{"prompt_id": f"{i}", "prompt": "?"} for i in range(8)]
    never = answer(FakeEngine(p_eos=0.0), rows, all_correct, num_samples=2, batch_size=4, seed=0)
    assert never.num_correct == [0] * 8 and never.num_judged == [2] * 8 and never.num_cut_off == 16
    always = metrics_of(answer(FakeEngine(p_eos=1.0), rows, all_correct, num_samples=2, batch_size=4, seed=0), rows)
    assert always["eval/pass_rate"] == 1.0 and always["eval/clipped_frac"] == 0.0
    often = FakeEngine(p_eos=0.2, runs_to=3)
    some = metrics_of(answer(often, rows, all_correct, num_samples=8, batch_size=64, seed=0), rows)
    assert some["eval/pass_rate"] == 1.0 - some["eval/clipped_frac"] and 0 < some["eval/clipped_frac"] < 1


def test_a_run_says_so_before_it_pays_for_a_scout_and_where_all_were_cut_off(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    code, output = run("train", CONFIGS / "tiny.yaml", f"run_dir={folder}", *SHORT, "max_completion_length=2")
    text = " ".join(output.split())
    assert code == 3 and "base policy: 0 of 32 samples correct, 32 cut off" in text
    assert text.index("none of them ended") < text.index("collecting guidance")
    assert "cut off 100%" in text and "a later guide does not help" in text
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    looked = next(event for event in events if event["event"] == "base_sampled")
    assert (looked["num_samples"], looked["num_cut_off"]) == (32, 32)


def test_a_run_that_pays_for_no_guide_asks_nothing_first(tmp_path: Path) -> None:
    code, output = run("train", CONFIGS / "tiny.yaml", f"run_dir={tmp_path / 'run'}", *SHORT, "scout_steps=0")
    assert code == 0 and "base policy" not in output
