"""The model card of a final policy: what the Hub reads in it, what people read, and that its code loads the policy.

Not here: the card beside a real run's final policy (`test_fork.py`, `test_adapters.py`).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from commands import MODEL
from huggingface_hub import ModelCard
from run_folders import grpo_run, npo_run

from nearfuture.record.records import RunRecords
from nearfuture.run.card import is_on_the_hub, write_card


def card_of(run: Path, base: str, folder: Path) -> ModelCard:
    folder.mkdir(exist_ok=True)
    write_card(RunRecords.load(run), base, folder)
    return ModelCard.load(folder / "README.md")


def load(card: ModelCard, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the card's own code in the folder of the policy."""
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(card.text.split("```python\n")[1].split("```")[0], names)
    return names["model"]


def test_it_says_what_trained_the_policy_at_what_cost_to_what_end(tmp_path: Path) -> None:
    run = npo_run(tmp_path / "npo")
    with open(run / "config.yaml", "a") as file:
        file.write("dataset_name: openai/gsm8k\nguidance_harvest: true\ntask_file: /home/ann/tasks/sums.py\n")
    card = card_of(run, "Qwen/Qwen3-0.6B", tmp_path / "final")
    data = card.data.to_dict()
    assert data["base_model"] == "Qwen/Qwen3-0.6B" and data["library_name"] == "transformers"
    assert data["pipeline_tag"] == "text-generation" and {"nearfuture", "trl", "npo"} <= set(data["tags"])
    assert "license" not in data  # it is not known
    said = card.text
    assert "`0>4, 0>10 by 0@4, 6>12 by 1@10`" in said
    assert "12 in this policy, 20 paid for" in said
    assert "task_file: sums.py" in said and "/home" not in said and str(tmp_path) not in said
    again = card_of(run, "Qwen/Qwen3-0.6B", tmp_path / "again")
    assert str(again) == str(card)


def test_held_out_numbers_have_their_prompts_and_an_interval(tmp_path: Path) -> None:
    said = card_of(grpo_run(tmp_path / "grpo"), "gpt2", tmp_path / "final").text
    rates = RunRecords.load(tmp_path / "grpo").curve("eval/pass_rate")
    row = next(line for line in said.splitlines() if line.startswith("| all |"))
    assert f"{rates.values[-1]:.3f} [" in row and "50 prompts" in said and "samples of each: 4." in said
    low, high = (float(number) for number in row.rpartition("[")[2].rstrip(" |]").split(", "))
    rate, z, num = float(rates.values[-1]), 1.959964, 50
    centre, root = rate + z * z / (2 * num), z * ((rate * (1 - rate) + z * z / (4 * num)) / num) ** 0.5
    assert low == pytest.approx((centre - root) / (1 + z * z / num), abs=0.002)
    assert high == pytest.approx((centre + root) / (1 + z * z / num), abs=0.002)
    assert "trained with grpo\n" in said


@pytest.mark.parametrize(
    ("base", "named"),
    [("Qwen/Qwen3-0.6B", True), ("gpt2", True), ("runs/a/final", False), ("/models/x", False), ("./x", False)],
)
def test_only_names_of_the_hub_are_given_to_the_hub(base: str, named: bool, tmp_path: Path) -> None:
    assert is_on_the_hub(base) is named
    assert ("base_model" in card_of(grpo_run(tmp_path / "run"), base, tmp_path / "final").data.to_dict()) is named


def test_the_licence_is_the_base_models_own(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "README.md").write_text("---\nlicense: apache-2.0\n---\n\n# Base\n")
    assert card_of(grpo_run(tmp_path / "run"), str(base), tmp_path / "final").data.license == "apache-2.0"


def test_its_code_loads_the_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(MODEL, tmp_path / "final")
    card = card_of(grpo_run(tmp_path / "run"), str(MODEL), tmp_path / "final")
    assert load(card, tmp_path / "final", monkeypatch).num_parameters() > 0
