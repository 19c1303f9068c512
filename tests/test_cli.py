"""Every error of the command line, once: what was seen, the rule, the remedy, and the exit code."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
import typer
from commands import CONFIGS, SMALL, invoke, run, train

from nearfuture.cli.base import told_to_user

TINY = CONFIGS / "tiny.yaml"
TASKS = """
from nearfuture.tasks import Task

ROWS = [{"prompt": f"{a}+{b}=", "answer": str((a + b) % 6)} for a in range(6) for b in range(6)]

def sums():
    return Task("sums", train=ROWS, evaluation=ROWS[:4], verify=lambda text, row: text == row["answer"])

def hopeless():
    return Task("hopeless", train=ROWS, evaluation=[], verify=lambda text, row: False)

def wrong_gold():
    return Task("wrong_gold", train=ROWS, evaluation=[], verify=lambda text, row: False, gold_column="answer")

def empty():
    return Task("empty", train=[], evaluation=[], verify=lambda text, row: True)
"""


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.py"
    path.write_text(TASKS)
    return path


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["learning_rat=1e-4"], 2, "Did you mean learning_rate?"),
        (["learning_rate=fast"], 2, "learning_rate='fast'"),
        (["weighting=exact"], 2, "One of: on_policy, importance"),
        (["output_dir=x"], 2, "Use run_dir"),
        (["task=aprentice"], 2, "Did you mean 'apprentice'?"),
        (["task=nothere.py:make"], 2, "there is no file"),
        (["model=nothere"], 2, "model=nothere"),
        (["guide_step=4"], 2, "0 <= rollback_to <= guide_step <= max_steps"),
        (["guide_step=5"], 2, "Set guidance_steps: the prompts of so many steps are asked"),
        (["rollback_to=null"], 2, "needs both"),
        (["scout_steps=11"], 2, "scout_steps=11"),
        (["scout_steps=9"], 2, "is not after scout_steps=9"),
        (["logging_steps=10"], 2, "one row per step"),
        (["guidance_lifetime=forever"], 2, "guidance_lifetime"),
        (["max_pass_rate=2"], 2, "above 1"),
        (["steps"], 2, "Write key=value"),
        (["per_device_train_batch_size=65536"], 2, "one generation batch needs"),
        (["num_generations=3"], 2, "divisible"),
    ],
)
def test_bad_configuration_is_refused(arguments: list[str], code: int, message: str, tmp_path: Path) -> None:
    found, output = invoke("train", CONFIGS / "tiny.yaml", f"run_dir={tmp_path / 'run'}", *SMALL, *arguments)
    assert (found, message in output) == (code, True), output
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_no_configuration(tmp_path: Path) -> None:
    assert invoke("train", tmp_path / "none.yaml")[0] == 2
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1,")
    code, output = invoke("train", broken)
    assert code == 2 and "is not YAML" in output
    broken.write_text("- 1")
    code, output = invoke("train", broken)
    assert code == 2 and "not keys and values" in output
    broken.write_text("task: apprentice")
    code, output = invoke("train", broken)
    assert code == 2 and "run_dir, max_steps is missing" in output


def test_an_existing_folder_is_refused_and_another_configuration_too(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert train(folder, "max_steps=2", "scout_steps=0", "guide_step=null", "rollback_to=null")[0] == 0
    code, output = invoke("train", TINY, f"run_dir={folder}", *SMALL)
    assert code == 2 and "--resume" in output and "--clean" in output
    code, output = invoke("train", TINY, f"run_dir={folder}", *SMALL, "--resume", "learning_rate=1e-5")
    assert code == 2 and "learning_rate: 0.001 -> 1e-05" in output
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("years of work")
    code, output = invoke("train", TINY, f"run_dir={precious}", *SMALL, "--clean")
    assert code == 2 and "holds no run" in output
    assert (precious / "thesis.tex").exists()


def test_too_little_disk_is_exit_code_4(tmp_path: Path, tasks: Path) -> None:
    """A data set and completions so long that their guidance alone would fill any disk."""
    code, output = invoke("train", TINY, f"run_dir={tmp_path / 'run'}", *SMALL, "max_completion_length=1000000000000")
    assert code == 4 and "are free at" in output
    assert not (tmp_path / "run").exists()


def test_a_task_of_ones_own_and_what_can_be_wrong_with_it(tmp_path: Path, tasks: Path) -> None:
    plain = ["scout_steps=0", "guide_step=null", "rollback_to=null", "max_steps=3", "per_device_train_batch_size=16"]
    model = f"model={CONFIGS.parent.parent}/src/nearfuture/tasks/worlds/apprentice/model"
    code, output = train(tmp_path / "sums", f"task={tasks}:sums", model, *plain)
    assert code == 0, output
    code, output = invoke("train", TINY, f"run_dir={tmp_path / 'a'}", *SMALL, f"task={tasks}:sums", *plain)
    assert code == 2 and "ships no model" in output
    code, output = invoke("train", TINY, f"run_dir={tmp_path / 'b'}", *SMALL, f"task={tasks}:wrong_gold", model, *plain)
    assert code == 2 and "do not verify as correct" in output
    code, output = invoke("train", TINY, f"run_dir={tmp_path / 'c'}", *SMALL, f"task={tasks}:empty", model, *plain)
    assert code == 3 and "0 training rows" in output
    code, output = train(tmp_path / "d", f"task={tasks}:hopeless", model, *plain, "no_signal_patience=2")
    assert code == 3 and "no group had a gradient for 2 steps" in output
    code, output = train(tmp_path / "e", f"task={tasks}:hopeless", model, *plain, "scout_steps=2")
    assert code == 3 and "The guide solved none of" in output


def test_a_checkpoint_deleted_by_hand_is_named(tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "run"
    settings = ["max_steps=6", "scout_steps=2", "guide_step=5", "rollback_to=3", "eval_every=0"]
    settings += ["guide_batch_size=64"]
    assert train(folder, *settings)[0] == 0
    shutil.rmtree(folder / "segments" / "001" / "checkpoint-3")
    shutil.rmtree(folder / "segments" / "002")
    shutil.rmtree(folder / "final")
    lineage = (folder / "lineage.json").read_text().replace('"end_step": 6', '"end_step": null')
    (folder / "lineage.json").write_text(lineage)
    code, output = train(folder, *settings, "--resume")
    assert code == 2 and "Traceback" not in output, output


def test_dry_run_says_what_would_happen_and_writes_nothing(tmp_path: Path) -> None:
    code, output = invoke("train", TINY, f"run_dir={tmp_path / 'run'}", *SMALL, "--dry-run")
    assert code == 0
    for said in ("8 prompts x 8 generations = 64 rollouts -> 1 update(s)", "segment 2: step 5 to 10", "at the peak"):
        assert said in output, output
    assert not (tmp_path / "run").exists()


def test_guide_collect_and_verify_from_the_command_line(tmp_path: Path) -> None:
    config, cache = CONFIGS / "tiny.yaml", tmp_path / "cache"
    model = CONFIGS.parent.parent / "src/nearfuture/tasks/worlds/apprentice/model"
    collect = ["guide", "collect", config, "--guide", model, "--output", cache, "guide_num_samples=2"]
    code, output = run(*collect, "guide_batch_size=1024")
    assert code == 0 and "num_solved" in output, output
    code, output = invoke("guide", "verify", cache, "--config", config)
    assert code == 0 and "correct again under task 'apprentice'" in output, output
    (cache / "guidance.parquet").write_bytes((cache / "guidance.parquet").read_bytes()[:-100])
    code, output = invoke("guide", "verify", cache)
    assert code == 2 and "Traceback" not in output
    assert invoke("guide", "show", tmp_path / "none")[0] == 2


def test_selftest_proves_exactness() -> None:
    code, output = run("selftest", "--steps", "2")
    assert code == 0, output
    assert output.count("identical") == 4


def test_report_needs_a_run(tmp_path: Path) -> None:
    code, output = invoke("report", tmp_path)
    assert code == 2 and "lineage.json" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whatever_is_interrupted_ends_with_130_and_a_word(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` has it ignored
    try:
        with pytest.raises(typer.Exit) as ended, told_to_user():
            os.kill(os.getpid(), number)
            time.sleep(10)
    finally:
        signal.signal(signal.SIGINT, ours)
    assert ended.value.exit_code == 130 and "interrupted" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before
