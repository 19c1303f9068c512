"""What people's own TRL scripts do with a trainer besides training once: stop and go on, change data, pass flags."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from datasets import Dataset
from transformers import HfArgumentParser, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from nearfuture import NPOConfig, NPOTrainer
from nearfuture.guidance import GuidanceCache, LayeredSources
from nearfuture.guidance.experience import ExperienceReplay
from nearfuture.guidance.harvest import Harvest
from nearfuture.tasks import VerdictReward
from nearfuture.tasks.identity import with_prompt_ids
from nearfuture.types import Guidance, UserError, Verdict

SETTINGS = {"max_steps": 12, "per_device_train_batch_size": 64, "learning_rate": 0.02}
SAVING = {"save_strategy": "steps", "save_steps": 4}


class Stop(TrainerCallback):
    """Stops a run between two checkpoints, as Ctrl-C does in a notebook."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_training_stop = state.global_step == self.step


def same(one: GRPOTrainer, other: GRPOTrainer) -> bool:
    a, b = tiny.weights(one), tiny.weights(other)
    return all(torch.equal(a[name], b[name]) for name in a)


def checkpoint(folder: Path, step: int) -> str:
    return str(folder / "out" / f"checkpoint-{step}")


MEMORIES: dict[str, Callable[[], Any]] = {
    "harvest": Harvest,
    "experience": lambda: ExperienceReplay(frac=0.5, start_pass_rate=0.0, seed=0),
    "none": lambda: None,
}


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_stopped_run_goes_on_in_the_same_process(memory: str, tmp_path: Path) -> None:
    make = MEMORIES[memory]
    whole = tiny.npo(tmp_path / "whole", data=tiny.rows(32), guidance=make(), **SETTINGS, **SAVING)
    whole.train()
    stopped = tiny.npo(tmp_path / "stopped", data=tiny.rows(32), guidance=make(), **SETTINGS, **SAVING)
    stopped.add_callback(Stop(7))
    stopped.train()
    stopped.train(resume_from_checkpoint=checkpoint(tmp_path / "stopped", 4))
    stopped.callback_handler.pop_callback(Stop)
    stopped.train(resume_from_checkpoint=checkpoint(tmp_path / "stopped", 4))
    assert same(whole, stopped)
    logs = [
        {row["step"]: row["rollout_tokens"] for row in one.state.log_history if "rollout_tokens" in row}
        for one in (whole, stopped)
    ]
    assert logs[0] == logs[1]


def test_a_checkpoint_without_a_memory_gives_back_the_one_that_was_brought(tmp_path: Path) -> None:
    tiny.grpo(tmp_path / "plain", data=tiny.rows(32), **{**SETTINGS, **SAVING, "max_steps": 4}).train()
    plain = checkpoint(tmp_path / "plain", 4)
    trainer = tiny.npo(tmp_path / "ours", data=tiny.rows(32), guidance=Harvest(), **SETTINGS)
    trainer.train(resume_from_checkpoint=plain)
    once = tiny.weights(trainer)
    trainer.train(resume_from_checkpoint=plain)
    again = tiny.weights(trainer)
    assert all(torch.equal(once[name], again[name]) for name in once)


def test_the_latest_answer_is_kept_when_steps_begin_again(tmp_path: Path) -> None:
    harvest = Harvest()
    tiny.npo(tmp_path / "one", data=tiny.rows(32), guidance=harvest, **SETTINGS).train()
    before = {answer.success.prompt_id: answer for answer in harvest._answers.values()}
    second = tiny.npo(tmp_path / "two", data=tiny.rows(32), guidance=harvest, **{**SETTINGS, "max_steps": 2})
    solved: set[str] = set()
    second.on_pass_rates = lambda ids, rates: solved.update(i for i, rate in zip(ids, rates, strict=True) if rate > 0)
    second.train()
    assert solved & before.keys()
    assert sum(harvest._answers[name] is not before[name] for name in solved & before.keys()) > 0


class SetAt(TrainerCallback):
    """Gives a trainer a source of guidance in the middle of a run."""

    def __init__(self, trainer: NPOTrainer, step: int) -> None:
        self.trainer, self.step, self.harvest = trainer, step, Harvest()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            self.trainer.set_guidance(self.harvest)


def nameless(num: int) -> list[dict[str, Any]]:
    """Rows without an id."""
    return [{name: value for name, value in row.items() if name != "prompt_id"} for row in tiny.rows(num)]


def test_guidance_can_be_set_while_a_run_trains(tmp_path: Path) -> None:
    seen: set[tuple[str, ...]] = set()
    judge = VerdictReward(tiny.TASK)

    def strict(prompts: list[str], completions: list[str], **row: Any) -> list[float]:
        seen.add(tuple(sorted(row)))
        return judge(prompts=prompts, completions=completions, **row)

    trainer = tiny.npo(tmp_path, data=nameless(32), reward=strict, **SETTINGS)
    callback = SetAt(trainer, 3)
    trainer.add_callback(callback)
    trainer.train()
    assert len(callback.harvest) > 0 and len(seen) == 1 and "prompt_id" not in next(iter(seen))


@pytest.mark.parametrize("memory", ["harvest", "experience"])
def test_the_data_may_change_between_two_calls(memory: str, tmp_path: Path) -> None:
    source = MEMORIES[memory]()
    trainer = tiny.npo(tmp_path, data=nameless(16), guidance=source, **{**SETTINGS, "max_steps": 3})
    trainer.train()
    trainer.train_dataset = Dataset.from_list(nameless(32)[16:])
    trainer.train()
    assert len(source) > 0 and trainer.state.global_step == 3


def test_one_question_with_two_answers_is_two_prompts(tmp_path: Path) -> None:
    rows = nameless(8)
    both = [*rows, *({**row, "answer": str(int(row["answer"]) + 1)} for row in rows)]
    ids = [row["prompt_id"] for row in with_prompt_ids(both)]
    assert len(set(ids)) == 16 and ids == list(with_prompt_ids(Dataset.from_list(both))["prompt_id"])
    assert len({row["prompt_id"] for row in with_prompt_ids([*rows, *rows])}) == 8
    trainer = tiny.npo(tmp_path, data=both, guidance=Harvest(), **SETTINGS)
    trainer.train()
    assert trainer.state.global_step == SETTINGS["max_steps"]


def test_the_id_stays_where_unused_columns_go(tmp_path: Path) -> None:
    def short(prompts: list[str], completions: list[str], **_: Any) -> list[float]:
        return [float(len(completion) < 3) for completion in completions]

    harvest = Harvest()
    settings = {**SETTINGS, "max_steps": 4, "remove_unused_columns": True}
    trainer = tiny.npo(tmp_path, data=tiny.rows(32), reward=short, guidance=harvest, **settings)
    trainer.train()
    assert trainer.state.global_step == 4 and harvest._tries


def test_streamed_rows_without_ids_can_be_watched(tmp_path: Path) -> None:
    seen: list[str] = []
    streamed = Dataset.from_list(nameless(32)).to_iterable_dataset()
    trainer = tiny.npo(tmp_path, train_dataset=streamed, on_pass_rates=lambda ids, rates: seen.extend(ids), **SETTINGS)
    trainer.train()
    assert set(seen) <= {row["prompt_id"] for row in with_prompt_ids(nameless(32))} and seen


def test_flags_are_those_of_trl() -> None:
    flags = ["--output_dir=out", "--use_cpu"]
    for alone in ("--gradient_checkpointing", "--activation_checkpointing", "--fast_generation"):
        (config,) = HfArgumentParser(NPOConfig).parse_args_into_dataclasses([*flags, alone])
        name = alone.removeprefix("--")
        assert getattr(config, name) is True or config.gradient_checkpointing is True
    (config,) = HfArgumentParser(NPOConfig).parse_args_into_dataclasses([*flags, "--gradient_checkpointing=false"])
    assert config.gradient_checkpointing is False
    (config,) = HfArgumentParser(NPOConfig).parse_args_into_dataclasses(flags)
    assert not config.gradient_checkpointing and not config.bf16  # a CPU


class WithBonus(GRPOTrainer):
    """A trainer of somebody's with an argument of its own."""

    def __init__(self, *args: Any, bonus: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bonus = bonus


class Mine(NPOTrainer, WithBonus):
    """The order that the docs show."""


def test_an_argument_of_a_variant_reaches_it(tmp_path: Path) -> None:
    trainer = tiny.npo(tmp_path, data=tiny.rows(32), **SETTINGS)
    arguments = {
        "model": trainer.model,
        "reward_funcs": VerdictReward(tiny.TASK),
        "args": trainer.args,
        "train_dataset": Dataset.from_list(tiny.rows(32)),
        "processing_class": trainer.processing_class,
    }
    assert Mine(**arguments, bonus=0.5, guidance=Harvest()).bonus == 0.5
    with pytest.raises(TypeError, match="bonnus"):
        NPOTrainer(**arguments, bonnus=0.5)


def test_ratios_are_those_of_all_tokens_of_a_step(tmp_path: Path) -> None:
    """In one micro-batch and in four: the largest is the largest, and shares are not means of shares."""
    logged = []
    for size, accumulation in ((64, 1), (16, 4)):
        folder = tmp_path / str(size)
        settings = {**SETTINGS, "max_steps": 1, "gradient_accumulation_steps": accumulation, "max_pass_rate": 1.0}
        settings |= {"per_device_train_batch_size": size, "steps_per_generation": accumulation}
        asked = tiny.npo(folder / "asked", data=tiny.rows(32), **settings)
        cache = tiny.guidance_for(asked, folder / "cache", behavior=tiny.apart)
        trainer = tiny.npo(folder / "run", data=tiny.rows(32), guidance=cache, **settings)
        trainer.train()
        logged.append({k: v for k, v in trainer.state.log_history[0].items() if k.startswith("npo/guide/")})
    assert len(logged[0]) == 4 and logged[1] == pytest.approx(logged[0], rel=1e-4)


class Serves:
    """A source of one's own, which serves what it is told."""

    def __init__(self, **changed: Any) -> None:
        self.changed = changed
        self.ids: tuple[int, ...] = ()

    def lookup(self, prompt_id: str, step: int) -> Guidance | None:
        ids = self.changed.get("ids", lambda found: found)(self.ids)
        logps = self.changed.get("logps", lambda num: (-0.1,) * num)(len(ids))
        return Guidance(prompt_id, "", ids, logps, 0, 9, Verdict.CORRECT, 1, 1)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ids": lambda ids: ids[:-1]}, "which is no end-of-sequence token"),
        ({"ids": lambda ids: ()}, "is empty"),
        ({"ids": lambda ids: ids[:-1] * 40 + ids[-1:]}, "more than max_completion_length"),
        ({"logps": lambda num: (-0.1,) * (num - 1)}, "log-probs"),
        ({"logps": lambda num: (-0.1,) * (num + 1)}, "log-probs"),
    ],
)
def test_an_answer_that_no_rollout_could_be_is_refused(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    source = Serves(**changed)
    trainer = tiny.npo(tmp_path, data=tiny.rows(32), guidance=source, **SETTINGS)
    source.ids = tiny.gold_ids(trainer, trainer.train_dataset[0])
    with pytest.raises(UserError, match=said):
        trainer.train()


def test_a_list_in_a_list_is_one_list(tmp_path: Path) -> None:
    cache: GuidanceCache = tiny.guidance_for(tiny.npo(tmp_path / "a", data=tiny.rows(32)), tmp_path / "cache")
    harvest = Harvest()
    for nested in ([[harvest, cache]], [LayeredSources((harvest,)), cache]):
        trainer = tiny.npo(tmp_path / "b", data=tiny.rows(32), guidance=nested, **{**SETTINGS, "max_steps": 1})
        assert trainer.harvester is not None and trainer.harvester.harvest is harvest
    with pytest.raises(UserError, match="more than one Harvest"):
        tiny.npo(tmp_path / "c", data=tiny.rows(32), guidance=[Harvest(), Harvest()])


@pytest.mark.parametrize("name", ["max_pass_rate", "correct_threshold", "shaping_gamma"])
@pytest.mark.parametrize("value", [None, "0.6", float("nan"), True])
def test_a_setting_that_is_no_number_is_named(name: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"{name}=.* is not a number"):
        NPOConfig("out", use_cpu=True, **{name: value})


def test_grpo_config_has_no_flag_that_is_lost() -> None:
    ours, theirs = (
        {option: action.nargs for action in HfArgumentParser(kind)._actions for option in action.option_strings}
        for kind in (NPOConfig, GRPOConfig)
    )
    lost = {option for option, nargs in theirs.items() if ours.get(option, "lost") != nargs}
    assert lost == {"--no_gradient_checkpointing", "--no-gradient-checkpointing"}  # the device decides, so no default
