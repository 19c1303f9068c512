"""Fast generation draws what TRL draws: the same law, the same ends, and on a CPU the same tokens from one seed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from slices import keep
from tiny import assert_same_run, npo, rows
from torch import nn

from nearfuture.train import NPOTrainer, generation
from nearfuture.train.callbacks import StopAt
from nearfuture.train.proofs import difference

Ids = list[list[int]]


def prompts(num_prompts: int, num_generations: int) -> list[str]:
    """Prompts of all lengths, each as often as a group asks for."""
    return [row["prompt"] for row in rows(num_prompts) for _ in range(num_generations)]


def sample(trainer: NPOTrainer, asked: list[str], *, fast: bool, seed: int = 0) -> tuple[Ids, torch.Tensor]:
    """The completions, and the random state afterwards."""
    trainer.args.fast_generation = fast
    torch.manual_seed(seed)
    ids = trainer._generate_single_turn(trainer._tokenize_prompts(asked)[0], None, {}, 1)[0]
    return ids, torch.get_rng_state()


def probabilities(trainer: NPOTrainer, prompt: str, length: int) -> dict[tuple[int, ...], float]:
    """The exact probability of every way a completion can begin, by `length` forward passes without a cache."""
    stops = trainer.eos_token_ids
    beginnings: dict[tuple[int, ...], float] = {(): 1.0}
    asked = trainer._tokenize_prompts([prompt])[0][0]
    for _ in range(length):
        longer = {ids: p for ids, p in beginnings.items() if ids and ids[-1] in stops}
        writing = [ids for ids in beginnings if ids not in longer]
        with torch.no_grad():
            logits = trainer.model(torch.tensor([[*asked, *ids] for ids in writing])).logits[:, -1]
        for ids, row in zip(writing, torch.softmax(logits.double() / trainer.args.temperature, -1), strict=True):
            longer |= {(*ids, token): beginnings[ids] * p for token, p in enumerate(row.tolist())}
        beginnings = longer
    return beginnings


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_completions_have_the_law_of_the_policy(tmp_path: Path, temperature: float) -> None:
    trainer = npo(tmp_path, temperature=temperature)
    num_samples, prompt = 4096, rows(8)[-1]["prompt"]
    counts = Counter(tuple(ids[:2]) for ids in sample(trainer, [prompt] * num_samples, fast=True)[0])
    exact = probabilities(trainer, prompt, 2)
    assert sum(exact.values()) == pytest.approx(1)
    for ids, p in exact.items():
        sigma = (p * (1 - p) / num_samples) ** 0.5
        assert abs(counts[ids] / num_samples - p) <= 5 * sigma + 1 / num_samples, (ids, p)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 3.0, "max_completion_length": 2},
        {"top_p": 0.7},
        {"top_k": 3},
        {"min_p": 0.2},
        {"max_completion_length": 1},
        {"peft_config": LoraConfig(target_modules=["q_proj", "v_proj"])},
    ],
    ids=" ".join,
)
def test_the_same_seed_draws_the_tokens_of_trl(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Mixed prompt lengths, groups and single rows; token for token, and with the same random state afterwards."""
    trainer = npo(tmp_path, **settings)
    asked = [*prompts(16, 5), *prompts(3, 1)]
    for seed in range(3):
        ours, our_state = sample(trainer, asked, fast=True, seed=seed)
        theirs, their_state = sample(trainer, asked, fast=False, seed=seed)
        assert ours == theirs
        assert torch.equal(our_state, their_state)


def test_without_padding_there_is_no_mask_and_nothing_changes(tmp_path: Path) -> None:
    trainer = npo(tmp_path)
    asked = [row["prompt"] for row in rows(32) if len(row["prompt"]) == len(rows(32)[0]["prompt"])] * 3
    assert sample(trainer, asked, fast=True)[0] == sample(trainer, asked, fast=False)[0]


def test_greedy_is_greedy(tmp_path: Path) -> None:
    """With top_k = 1 there is nothing to draw: the tokens of `model.generate`, with sampling and without."""
    trainer = npo(tmp_path, top_k=1)
    asked = prompts(16, 2)
    batch = trainer.processing_class(asked, padding=True, return_tensors="pt")
    greedy = trainer.model.generate(**batch, do_sample=False, max_new_tokens=8)[:, batch["input_ids"].shape[1] :]
    ours = sample(trainer, asked, fast=True)[0]
    assert [row[: len(ids)] for row, ids in zip(greedy.tolist(), ours, strict=True)] == ours
    fast = trainer.model.generate(
        **batch,
        do_sample=False,
        max_new_tokens=8,
        custom_generate=generation.decode,
        prompt_of_row=torch.arange(len(asked)),
    )
    assert torch.equal(fast[:, batch["input_ids"].shape[1] :], greedy)


def test_completions_end_at_a_stop_token_or_at_the_longest_length(tmp_path: Path) -> None:
    trainer = npo(tmp_path, max_completion_length=4, temperature=1.5)
    completions = sample(trainer, prompts(32, 4), fast=True)[0]
    stops = trainer.eos_token_ids
    assert min(map(len, completions)) < max(map(len, completions)) == 4
    for ids in completions:
        assert not any(token in stops for token in ids[:-1])
        assert ids[-1] in stops or len(ids) == 4


def test_each_prompt_is_read_once_and_rows_that_have_ended_leave(tmp_path: Path) -> None:
    trainer = npo(tmp_path)
    sizes: list[int] = []
    trainer.model.register_forward_hook(lambda module, inputs, output: sizes.append(len(output.logits)))
    completions = sample(trainer, prompts(8, 4), fast=True)[0]
    lengths = [len(ids) for ids in completions]
    assert sizes == [8, *(sum(length > t for length in lengths) for t in range(1, max(lengths)))]


def test_settings_that_reach_past_trl_s_take_its_own_path(tmp_path: Path) -> None:
    trainer = npo(tmp_path, generation_kwargs={"num_beams": 1})
    assert not generation.is_applicable(trainer, trainer.model)
    assert generation.generate(trainer, lambda ids, *args: (ids, args), [[1]], None, {}) == ([[1]], (None, {}))


def test_a_model_with_dropout_takes_trl_s_own_path_while_it_trains(tmp_path: Path) -> None:
    """TRL generates in training mode: shared prompts would share a dropout mask."""
    trainer = npo(tmp_path)
    assert generation.is_applicable(trainer, trainer.model.train())
    trainer.model.model.layers[0].mlp.dropout = nn.Dropout(0.1)
    assert not generation.is_applicable(trainer, trainer.model.train())
    assert generation.is_applicable(trainer, trainer.model.eval())


@pytest.mark.parametrize("settings", [{"cache_implementation": "static"}, {"repetition_penalty": 1.5}], ids=str)
def test_what_does_not_go_row_by_row_takes_trl_s_own_path(tmp_path: Path, settings: dict[str, Any]) -> None:
    trainer = npo(tmp_path, **settings)
    sizes: list[int] = []
    trainer.model.register_forward_hook(lambda module, inputs, output: sizes.append(len(output.logits)))
    assert sample(trainer, prompts(4, 2), fast=True)[0] == sample(trainer, prompts(4, 2), fast=False)[0]
    assert set(sizes) == {8}


def test_the_model_is_left_as_it_was(tmp_path: Path) -> None:
    trainer = npo(tmp_path)
    seen: list[bool] = []

    def turn(prompt_ids: Ids, images: None, fields: dict[str, Any]) -> None:
        seen.append("generate" in vars(trainer.model))
        raise KeyError

    with pytest.raises(KeyError):
        generation.generate(trainer, turn, [[3], [3]], None, {})
    assert seen == [True] and "generate" not in vars(trainer.model)


def test_a_run_is_the_same_with_and_without(tmp_path: Path) -> None:
    settings = {"max_steps": 4, "steps_per_generation": 2, "num_iterations": 2}
    slow = npo(tmp_path / "slow", **settings)
    slow.train()
    fast = npo(tmp_path / "fast", fast_generation=True, **settings)
    fast.train()
    assert_same_run(fast, slow)


@pytest.mark.parametrize("k", keep([3, 4], [1, 3, 4, 6]))  # inside a generation cycle, and between two
def test_resume_equals_continue_with_fast_generation(tmp_path: Path, k: int) -> None:
    settings: dict[str, Any] = {
        "max_steps": 8,
        "data": rows(12),
        "per_device_train_batch_size": 4,
        "steps_per_generation": 2,
        "num_iterations": 2,
        "optim": "adamw_torch",
        "learning_rate": 1e-3,
        "save_strategy": "steps",
        "save_steps": 1000,
        "fast_generation": True,
    }
    whole = npo(tmp_path / "whole", **settings)
    whole.train()
    npo(tmp_path / "part", callbacks=[StopAt(k)], **settings).train()
    resumed = npo(tmp_path / "part", **settings)
    torch.rand(k)
    resumed.train(resume_from_checkpoint=True)
    assert difference(whole, resumed) is None
