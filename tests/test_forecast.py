"""What is shown before a run is what the run does, and a default stands in one place."""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import CONFIGS, invoke, run

from nearfuture.lab.forecast.workload import stages_of
from nearfuture.method.lineage import Lineage
from nearfuture.method.trigger_config import TriggerConfig
from nearfuture.options.data import DataConfig
from nearfuture.run import build
from nearfuture.run.disk import disk_plan
from nearfuture.run.settings.config import AutoNPOConfig, Configuration, RunConfig, defaults
from nearfuture.run.settings.load import load_configuration
from nearfuture.run.settings.plan import (
    Compare,
    Confirm,
    Train,
    next_stage,
    num_steps_ahead,
    rollback_steps,
    segments_ahead,
    stages_ahead,
    window_end,
)
from nearfuture.run.settings.sizes import batch_of, numerics_of
from nearfuture.run.show import Display
from nearfuture.train.npo_config import ModelConfig, NPOConfig
from nearfuture.types import Intervention, PolicyRef

SOURCE = Path(__file__).parent.parent / "src" / "nearfuture"
TINY = CONFIGS / "tiny.yaml"
SHORT = [
    "max_steps=6",
    "per_device_train_batch_size=16",
    "save_steps=2",
    "eval_every=2",
    "eval_num_samples=1",
    "guide_num_samples=2",
]
NONE = ["scout_steps=0", "guide_step=null", "rollback_to=null"]
STAYS = ["scout_steps=0", "guide_step=3", "rollback_to=3", "guidance_steps=2"]
KINDS = {
    "plain": NONE,
    "early": ["scout_steps=3", *NONE[1:]],
    "late": ["scout_steps=0", "guide_step=5", "rollback_to=2"],
    "asks itself": [*STAYS, "guidance_lifetime=while_gated"],
    "asks itself, for two steps": STAYS,
    "both": ["scout_steps=2", "guide_step=4", "rollback_to=2"],
    "again": [*NONE, "resample_steps=2"],
    "replayed": ["scout_steps=2", *NONE[1:], "guidance_steps=4"],
}


def forecast(*overrides: str) -> Configuration:
    return load_configuration(TINY, [*SHORT, *overrides])


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_does_what_was_forecast(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    settings = [f"run_dir={folder}", *SHORT, *KINDS[kind]]
    code, output = run("train", TINY, *settings)
    assert code in (0, 3), output  # a guide of so few steps may solve nothing
    config = load_configuration(TINY, settings)
    done = [(s.start_step, s.end_step) for s in Lineage.read(folder / "lineage.json").segments]
    expected = segments_ahead(config)
    assert done == expected[: len(done)]
    code, shown = invoke("train", TINY, *settings, "--dry-run")
    assert code == 0, shown
    assert [line for line in shown.splitlines() if line.startswith("plan:")] == [
        f"plan:   segment {i}: step {start} to {end}" for i, (start, end) in enumerate(expected)
    ]
    if done != expected:
        return
    checkpoints = sum(1 for _ in folder.glob("segments/*/checkpoint-*"))
    assert checkpoints == disk_plan(config, str(folder / "final"), 2048).num_checkpoints
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    stages = stages_of(config, batch_of(config, 1), num_prompts=2048, num_held_out=1)
    num_steps = sum("loss" in row for row in rows)
    assert f"steps:  6 on the path, {num_steps} paid for" in shown
    assert num_steps == num_steps_ahead(config) == sum(stage.steps for stage in stages)
    assert num_steps == Display(config, disk_plan(config, str(folder / "final"), 2048), quiet=True).all_steps
    assert f"{sum('eval/pass_rate' in row for row in rows)} evaluations on the way" in [stage.name for stage in stages]
    asked = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    prompts = [row["num_prompts"] for row in asked if row["event"] == "collected"]
    planned = [int(stage.name.split()[-2]) for stage in stages if "asked" in stage.name]
    assert prompts == planned


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_ahead_is_the_same_wherever_a_run_stands(kind: str) -> None:
    config = forecast(*KINDS[kind])
    stages = list(stages_ahead(config))
    for number, (lineage, stage) in enumerate(stages):
        assert next_stage(lineage, config) == stage
        assert [later for _, later in stages_ahead(config, lineage)] == [later for _, later in stages[number:]]
        if isinstance(stage, Train):
            before, at_its_end = (lineage.extend_head().end_head(stage.until - n, "so far") for n in (1, 0))
            assert num_steps_ahead(config, before) == 1 + num_steps_ahead(config, at_its_end)
    assert rollback_steps(config) >= {6} and all(0 < step <= 6 for step in rollback_steps(config))


@pytest.mark.parametrize("accept", ["always", "if_better"])
def test_what_is_ahead_of_a_run_that_has_gone_back(accept: str) -> None:
    config = forecast(*NONE, "autonpo.mode=act", f"autonpo.accept={accept}")
    guide = PolicyRef(0, 4, "segments/000/checkpoint-4")
    lineage = Lineage.begin().end_head(4, "trigger")
    assert [type(stage) for _, stage in stages_ahead(config, lineage)] == [Confirm, Train]
    gone_back = lineage.branch(Intervention("auto", guide, 2, 4))
    ahead = [stage for _, stage in stages_ahead(config, gone_back)]
    compared = [Train(4, "replayed"), Compare(4)] if accept == "if_better" else []
    assert ahead == [*compared, Train(6, "horizon")] and num_steps_ahead(config, gone_back) == 4


def test_the_plan_alone_reads_when_a_run_intervenes() -> None:
    """A second reader of these keys would be a second plan; `combinations` refuses what cannot be one."""
    keys = {"scout_steps", "guide_step", "rollback_to", "resample_steps", "guidance_steps"}
    readers = {
        path
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in keys and ast.unparse(node.value).split(".")[-1] == "run"
    }
    assert readers == {"run/settings/plan.py", "run/settings/combinations.py"}


def test_a_plan_counts_the_cache_of_a_guide_that_is_the_base() -> None:
    config = forecast(*KINDS["again"])
    model = build.base_model(config, build.load_run_task(config))
    again, never = disk_plan(config, model, 100), disk_plan(forecast(*KINDS["plain"]), model, 100)
    assert never.guidance_bytes == 0 and again.guidance_bytes == 100 * 8 * 8
    assert again.num_checkpoints == never.num_checkpoints


def test_where_nothing_is_said_the_plan_takes_the_trainers_own_default() -> None:
    config = load_configuration(None, ["task=apprentice", "run_dir=runs/x", "max_steps=2"])
    args = NPOConfig("out", max_steps=2)
    for name in ("max_completion_length", "num_generations", "per_device_train_batch_size", "num_iterations", "seed"):
        assert getattr(config.training, name) == getattr(args, name)
    assert config.training.max_pass_rate == args.max_pass_rate and config.training.save_steps == args.save_steps
    assert numerics_of(config, "bfloat16", "ddp", on_cpu=True).weight == 4, "TRL loads float32 where no dtype is set"
    kept = load_configuration(None, ["task=apprentice", "run_dir=runs/x", "max_steps=2", "dtype=auto"])
    assert numerics_of(kept, "bfloat16", "ddp", on_cpu=True).weight == 2


def test_settings_are_as_given_and_nothing_is_worked_out() -> None:
    config = load_configuration(None, ["task=apprentice", "run_dir=runs/x", "max_steps=2", "num_generations=4"])
    assert config.training.num_generations == 4 and config.training.bf16 is None and config.model.use_peft is False
    assert config.with_training(num_generations=2).training.num_generations == 2
    assert vars(config.training).keys() == {field.name for field in dataclasses.fields(NPOConfig)}


HOLDERS = {"training": NPOConfig, "model": ModelConfig, "run": RunConfig, "autonpo": AutoNPOConfig, "data": DataConfig}
GIVEN = ("training_settings", "model_settings", "trl_settings")


def part_of(node: ast.AST | None) -> str | None:
    """`run` for `config.run`, `self.config.run`, `base.run`, ...: a part of something called a configuration."""
    if isinstance(node, ast.Attribute) and node.attr in {*HOLDERS, *GIVEN}:
        name = ast.unparse(node.value).removeprefix("self.")
        return node.attr if name in ("config", "configuration", "base", "cell") else None
    return None


def trees() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield str(path.relative_to(SOURCE)), ast.parse(path.read_text())


def test_every_setting_that_is_read_is_a_field() -> None:
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and (part := part_of(node.value)) in HOLDERS:
                names = {field.name for field in dataclasses.fields(HOLDERS[part])} | {"given"}
                assert node.attr in names, f"{path}: {ast.unparse(node)}"


def test_nobody_looks_a_setting_up_with_a_default_of_their_own() -> None:
    """What is set is handed to TRL as a whole; one setting is read as an attribute."""
    for path, tree in trees():
        for node in ast.walk(tree):
            is_get = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get"
            holder = node.func.value if is_get else node.value if isinstance(node, ast.Subscript) else None
            assert part_of(holder) is None, f"{path}: {ast.unparse(node)}"


def all_settings() -> set[str]:
    sources = (RunConfig, AutoNPOConfig, TriggerConfig, DataConfig, NPOConfig, ModelConfig)
    return {field.name for source in sources for field in dataclasses.fields(source)}


def chosen_defaults(tree: ast.AST) -> Iterator[tuple[str, str, str]]:
    """(function or class, parameter or field, the constant it is by default)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.args[len(node.args.args) - len(node.args.defaults) :], *node.args.kwonlyargs]
            for argument, default in zip(arguments, [*node.args.defaults, *node.args.kw_defaults], strict=True):
                if isinstance(default, ast.Constant):
                    yield node.name, argument.arg, ast.unparse(default)
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                if not isinstance(part, ast.AnnAssign) or not isinstance(part.target, ast.Name):
                    continue
                if isinstance(part.value, ast.Constant):
                    yield node.name, part.target.id, ast.unparse(part.value)


def test_no_function_repeats_the_default_of_a_setting() -> None:
    """Neutral values (off, none, one, seed 0) say nothing; a number that was chosen stands in its field alone."""
    sources = (RunConfig, AutoNPOConfig, TriggerConfig, DataConfig, NPOConfig, ModelConfig)
    neutral = {"None", "0", "1", "0.0", "1.0", "True", "False", "'auto'", "''"}
    own = {
        "slice mode", "sample mode",  # which mistakes belong to a distance: not the controller's mode
        "clipped_cost epsilon",  # the clip of a cost that is measured, not trained with
        # the paper's evaluation
        "Decoding temperature", "Decoding top_p", "Decoding top_k", "Decoding max_completion_length",
        "convert dtype",  # of a folder that is written, not of a model in training
        "EngineSettings vllm_gpu_memory_utilization",  # an engine that has the device to itself
    }  # fmt: skip
    found = {
        f"{owner} {name}"
        for path in SOURCE.rglob("*.py")
        for owner, name, default in chosen_defaults(ast.parse(path.read_text()))
        if name in all_settings() and default not in neutral and owner not in {source.__name__ for source in sources}
    }
    assert not found - own
    assert own <= found, "an exception that is none any more"


def test_every_field_has_a_default() -> None:
    for source in (NPOConfig, ModelConfig):
        assert dataclasses.MISSING not in defaults(source).values()


def test_no_option_of_a_command_repeats_the_default_of_what_it_sets() -> None:
    """The command takes it from the field: `= Wanted.gpu_memory`."""
    chosen = [(path, one) for path, tree in trees() for one in chosen_defaults(tree)]
    fields = {one[1:] for path, one in chosen if not path.startswith("cli/")}
    options = {one for path, one in chosen if path.startswith("cli/")}
    neutral = {"None", "0", "1", "True", "False"}
    assert options and not {one for one in options if one[1:] in fields and one[2] not in neutral}


def test_a_late_guide_is_asked_about_what_is_replayed_alone() -> None:
    """What the base is asked before says nothing about a later guide."""
    late = ("scout_steps=0", "guide_step=40", "rollback_to=20", "max_steps=60")
    ends = {}
    for resampled in (0, 30):
        config = forecast(*late, f"resample_steps={resampled}")
        stages = [stage for _, stage in stages_ahead(config) if isinstance(stage, Intervention)]
        ends[resampled] = [window_end(config, stage) for stage in stages]
    assert ends == {0: [40], 30: [30, 40]}
