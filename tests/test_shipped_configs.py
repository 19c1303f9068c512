"""Every configuration that ships passes its dry run, in this process, with a model of the real size on `meta`."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from commands import MODEL

from nearfuture.lab.forecast.dry import dry_run_report
from nearfuture.lab.study.study_config import check_runs, load_study
from nearfuture.run.settings.load import load_configuration, read_yaml

CONFIGS = Path(__file__).parent.parent / "configs"
FILES = sorted(CONFIGS.rglob("*.yaml"))
STUDIES = [path for path in FILES if "methods" in read_yaml(path)]
RUNS = [path for path in FILES if path not in STUDIES]
PAPER = sorted((CONFIGS / "paper").glob("*.yaml"))
MARK = re.compile(r"\[(paper|reported|one account|RLSD|ReMind|CoPD|EasyVideoR1|proposal)\]")
OF_THE_MACHINE = ("run_dir", "seed")


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes messages."""
    folder = tmp_path_factory.mktemp("chat") / "model"
    shutil.copytree(MODEL, folder)
    (folder / "chat_template.jinja").write_text("{% for message in messages %}{{ message['content'] }}{% endfor %}")
    return folder


def with_a_model(path: Path, chat: Path) -> list[str]:
    """A model that lies here, in place of one that a command before this configuration makes (`make real`, a run)."""
    values = read_yaml(path)
    values = values.get("base", values)
    if str(values.get("task", "")).startswith("reasoning_gym/"):
        pytest.importorskip("reasoning_gym")
        return [f"model={chat}"]
    return [f"model={MODEL}"] if str(values.get("model", "")).startswith("runs/") else []


def name(path: Path) -> str:
    return str(path.relative_to(CONFIGS))


@pytest.mark.parametrize("path", RUNS, ids=name)
def test_a_run_passes_its_dry_run(path: Path, chat: Path) -> None:
    configuration = load_configuration(path, with_a_model(path, chat))
    report = dry_run_report(configuration, num_processes=32 if "8b" in path.name else None)
    for said in ("parameters", "memory: ", "batch:  ", "at the peak", "paid for"):
        assert said in report, report


@pytest.mark.parametrize("path", STUDIES, ids=name)
def test_every_method_of_a_study_passes_its_dry_run(path: Path, chat: Path) -> None:
    for configuration in check_runs(load_study(path, with_a_model(path, chat))).values():
        assert "at the peak" in dry_run_report(configuration)


def test_the_papers_methods_are_all_there() -> None:
    methods = {"grpo", "npo_early", "npo_early_late", "autonpo", "luffy", "exgrpo", "rlep"}
    assert {path.stem.removeprefix("qwen3_vl_8b_") for path in PAPER if "_8b_" in path.name} == methods


@pytest.mark.parametrize("path", PAPER, ids=name)
def test_the_update_is_the_papers_wherever_it_runs(path: Path) -> None:
    report = dry_run_report(load_configuration(path), num_processes=32 if "8b" in path.name else 1)
    assert "256 prompts x 8 generations = 2048 rollouts per step" in report
    assert "one update of 2048 rollouts" in report
    assert "rows as its card states" in report and "known shape; none of its files is here" in report
    if "8b" in path.name:
        node = dry_run_report(load_configuration(path, ["gradient_accumulation_steps=128"]), num_processes=8)
        assert "one update of 2048 rollouts" in node


@pytest.mark.parametrize("path", PAPER, ids=name)
def test_every_value_of_the_recipe_says_where_it_comes_from(path: Path) -> None:
    """By a mark on its own line, or on a comment or value above it that speaks for the lines below."""
    covered = False
    for line in path.read_text().splitlines():
        if not line.strip():
            covered = False
        elif MARK.search(line):
            covered = True
        key = line.partition(":")[0]
        if line.strip() and not line.startswith("#") and key not in OF_THE_MACHINE:
            assert covered, f"{path.name}: {line}"
