"""From the wheel to a first run: what `init` writes is right as it stands, and what ships is found by its name."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
from commands import invoke, run
from huggingface_hub import constants

import nearfuture
from nearfuture.cli import app
from nearfuture.lab.study.study_config import load_study
from nearfuture.options import shipped
from nearfuture.run.early import check_model
from nearfuture.run.settings.first import KINDS, ON_CPU
from nearfuture.run.settings.load import load_configuration
from nearfuture.tasks import load_task
from nearfuture.types import UserError


@pytest.mark.parametrize("method", KINDS)
@pytest.mark.parametrize("source", [*([f"--task={name}"] for name in ON_CPU), ["--data=gsm8k"], ["--task=own.py:mine"]])
def test_what_init_writes_is_a_checked_configuration(
    source: list[str], method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, output = invoke("init", "a.yaml", *source, "--method", method)
    assert code == 0 and "next: nearfuture train a.yaml" in output, output
    config = load_configuration(Path("a.yaml"))
    assert str(config.run.run_dir) == "runs/a"
    assert {"npo": config.run.scout_steps > 0, "autonpo": config.autonpo.mode == "act"}.get(method, True)
    options = re.sub(
        r"^# (?=[a-z_]+: )", "", Path("a.yaml").read_text(), flags=re.MULTILINE
    )  # with all that is optional
    Path("b.yaml").write_text(options)
    assert load_configuration(Path("b.yaml")).model.use_peft
    assert invoke("init", "a.yaml", *source)[0] == 2  # nothing is replaced unasked
    assert invoke("init", "a.yaml", *source, "--force")[0] == 0


def test_the_commands_that_init_prints_and_writes_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, output = invoke("init", "my task.yaml", "--task", "apprentice")
    printed = output.partition("next: ")[2]
    assert code == 0 and shlex.split(printed) == ["nearfuture", "train", "my task.yaml"], output
    written = [line for line in Path("my task.yaml").read_text().splitlines() if line.startswith("#   nearfuture")]
    assert [shlex.split(line)[2:4] for line in written] == [
        *(["train", "my task.yaml"] for _ in range(2)),
        ["report", "runs/my task"],
    ]


def test_the_task_that_init_writes_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("init", "mine.yaml", "--task", "mine.py:sums")[0] == 0
    code, output = run(
        "train", tmp_path / "mine.yaml", f"task={tmp_path / 'mine.py'}:sums", f"run_dir={tmp_path / 'run'}",
        "max_steps=1", "scout_steps=0", "guide_step=null", "rollback_to=null", "per_device_train_batch_size=16",
    )  # fmt: skip
    assert code == 0 and "final policy" in output, output


def test_the_task_for_a_model_of_ones_own_judges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("init", "mine.yaml", "--task", "mine.py:products", "--model", "Qwen/Qwen3-0.6B")[0] == 0
    task = load_task("mine.py:products")
    row = task.train[0]
    assert task.verify(f"It is {row['answer']}.", row) is True and task.verify("It is 1.", row) is False
    assert not {r["prompt"][0]["content"] for r in task.train} <= {r["prompt"][0]["content"] for r in task.evaluation}


def test_what_ships_is_found_by_name() -> None:
    names = shipped.configurations()
    assert {"apprentice/tiny", "paper/qwen3_vl_8b_npo_early", "countdown/compare"} <= names.keys()
    for name, path in names.items():
        load = load_study if "\nmethods:" in path.read_text() else load_configuration
        load(Path(name))
    assert "train apprentice/tiny" in invoke("init", "--list")[1]
    code, output = invoke("docs", "configuration")
    assert code == 0 and "`max_pass_rate`" in output
    assert "Did you mean configuration?" in invoke("docs", "configurations")[1]


def test_errors_point_to_pages_that_ship() -> None:
    """Nobody who has only the wheel has a folder `docs` or `configs`."""
    package = Path(nearfuture.__file__).parent
    for path in package.rglob("*.py"):
        for page in re.findall(r"`nearfuture docs ([\w/]+)`", path.read_text()):
            assert page in shipped.pages(), (path.name, page)
    helps = " ".join(command.help or "" for _, command in commands())
    assert "docs/" not in helps and "configs/" not in helps


def commands(group: click.Group | None = None, name: str = "nearfuture") -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name."""
    group = typer.main.get_command(app) if group is None else group
    for called, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} {called}")
        else:
            yield f"{name} {called}", command


def test_every_help_ends_with_examples_that_parse() -> None:
    found = dict(commands())
    assert len(found) > 15
    for name, command in found.items():
        examples = re.findall(r"Example: (.*)", command.epilog or "")
        assert examples, name
        for example in examples:
            assert example.startswith(name), example
            command.make_context(name, shlex.split(example.removeprefix(name)))


def test_version_log_level_and_completion() -> None:
    code, output = invoke("--version")
    assert code == 0 and output.startswith(f"nearfuture {nearfuture.__version__} (trl ")
    assert invoke("--log-level", "loud", "docs")[0] == 2
    assert "--install-completion" in invoke("--help")[1]
    script = "import os, sys; sys.argv = ['nearfuture']; from nearfuture.cli import main; main()"
    words = {"_NEARFUTURE_COMPLETE": "complete_bash", "COMP_WORDS": "nearfuture train apprentice/t", "COMP_CWORD": "2"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env={**_path(), **words})
    assert "apprentice/tiny" in done.stdout, done


def _path() -> dict[str, str]:
    import os

    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}


def test_log_level_is_heard(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text(
        json.dumps({"task": "apprentice", "run_dir": "r", "max_steps": 1, "replay_steps": 1})
    )
    script = "import sys; from nearfuture.cli import main; main()"
    for level, is_said in (("warning", True), ("error", False)):
        arguments = ["--log-level", level, "train", str(tmp_path / "old.yaml"), "use_vllm=true"]
        done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)
        assert ("is called guidance_steps now" in done.stderr) == is_said, done.stderr


def test_a_model_of_the_hub_without_a_network_is_read_from_its_cache_or_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    place = tmp_path / "models--owner--name"
    (place / "snapshots" / "abc").mkdir(parents=True)  # a download that was broken off
    with pytest.raises(UserError, match=rf"cache of the Hub \({tmp_path}\).*hf download owner/name.*HF_HOME"):
        check_model("owner/name")
    (place / "snapshots" / "abc" / "config.json").write_text("{}")
    check_model("owner/name")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    check_model("owner/other")
