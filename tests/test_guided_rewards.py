"""With guidance: what reward functions are asked, classes and losses that nobody here wrote, where guidance comes from.

Not here: advantages and gradients (`test_trainer_laws`, `test_oracle`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer
from trl.experimental.gmpo import GMPOTrainer

from nearfuture.guidance import GuidanceCache, WindowedCache
from nearfuture.tasks import VerdictReward
from nearfuture.tasks.identity import with_prompt_ids
from nearfuture.train import NPOConfig, NPOTrainer
from nearfuture.types import UserError

G, N = tiny.SETTINGS["num_generations"], tiny.SETTINGS["per_device_train_batch_size"]


def questions(num_prompts: int = 16, **columns: list[Any]) -> Dataset:
    """Rows without ids."""
    rows = Dataset.from_list(tiny.rows(num_prompts)).select_columns(["prompt", "answer"])
    for name, values in columns.items():
        rows = rows.add_column(name, values)
    return rows


def correct(completions: list[str], answer: list[str], **_: Any) -> list[float]:
    return [float(text == right) for text, right in zip(completions, answer, strict=True)]


def cache(folder: Path, rows: Dataset, behavior: Any = tiny.as_scored) -> GuidanceCache:
    """Guidance for every row."""
    return tiny.guidance_for(tiny.npo(folder, train_dataset=with_prompt_ids(rows)), folder / "guidance", None, behavior)


def build(kind: type, folder: Path, rows: Dataset, reward: Any = correct, guidance: Any = None, **settings: Any) -> Any:
    args = NPOConfig(str(folder / "out"), **(tiny.SETTINGS | {"max_pass_rate": 1.0, "max_steps": 1} | settings))
    trainer = kind(tiny.TASK.model, reward, args=args, train_dataset=rows, guidance=guidance)
    return tiny._quiet(trainer)


def trained(kind: type, folder: Path, rows: Dataset, **more: Any) -> Any:
    trainer = build(kind, folder, rows, **more)
    trainer.train()
    return trainer


# ---- a reward that compares the completions of a group


def best_of_group(prompts: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
    """1 for the longest answer to each prompt, the first of several; a lone answer is the best there is."""
    best: dict[str, int] = {}
    for i, prompt in enumerate(prompts):
        if len(completion_ids[i]) > len(completion_ids[best.setdefault(prompt, i)]):
            best[prompt] = i
    return [float(best[prompt] == i) for i, prompt in enumerate(prompts)]


def winners(trainer: GRPOTrainer) -> list[float]:
    values = list(trainer._logs["rewards"]["best_of_group"])
    return [sum(values[i : i + G]) for i in range(0, N, G)]


@pytest.mark.parametrize("accumulation", [1, 2])
def test_asked_about_the_batch_each_group_has_one_winner(tmp_path: Path, accumulation: int) -> None:
    rows = questions()
    more = {"reward": [correct, best_of_group], "guidance": cache(tmp_path, rows), "num_iterations": accumulation}
    batch = trained(NPOTrainer, tmp_path, rows, guided_rewards="batch", **more)
    assert batch.state.log_history[0]["npo/guided_frac"] == 1.0
    assert winners(batch) == [1.0] * (N // G)


def test_asked_about_the_guided_row_alone_two_win(tmp_path: Path) -> None:
    """The default, which is for verifiers."""
    rows = questions()
    row = trained(NPOTrainer, tmp_path, rows, reward=[correct, best_of_group], guidance=cache(tmp_path, rows))
    assert max(winners(row)) == 2.0 and min(winners(row)) >= 1.0


def test_the_gate_and_the_policys_metrics_do_not_see_the_second_question(tmp_path: Path) -> None:
    rows = questions()
    runs = {}
    for scope in ("row", "batch"):
        runs[scope] = trained(
            NPOTrainer,
            tmp_path / scope,
            rows,
            guidance=cache(tmp_path / scope, rows),
            guided_rewards=scope,
            max_steps=2,
        )
    tiny.assert_same_run(runs["batch"], runs["row"])  # for a verifier it makes no difference


def test_a_verdict_that_compares_is_named(tmp_path: Path) -> None:
    def never_last(completion_ids: list[list[int]], **_: Any) -> list[float]:
        return [float(i % G != G - 1) for i in range(len(completion_ids))]

    rows = questions()
    more = {"guidance": cache(tmp_path, rows), "guided_rewards": "batch", "verify_guidance": False}
    with pytest.raises(UserError, match=r"never_last does not find 4 of 4 .* another one carry the verdict"):
        trained(NPOTrainer, tmp_path, rows, reward=never_last, **more)


def test_another_scope_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"guided_rewards='group' is not known\. One of: row, batch"):
        NPOConfig(str(tmp_path), guided_rewards="group")


# ---- reward functions get what the data set has, and nothing else


IDS = {
    "none": ({}, {"answer"}),
    "numbers": ({"prompt_id": list(range(100, 116))}, {"answer", "prompt_id"}),
    "texts": ({"prompt_id": [f"p{i}" for i in range(16)]}, {"answer", "prompt_id"}),
    "another name": ({"uid": list(range(16))}, {"answer", "uid"}),
}


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("watched", ["guidance", "pass rates"])
def test_columns_are_those_that_were_given(tmp_path: Path, name: str, watched: str) -> None:
    added, expected = IDS[name]
    rows = questions(**added)
    seen: list[dict[str, Any]] = []

    def strict(
        prompts: Any,
        completions: Any,
        completion_ids: Any,
        trainer_state: Any,
        log_extra: Any,
        log_metric: Any,
        **rest: Any,
    ) -> list[float]:
        seen.append({"prompt": prompts, **rest})
        return correct(completions, rest["answer"])

    rates: list[str] = []
    guidance = cache(tmp_path, rows) if watched == "guidance" else None
    args = NPOConfig(str(tmp_path / "out"), **(tiny.SETTINGS | {"max_pass_rate": 1.0, "max_steps": 2}))
    trainer = NPOTrainer(
        tiny.TASK.model,
        strict,
        args=args,
        train_dataset=rows,
        guidance=guidance,
        on_pass_rates=lambda ids, _: rates.extend(ids),
    )
    trainer.train()
    by_prompt = {row["prompt"]: row for row in rows}
    assert len(seen) == (5 if guidance else 2)
    for call in seen:
        assert set(call) == expected | {"prompt"}
        for i, prompt in enumerate(call["prompt"]):
            assert {column: values[i] for column, values in call.items()} == by_prompt[prompt]
    assert len(set(rates)) == 2 * N // G and all(isinstance(one, str) for one in rates)
    seen.clear()
    held_out = questions(4, prompt_id=["a", "b", "c", "d"])
    trainer.evaluate(held_out)
    assert {prompt_id for call in seen for prompt_id in call["prompt_id"]} == {"a", "b", "c", "d"}


def test_a_transform_and_guidance_go_together(tmp_path: Path) -> None:
    """What the transform makes is what is hashed, asked and rewarded; it need not know of ids."""
    seen: list[set[str]] = []

    def turn(batch: dict[str, list[str]]) -> dict[str, list[str]]:
        assert "prompt_id" not in batch
        return {"prompt": batch["prompt"], "right": batch["answer"]}

    def by_right(completions: list[str], right: list[str], **columns: Any) -> list[float]:
        seen.append(set(columns))
        return correct(completions, right)

    rows = questions()
    trainer = trained(NPOTrainer, tmp_path, rows.with_transform(turn), reward=by_right, guidance=cache(tmp_path, rows))
    assert trainer.state.log_history[0]["npo/guided_frac"] == 1.0
    assert all("answer" not in names and "prompt_id" not in names for names in seen)


# ---- classes and losses of others


class Penalized(NPOTrainer):
    """Its word is the gate's, the guided rows' and TRL's; said once, though TRL asks again."""

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Any:
        earned = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        return earned + 0.25


def test_a_subclass_that_changes_rewards_is_heard_everywhere_and_once(tmp_path: Path) -> None:
    rows = questions()
    trainer = trained(Penalized, tmp_path, rows, guidance=cache(tmp_path, rows), correct_threshold=1.25)
    earned = set(trainer._logs["rewards"]["correct"])
    assert earned <= {0.25, 1.25} and 1.25 in earned
    row = trainer.state.log_history[0]
    assert row["npo/reward"] == pytest.approx(0.25 + row["npo/pass_rate"])
    held_out = trainer.evaluate(questions(4))
    assert 0.25 <= held_out["eval_reward"] <= 1.25, "an evaluation asks for itself"


class Replaced(NPOTrainer):
    """Looks at nothing of TRL's."""

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Any:
        return torch.tensor([[float(text == row["answer"])] for text, row in zip(completions, inputs, strict=True)])


def test_a_subclass_that_replaces_rewards_trains_as_the_function_would(tmp_path: Path) -> None:
    rows = questions()
    ours, theirs = (
        trained(kind, tmp_path / kind.__name__, rows, guidance=cache(tmp_path / kind.__name__, rows), max_steps=2)
        for kind in (Replaced, NPOTrainer)
    )
    assert tiny.largest_difference(tiny.weights(ours), tiny.weights(theirs)) == 0
    assert ours.state.log_history[0]["npo/guided_frac"] == 1.0


class Geometric(NPOTrainer, GMPOTrainer):
    """TRL's variant with the geometric mean of ratios."""


@pytest.mark.parametrize("settings", [{"weighting": "shaped"}, {"distill_coef": 0.1}], ids=str)
def test_weights_of_tokens_are_refused_with_a_loss_that_takes_none(tmp_path: Path, settings: dict[str, Any]) -> None:
    rows = questions()
    with pytest.raises(UserError, match=r"GMPOTrainer has another one\. Use weighting=importance"):
        build(Geometric, tmp_path, rows, guidance=cache(tmp_path, rows), **settings)


def test_importance_works_with_a_loss_of_others(tmp_path: Path) -> None:
    """A guide that is the learner has ratio 1, as if the learner had sampled; another one has another."""
    rows = questions()
    ends = {}
    for name, behavior in (("itself", tiny.as_scored), ("apart", tiny.apart)):
        guidance = cache(tmp_path / name, rows, behavior)
        for weighting in ("on_policy", "importance"):
            trainer = trained(Geometric, tmp_path / name, rows, guidance=guidance, weighting=weighting, epsilon=10.0)
            ends[name, weighting] = tiny.weights(trainer)
    assert tiny.largest_difference(ends["itself", "importance"], ends["itself", "on_policy"]) < 1e-5
    assert tiny.largest_difference(ends["apart", "importance"], ends["itself", "on_policy"]) > 1e-3


class Wrapped(NPOTrainer):
    """Adds to TRL's loss, which goes on to be TRL's."""

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        return super()._compute_loss(model, inputs) + 0.0


class Bare(NPOTrainer):
    """A loss of its own from the log-probs that TRL computes."""

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
        logps, _, _ = self._get_per_token_logps_and_entropies(model, ids, mask, inputs["completion_ids"].size(1))
        ratio = (logps - inputs.get("old_per_token_logps", logps.detach())).exp()
        return -(ratio * inputs["advantages"][:, None] * inputs["completion_mask"]).sum() / N


class Elsewhere(NPOTrainer):
    """A loss that runs the model by itself."""

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        return model(inputs["completion_ids"]).logits.sum() * 0.0


def test_a_loss_that_would_not_see_the_weights_is_refused(tmp_path: Path) -> None:
    rows = questions()
    guidance = cache(tmp_path, rows)
    trained(Elsewhere, tmp_path, rows, guidance=guidance)
    with pytest.raises(UserError, match="the loss of Elsewhere takes no log-probs from _get_per_token_logps"):
        trained(Elsewhere, tmp_path, rows, guidance=guidance, weighting="importance")


def test_a_subclass_that_adds_to_the_loss_keeps_its_weights(tmp_path: Path) -> None:
    rows = questions()
    more = {"guidance": cache(tmp_path, rows, tiny.apart), "weighting": "shaped"}
    ours, plain = (tiny.weights(trained(kind, tmp_path, rows, **more)) for kind in (Wrapped, NPOTrainer))
    assert tiny.largest_difference(ours, plain) == 0


def test_a_subclass_that_replaces_the_loss_gets_ratios_or_words(tmp_path: Path) -> None:
    rows = questions()
    guidance = cache(tmp_path, rows, tiny.apart)
    with pytest.raises(UserError, match=r"weighting=shaped, .* and Bare has another one"):
        trained(Bare, tmp_path, rows, guidance=guidance, weighting="shaped")
    runs = [trained(Bare, tmp_path, rows, guidance=guidance, weighting=way) for way in ("importance", "on_policy")]
    assert tiny.largest_difference(*map(tiny.weights, runs)) > 1e-3
    assert "npo/entropy" not in runs[0].state.log_history[0]


# ---- where guidance comes from


@pytest.mark.parametrize("kind", [str, Path])
def test_the_folder_of_a_cache_is_opened(tmp_path: Path, kind: type) -> None:
    rows = questions()
    folder = cache(tmp_path, rows).folder
    trainer = trained(NPOTrainer, tmp_path, rows, guidance=kind(folder))
    assert isinstance(trainer.guidance, WindowedCache) and trainer.state.log_history[0]["npo/guided_frac"] == 1.0
    with pytest.raises(UserError, match="no guidance cache at"):
        trainer.set_guidance(kind(tmp_path / "nothing"))


def test_a_config_of_trl_has_the_settings_of_npo_at_their_defaults(tmp_path: Path) -> None:
    settings = {"bf16": False, "gradient_checkpointing": False, "dataloader_pin_memory": False}
    args = GRPOConfig(str(tmp_path / "out"), **(tiny.SETTINGS | settings | {"max_steps": 1}))
    trainer = NPOTrainer(
        tiny.TASK.model, VerdictReward(tiny.TASK), args=args, train_dataset=Dataset.from_list(tiny.rows(16))
    )
    assert trainer.args is args and trainer.npo.max_pass_rate == NPOConfig(str(tmp_path)).max_pass_rate
    trainer.set_guidance(cache(tmp_path, Dataset.from_list(tiny.rows(16))))
    trainer.train()
    assert trainer.state.log_history[0]["npo/guided_frac"] > 0


def test_without_a_config_one_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = questions(2)
    by_name = NPOTrainer(tiny.TASK.model, correct, train_dataset=rows)
    by_object = NPOTrainer(model=by_name.model, reward_funcs=correct, train_dataset=rows)
    for trainer in (by_name, by_object):
        assert isinstance(trainer.args, NPOConfig) and trainer.args == NPOConfig("model-NPO")
    named = GRPOConfig.__dataclass_fields__
    assert {name for name in named if getattr(by_name.args, name) != getattr(NPOConfig("model-NPO"), name)} <= {
        "output_dir"
    }


def test_the_defaults_are_trls_where_trl_can_train_with_its_own(tmp_path: Path) -> None:
    """On a CPU it cannot unless it is told to use it; told so, the two differ in what the device decides."""
    ours, theirs = (kind(str(tmp_path), use_cpu=True) for kind in (NPOConfig, GRPOConfig))
    differ = {name for name in GRPOConfig.__dataclass_fields__ if getattr(ours, name) != getattr(theirs, name)}
    by_device = {"bf16", "activation_checkpointing", "gradient_checkpointing", "dataloader_pin_memory"}
    assert differ - {"accelerator_config", "logging_dir"} <= by_device
