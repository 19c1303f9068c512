"""Laws of `NPOTrainer` through the real `trainer.train()`: when it is GRPO, what an injection changes, what it refuses.

Not here: the gradients (`test_oracle`), several processes (`test_two_processes`), resume.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from datasets import Dataset, IterableDataset
from slices import keep, leave
from transformers import Trainer
from trl import GRPOTrainer

from nearfuture.guidance import GuidanceCache
from nearfuture.tasks import VerdictReward
from nearfuture.train import NPOTrainer, seams
from nearfuture.train.examples import Example
from nearfuture.types import Guidance, NoSignalError, UserError

G = tiny.SETTINGS["num_generations"]
N = tiny.SETTINGS["per_device_train_batch_size"]


def guided(folder: Path, *, num_prompts: int | None = None, behavior: Any = tiny.as_scored, **more: Any) -> NPOTrainer:
    """A trainer with guidance for the first `num_prompts` prompts it will meet (default: for all)."""
    cache = tiny.guidance_for(tiny.npo(folder, **more), folder / "guidance", num_prompts, behavior)
    return tiny.npo(folder, guidance=cache, **more)


def trained(trainer: GRPOTrainer) -> Any:
    trainer.train()
    return trainer


def groups_of(values: Any, size: int = G) -> list[list[Any]]:
    """The rows of a generated batch in the order before TRL's shuffle, group by group."""
    flat = list(values)
    return [flat[i : i + size] for i in range(0, len(flat), size)]


# ---- advantages of the mixed group (reconstruction.md 1.6)


class BySlot:
    """Judges a whole batch by slot: the first `num_correct` of each group are correct. Guidance comes apart, and is."""

    __name__ = "correct"

    def __init__(self, num_correct: int, size: int, num_rollouts: int) -> None:
        self.num_correct, self.size, self.num_rollouts = num_correct, size, num_rollouts

    def __call__(self, completions: list[str], **_: Any) -> list[float]:
        if len(completions) != self.num_rollouts:
            return [1.0] * len(completions)
        return [float(i % self.size < self.num_correct) for i in range(len(completions))]


ADVANTAGES = {  # correct among the first 7 of 8 -> (correct, wrong) by "group" (ddof 1), and by "none"
    0: ((2.475, -0.354), (0.875, -0.125)),
    1: ((1.620, -0.540), (0.750, -0.250)),
    2: ((1.208, -0.725), (0.625, -0.375)),
    3: ((0.935, -0.935), (0.500, -0.500)),
    4: ((0.725, -1.208), (0.375, -0.625)),
}


def advantages_with(folder: Path, num_correct: int, scale_rewards: str) -> NPOTrainer:
    settings = {"num_generations": 8, "scale_rewards": scale_rewards, "max_steps": 1}
    return trained(guided(folder, num_prompts=5, reward=BySlot(num_correct, 8, N), **settings))


@pytest.mark.parametrize("scale_rewards", keep(["group"], ["group", "none"]))  # `none` is in the next law as well
@pytest.mark.parametrize("num_correct", ADVANTAGES)
def test_advantages_of_the_mixed_group(tmp_path: Path, num_correct: int, scale_rewards: str) -> None:
    trainer = advantages_with(tmp_path, num_correct, scale_rewards)
    right, wrong = ADVANTAGES[num_correct][scale_rewards == "none"]
    expected = [right] * num_correct + [wrong] * (7 - num_correct) + [right]
    for group in groups_of(trainer._logs["advantages"], 8):
        assert group == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("num_correct", [5, 6, 7])
def test_a_group_above_the_gate_is_left_alone(tmp_path: Path, num_correct: int) -> None:
    trainer = advantages_with(tmp_path, num_correct, "none")
    share = num_correct / 8
    for group in groups_of(trainer._logs["advantages"], 8):
        assert group == pytest.approx([1 - share] * num_correct + [-share] * (8 - num_correct))
    assert trainer.state.log_history[0]["npo/guided_frac"] == 0
    assert all("is_guided" not in batch for batch in trainer._buffered_inputs)


# ---- when it is GRPO

SHAPES: dict[str, dict[str, Any]] = {
    "default": {},
    "grpo, accumulation": {"loss_type": "grpo", "gradient_accumulation_steps": 2, "seed": 1},
    "dapo, two passes": {"steps_per_generation": 2, "per_device_train_batch_size": 8, "num_iterations": 2, "seed": 2},
    "dr_grpo, misaligned, KL": {
        "loss_type": "dr_grpo",
        "gradient_accumulation_steps": 2,
        "steps_per_generation": 1,
        "num_iterations": 3,
        "beta": 0.1,
    },
    "cispo, adam": {
        "loss_type": "cispo",
        "steps_per_generation": 3,
        "per_device_train_batch_size": 4,
        "optim": "adamw_torch",
        "learning_rate": 1e-3,
        "seed": 3,
    },
}


@pytest.mark.parametrize("name", leave(["grpo, accumulation", "cispo, adam"], SHAPES))  # the others have all but Adam
@pytest.mark.parametrize("is_gate_closed", [False, True], ids=["no guidance", "closed gate"])
def test_it_is_grpo_bit_for_bit(tmp_path: Path, name: str, is_gate_closed: bool) -> None:
    """Ten prompts, so that every run goes beyond the end of an epoch and leaves some prompts out there."""
    settings: dict[str, Any] = SHAPES[name] | {"data": tiny.rows(10)}
    unguided = tiny.npo(tmp_path, **settings)
    settings["max_steps"] = unguided.steps_per_epoch(10) + 2
    theirs = trained(tiny.grpo(tmp_path, **settings))
    cache = tiny.guidance_for(unguided, tmp_path / "guidance") if is_gate_closed else None
    ours = trained(tiny.npo(tmp_path, guidance=cache, max_pass_rate=-1.0 if is_gate_closed else 0.6, **settings))
    tiny.assert_same_run(ours, theirs)
    assert theirs.state.epoch > 1
    assert ours.state.log_history[0]["npo/guidance_frac"] == float(is_gate_closed)
    assert tiny.largest_difference(tiny.weights(ours), tiny.weights(tiny.npo(tmp_path))) > 1e-3


def test_an_open_gate_is_not_grpo(tmp_path: Path) -> None:
    plain = trained(tiny.grpo(tmp_path))
    assert tiny.largest_difference(tiny.weights(trained(guided(tmp_path))), tiny.weights(plain)) > 1e-3


def test_after_guidance_is_taken_away_it_is_grpo_again(tmp_path: Path) -> None:
    trainer = guided(tmp_path)
    trainer.set_guidance(None)
    tiny.assert_same_run(trained(trainer), trained(tiny.grpo(tmp_path)))


def test_an_evaluation_is_never_guided(tmp_path: Path) -> None:
    held_out = {"eval_dataset": Dataset.from_list(tiny.rows(8)), "per_device_eval_batch_size": 16}
    metrics = []
    for make in (tiny.npo, guided, tiny.grpo):
        trainer = make(tmp_path, **held_out)
        metrics.append(trainer.evaluate())
        assert trainer._current is None if isinstance(trainer, NPOTrainer) else True
    names = [name for name in metrics[2] if not name.endswith(("_runtime", "_per_second", "_time"))]
    assert "eval_reward" in names
    assert [m[name] for m in metrics[:2] for name in names] == [metrics[2][name] for name in names] * 2


# ---- the two weightings


def test_with_the_learner_as_its_own_guide_the_weightings_agree(tmp_path: Path) -> None:
    """Ratio 1 at the first update, for every loss type the ratio enters."""
    for loss_type in ("dapo", "sapo"):
        settings = {"loss_type": loss_type, "max_steps": 1}
        runs = [trained(guided(tmp_path, weighting=w, **settings)) for w in ("importance", "on_policy")]
        assert runs[0].state.log_history[0]["npo/guided_frac"] > 0
        assert tiny.largest_difference(*map(tiny.weights, runs)) < 1e-5
        assert runs[0].state.log_history[0]["npo/guide/ratio_max"] == pytest.approx(1, abs=1e-4)
        assert runs[0].state.log_history[0]["npo/guide/ess_frac"] == pytest.approx(1, abs=1e-4)


def test_with_a_guide_apart_the_weightings_differ(tmp_path: Path) -> None:
    runs = [trained(guided(tmp_path, behavior=tiny.apart, weighting=w)) for w in ("importance", "on_policy")]
    assert tiny.largest_difference(*map(tiny.weights, runs)) > 1e-3


# ---- what one injection changes


def test_only_the_last_slot_of_a_struggling_group_changes(tmp_path: Path) -> None:
    """At step 1 both runs sample the same; guidance exists for all but the last two prompts of the batch."""
    shown: list[Example] = []
    settings = {"per_device_train_batch_size": 48, "max_steps": 1}
    plain = trained(tiny.npo(tmp_path, **settings))
    cache = tiny.guidance_for(plain, tmp_path / "guidance", 10)
    mixed = trained(tiny.npo(tmp_path, guidance=cache, on_group=shown.append, **settings))

    rows = {row["prompt"]: row for row in mixed.train_dataset}
    prompts = [group[0] for group in groups_of(mixed._logs["prompt"])]
    before, after = (groups_of(trainer._logs["completion"]) for trainer in (plain, mixed))
    pass_rates = [sum(group) / G for group in groups_of(plain._logs["rewards"]["correct"])]
    struggling = [prompt for prompt, rate in zip(prompts, pass_rates, strict=True) if rate <= 0.6]
    expected = {prompt for prompt in struggling if rows[prompt]["prompt_id"] in cache}
    assert 0 < len(expected) < 10 and max(pass_rates) > 0.6, "the batch must have groups of every kind"
    for prompt, old, new in zip(prompts, before, after, strict=True):
        assert new == ([*old[:-1], rows[prompt]["answer"]] if prompt in expected else old)

    # What the loss saw: one guided row a group at most, with the ids and log-probs of the cache, after the shuffle.
    [batch] = mixed._buffered_inputs
    seen = []
    for i in batch["is_guided"].nonzero().flatten().tolist():
        prompt = mixed.processing_class.decode(batch["prompt_ids"][i][batch["prompt_mask"][i].bool()])
        guidance = cache.lookup(rows[prompt]["prompt_id"])
        mask = batch["completion_mask"][i].bool()
        assert tuple(batch["completion_ids"][i][mask].tolist()) == guidance.completion_ids
        assert batch["behavior_logps"][i][mask].tolist() == pytest.approx(guidance.behavior_logps)
        seen.append(prompt)
    assert sorted(seen) == sorted(expected)

    # What people are shown.
    assert [example.prompt for example in shown] == [prompt for prompt in prompts if prompt in expected]
    for example in shown:
        p = prompts.index(example.prompt)
        assert [text for text, _ in example.rollouts] == before[p] and example.guidance_text == after[p][-1]
        assert example.pass_rate == pass_rates[p] and (example.guide_step, example.step) == (120, 1)


def test_our_metrics_are_those_of_the_policy_and_trls_are_not(tmp_path: Path) -> None:
    plain = trained(tiny.npo(tmp_path, max_steps=1)).state.log_history[0]
    mixed = trained(guided(tmp_path, max_steps=1)).state.log_history[0]
    ours = [name for name in plain if name.startswith("npo/") and name not in ("npo/guidance_frac", "npo/guided_frac")]
    ours.remove("npo/entropy")  # over the rows that are trained on; the replaced rollouts are not scored
    assert {name: mixed[name] for name in ours} == {name: plain[name] for name in ours}
    assert mixed["npo/reward"] == plain["reward"] < mixed["reward"]
    assert mixed["npo/guided_frac"] == mixed["mix_policy/offline_replaced_groups"] * G / N > 0
    assert mixed["rollout_tokens"] == plain["rollout_tokens"]


def test_entropy_leaves_the_guided_rows_out(tmp_path: Path) -> None:
    """Every group guided: the entropy of the other rows alone, computed from a fresh forward pass."""
    trainer = guided(tmp_path, max_pass_rate=1.0, max_steps=1)
    recorder = tiny.record(trainer)
    trainer.train()
    [batch] = recorder.generations[0]
    model = tiny.npo(tmp_path).model.eval()
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits[:, batch["prompt_ids"].shape[1] - 1 : -1]
    entropy = torch.distributions.Categorical(logits=logits).entropy()
    own = batch["completion_mask"].bool() & ~batch["is_guided"][:, None]
    row = trainer.state.log_history[0]
    assert int(batch["is_guided"].sum()) == N // G
    assert row["npo/entropy"] == pytest.approx(float(entropy[own].mean()), rel=1e-4)
    assert row["entropy"] != pytest.approx(row["npo/entropy"], rel=1e-4)


class Counting(VerdictReward):
    """The task's verdicts, and how many completions each call judged."""

    def __init__(self) -> None:
        super().__init__(tiny.TASK)
        self.calls: list[int] = []

    def __call__(self, prompts: Any, completions: Any, completion_ids: Any = None, **columns: Any) -> Any:
        self.calls.append(len(completions))
        return super().__call__(prompts, completions, completion_ids, **columns)


def test_nothing_is_verified_twice(tmp_path: Path) -> None:
    reward = Counting()
    cache = tiny.guidance_for(tiny.npo(tmp_path), tmp_path / "guidance", 6)
    trainer = tiny.npo(tmp_path, guidance=cache, reward=reward, max_steps=3)
    assert reward.calls == [6], "each entry once at construction"
    trained(trainer)
    num_guided = [int(row["mix_policy/offline_replaced_groups"]) for row in trainer.state.log_history[:3]]
    assert reward.calls[1:] == [count for guided in num_guided for count in ([N, guided] if guided else [N])]
    assert sum(num_guided) > 0 == num_guided[-1], "guidance for 6 prompts, four of which are met in a step"


def test_verification_at_construction_can_be_switched_off(tmp_path: Path) -> None:
    reward = Counting()
    cache = tiny.guidance_for(tiny.npo(tmp_path), tmp_path / "guidance", 6)
    tiny.npo(tmp_path, guidance=cache, reward=reward, verify_guidance=False)
    assert reward.calls == []


@pytest.mark.parametrize("logged_for", ["all", "guidance only", "rollouts only"])
def test_what_a_reward_function_logs_belongs_to_the_mixed_group(tmp_path: Path, logged_for: str) -> None:
    """Its extra column follows the replaced rows, and is empty where the function brought nothing for a row."""

    def correct(prompts: Any, completions: Any, log_extra: Any, log_metric: Any, **columns: Any) -> list[float]:
        if logged_for == "all" or (logged_for == "rollouts only") == (len(completions) == N):
            log_extra("text", list(completions))
        log_metric("num_judged", len(completions))
        return [float(c == a) for c, a in zip(completions, columns["answer"], strict=True)]

    shown: list[Example] = []
    trainer = trained(guided(tmp_path, reward=correct, on_group=shown.append, max_steps=1))
    assert trainer.state.log_history[0]["num_judged"] == N
    mixed, extra = list(trainer._logs["completion"]), list(trainer._logs["extra"]["text"])
    guided_prompts = {example.prompt for example in shown}
    is_guided = [i % G == G - 1 and prompt in guided_prompts for i, prompt in enumerate(trainer._logs["prompt"])]
    assert 0 < sum(is_guided) < N / G
    keeps = {"all": (True, True), "guidance only": (False, True), "rollouts only": (True, False)}[logged_for]
    assert extra == [text if keeps[guided] else None for text, guided in zip(mixed, is_guided, strict=True)]


# ---- what it refuses


class Fickle(VerdictReward):
    """A verifier that finds guidance correct when it is loaded and wrong afterwards."""

    def __init__(self) -> None:
        super().__init__(tiny.TASK)
        self.num_calls = 0

    def __call__(self, prompts: Any, completions: Any, completion_ids: Any = None, **columns: Any) -> Any:
        self.num_calls += 1
        return [float(self.num_calls == 1)] * len(completions)


def changed(**fields: Any) -> Callable[[Guidance], Guidance]:
    return lambda guidance: replace(guidance, **fields)


def a_cache(folder: Path, change: Callable[[Guidance], Guidance] = lambda g: g, **header: Any) -> GuidanceCache:
    """A cache for the first prompts, with each entry or the header changed."""
    trainer = tiny.npo(folder)
    entries = [(change(g), "") for g in tiny.guidance(trainer, trainer.prompts_between(0, 1))]
    return GuidanceCache.write(folder / "guidance", replace(tiny.header_of(trainer), **header), entries)


WRONG: dict[str, tuple[Callable[[Guidance], Guidance], dict[str, Any], dict[str, Any], str]] = {
    "an answer that is wrong": (changed(completion_ids=(3, 3, 1), behavior_logps=(-1.0,) * 3), {}, {}, "are not now"),
    "another tokenizer": (changed(), {"tokenizer_hash": "0" * 16}, {}, "tokenizer 00000000"),
    "other prompts": (
        lambda g: replace(g, prompt_id=f"other/{g.prompt_id}"),
        {},
        {},
        "none of the 4 prompts in the cache",
    ),
    "prompts that changed": (changed(prompt_hash="f" * 16), {}, {}, "their hash differs"),
    "too long": (changed(), {}, {"max_completion_length": 3}, "max_completion_length=3"),
    "importance at another temperature": (
        changed(),
        {},
        {"weighting": "importance", "temperature": 0.7},
        "sampled at temperature 1.0, this run samples at 0.7",
    ),
    "no such verdict": (changed(), {}, {"verdict_reward": "accuracy"}, r"'accuracy' is not one of .*\['correct'\]"),
}


@pytest.mark.parametrize("name", WRONG)
def test_it_refuses_at_construction(tmp_path: Path, name: str) -> None:
    change, header, settings, message = WRONG[name]
    cache = a_cache(tmp_path, change, **header)
    with pytest.raises(UserError, match=message):
        tiny.npo(tmp_path, guidance=cache, **settings)
    with pytest.raises(UserError, match=message):  # the same rule where the source is exchanged later
        tiny.npo(tmp_path, **settings).set_guidance(cache)


def test_another_temperature_is_fine_where_the_behavior_is_not_used(tmp_path: Path) -> None:
    assert tiny.npo(tmp_path, guidance=a_cache(tmp_path), temperature=0.7).guidance is not None


def test_an_empty_cache_is_no_signal(tmp_path: Path) -> None:
    cache = GuidanceCache.write(tmp_path / "guidance", tiny.header_of(tiny.npo(tmp_path)), [])
    with pytest.raises(NoSignalError, match="solved none"):
        tiny.npo(tmp_path, guidance=cache)


def test_a_verifier_that_changes_its_mind_ends_the_run(tmp_path: Path) -> None:
    trainer = tiny.npo(tmp_path, guidance=a_cache(tmp_path), reward=Fickle())
    with pytest.raises(UserError, match="correct does not find 4 of 4 guided completions correct at step 0"):
        trainer.train()


def test_guidance_excludes_streaming(tmp_path: Path) -> None:
    stream = IterableDataset.from_generator(lambda: iter(tiny.rows()))
    with pytest.raises(UserError, match="known length"):
        tiny.npo(tmp_path, guidance=a_cache(tmp_path), train_dataset=stream)


@pytest.mark.parametrize("feature", ["tools", "rollout_func", "environment_factory"])
def test_guidance_excludes_turns_of_others(tmp_path: Path, feature: str) -> None:
    """The rule itself: TRL accepts none of the three with a tokenizer as small as this world's."""
    trainer, cache = tiny.npo(tmp_path), a_cache(tmp_path)
    name = "environment_factories" if feature == "environment_factory" else feature
    setattr(trainer, name, [max] if feature == "tools" else max)
    with pytest.raises(UserError, match=f"together with {feature}"):
        trainer.set_guidance(cache)


def test_settings_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="One of: on_policy, importance, shaped"):
        tiny.npo(tmp_path, weighting="corrected")
    with pytest.raises(UserError, match="shaping_gamma=0"):
        tiny.npo(tmp_path, weighting="shaped", shaping_gamma=0)
    with pytest.raises(UserError, match="weigh single tokens"):
        tiny.npo(tmp_path, weighting="shaped", importance_sampling_level="sequence")
    with pytest.raises(UserError, match="a share of the rollouts"):
        tiny.npo(tmp_path, max_pass_rate=60)


# ---- the seams of TRL


def test_trl_has_not_moved() -> None:
    assert seams.moved() == []


@pytest.mark.parametrize("name", seams.SIGNATURES)
def test_a_seam_that_moved_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def stand_in(self: Any, something_else: Any) -> None: ...

    monkeypatch.setattr(GRPOTrainer, name, stand_in)
    assert any(f"GRPOTrainer.{name} takes ['self', 'something_else']" in line for line in seams.moved())
    with pytest.raises(ImportError, match=name):
        seams.check()


@pytest.mark.parametrize("name", [name for name in seams.SIGNATURES if not hasattr(Trainer, name)])
def test_a_seam_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delattr(GRPOTrainer, name)
    with pytest.raises(ImportError, match=re.escape(f"GRPOTrainer.{name} is gone")):
        seams.check()


def test_another_return_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """`_generate` with TRL's signature and one value less."""

    class Moved:
        def _generate(self, prompts: Any) -> Any:
            prompt_ids = completion_ids = prompts
            return prompt_ids, completion_ids

    monkeypatch.setattr(GRPOTrainer, "_generate", Moved._generate)
    assert list(inspect.signature(GRPOTrainer._generate).parameters) == seams.SIGNATURES["_generate"]
    [difference] = seams.moved()
    assert "_generate returns" in difference and "tool_images" in difference


# ---- which prompts a stretch of training meets


PACES = [(1, 1, 1), (2, 1, 1), (2, 2, 1), (1, 2, 1), (1, 1, 2), (2, 1, 3), (2, 3, 1)]
"""(gradient_accumulation_steps, steps_per_generation, num_iterations)."""


@pytest.mark.parametrize("shuffle", [True, False], ids=["shuffled", "in order"])
@pytest.mark.parametrize("pace", keep([(1, 2, 1), (2, 1, 3), (2, 3, 1)], PACES), ids=str)  # each number above 1
def test_prompts_between_are_those_that_are_met(tmp_path: Path, pace: tuple[int, int, int], shuffle: bool) -> None:
    """Three generated batches an epoch and one prompt left over; some epochs end with half an accumulation."""
    accumulation, split, passes = pace
    data = tiny.rows(3 * 2 * split + 1)
    num_steps = 9
    trainer = tiny.npo(
        tmp_path,
        data=data,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=accumulation,
        steps_per_generation=split,
        num_iterations=passes,
        max_steps=num_steps,
        shuffle_dataset=shuffle,
    )
    recorder = tiny.record(trainer)
    trainer.train()
    assert trainer.state.epoch > 1

    index_of = {row["prompt"]: i for i, row in enumerate(data)}
    met = [_prompts(trainer, batches, index_of) for batches in recorder.generations]
    by_step = [set().union(*(met[g] for g, _ in step.micro_steps)) for step in recorder.steps]
    for start in range(num_steps):
        for end in range(start + 1, num_steps + 1):
            window = trainer.prompts_between(start, end)
            assert set(window) == set().union(*by_step[start:end]), (start, end)
            assert len(window) == len(set(window))
        assert trainer.prompts_between(start, start) == []


def _prompts(trainer: GRPOTrainer, batches: list[dict[str, Any]], index_of: dict[str, int]) -> set[int]:
    decode = trainer.processing_class.decode
    return {
        index_of[decode(ids[mask.bool()])]
        for batch in batches
        for ids, mask in zip(batch["prompt_ids"], batch["prompt_mask"], strict=True)
    }


def test_prompts_between_come_in_the_order_in_which_they_are_met(tmp_path: Path) -> None:
    order: list[str] = []

    def correct(prompts: list[str], **_: Any) -> list[float]:
        order.extend(prompts)
        return [0.0] * len(prompts)

    trainer = trained(tiny.npo(tmp_path, reward=correct, max_steps=3))
    prompts = [trainer.train_dataset[i]["prompt"] for i in trainer.prompts_between(0, 3)]
    assert prompts == list(dict.fromkeys(order))
