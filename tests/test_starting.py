"""A start is whole or leaves no trace: what is refused before the first step leaves the folder as it was."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from commands import CONFIGS, MODEL, SMALL, invoke, run, warm

from nearfuture.record.lock import LOCK
from nearfuture.run.beginning import FIRST, PAID, WRITTEN, is_untouched

TINY = CONFIGS / "tiny.yaml"
PLAIN = ["scout_steps=0", "guide_step=null", "rollback_to=null", "eval_every=0", "max_steps=1"]
PLAIN += ["per_device_train_batch_size=8", "num_generations=4", "max_completion_length=4"]
MISSING = [
    (["use_vllm=true"], "-e '.[vllm]'"),
    (["use_liger_kernel=true"], "liger-kernel"),
    (["load_in_4bit=true"], "bitsandbytes"),
    (["load_in_8bit=true"], "bitsandbytes"),
    (["attn_implementation=flash_attention_2"], "flash-attn"),
    (["cache_implementation=quantized"], "optimum-quanto"),
    *(([f"report_to={name}"], name) for name in ("wandb", "tensorboard", "trackio", "mlflow", "comet_ml", "swanlab")),
    (["report_to=[none_such]"], "none_such is not supported"),
    (["deepspeed={zero_optimization: {stage: 2}}"], "deepspeed"),
    (["deepspeed=no_such.json"], "deepspeed="),
    (["optim=adamw_bnb_8bit"], "bitsandbytes"),
    (["optim=adamw_torch_4bit"], "torchao"),
    (["optim=schedule_free_adamw"], "schedulefree"),
    (["optim=adamw"], "optim='adamw'"),
    (["optim_args=nonsense"], "optim_args"),
    (["generation_kwargs={no_such: 1}"], "knows no no_such"),
    (["lr_scheduler_type=linear_up"], "lr_scheduler_type="),
    (["lr_scheduler_type=cosine_with_min_lr"], "min_lr"),
    (["model=no/such/model"], "model=no/such/model"),
    (["model=no_such_folder"], "model=no_such_folder"),
    (["task=null", "dataset_name=no/such/data"], "dataset_name=no/such/data"),
    (["task=null", "dataset_name=no_such.jsonl"], "there is no such file"),
    (["source=traces", "traces=no_such.parquet"], "no_such.parquet"),
]


def tree(folder: Path) -> set[str]:
    """Everything below a folder, but the lock, which stays where a folder does."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != LOCK}


def start(folder: Path, *arguments: object) -> tuple[int, str]:
    return run("train", TINY, f"run_dir={folder / 'deep' / 'run'}", *PLAIN, *arguments)


@pytest.mark.parametrize(("arguments", "message"), MISSING, ids=lambda value: " ".join(value)[:40])
def test_what_is_missing_is_found_before_anything_is_written(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    code, output = start(tmp_path, *arguments)
    assert (code, message in output, "Traceback" in output) == (2, True, False), output
    assert not tree(tmp_path)


def test_after_every_refusal_the_corrected_command_just_runs(tmp_path: Path) -> None:
    for arguments in (["use_vllm=true"], ["model=no_such"], ["generation_kwargs={no_such: 1}"], ["num_generations=3"]):
        assert start(tmp_path, *arguments)[0] == 2
    code, output = start(tmp_path)
    assert code == 0, output


def test_messages_need_a_chat_template(tmp_path: Path) -> None:
    """Found before step 1, for rows of one's own; as text the same model takes them."""
    rows = [{"question": f"What is {a} + {b}?", "answer": str(a + b)} for a in range(5) for b in range(5)]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = ["task=null", f"dataset_name={data}", f"model={MODEL}"]
    before = tree(tmp_path)
    for command in ("train", "data check", "guide collect", "data difficulty"):
        more = {"guide collect": ["--guide", MODEL, "--output", tmp_path / "new"]}.get(command, own[2:])
        more += ["--output", tmp_path / "new.parquet"] if command == "data difficulty" else []
        code, output = run(*command.split(), TINY, f"run_dir={tmp_path / 'run'}", *PLAIN, *own[:2], *more)
        assert code == 2 and "has no chat template" in output, f"{command}: {output}"
        assert tree(tmp_path) == before, command


def test_a_run_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "lineage.json").write_text("{}")
    code, output = run("guide", "collect", TINY, "--guide", tmp_path, "--output", tmp_path / "cache")
    assert code == 2 and f"{tmp_path}/final" in output and "Traceback" not in output, output


TASK = """
from nearfuture import Task

def make():
    rows = [{"prompt": f"({a}+{b})="} for a in range(5) for b in range(5)]
    return Task("own", train=rows, evaluation=[], verify=lambda text, row: "no verdict")
"""


def test_a_refusal_of_the_first_step_takes_back_what_the_start_wrote(tmp_path: Path) -> None:
    """What no check before it can find: what a verifier returns."""
    (tmp_path / "own.py").write_text(TASK)
    before = tree(tmp_path)
    code, output = start(tmp_path, f"task={tmp_path / 'own.py'}:make", f"model={MODEL}")
    assert code == 2 and "must return a Verdict" in output and "Traceback" not in output, output
    assert "segment 0" in output
    assert tree(tmp_path) - {"__pycache__"} == before


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "run", Path("/sys/run"), tmp_path / ("x" * 300)):
        code, output = run("train", TINY, f"run_dir={folder}", *PLAIN)
        assert code == 2 and "Traceback" not in output and "error:" in output, output
    assert (tmp_path / "file").read_text() == "mine" and tree(tmp_path) == {"file"}


def test_clean_deletes_nothing_where_the_new_run_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("lineage.json", "config.yaml", "metrics.jsonl"):
        (folder / name).write_text("{}")
    before = tree(tmp_path)
    for arguments in (["use_vllm=true"], ["model=no_such"], ["max_completion_length=1000000000000"]):
        code, _ = invoke("train", TINY, f"run_dir={folder}", *SMALL, *arguments, "--clean")
        assert code in (2, 4) and tree(tmp_path) == before


def test_a_start_that_was_killed_before_its_first_step_is_as_if_it_had_not_been(tmp_path: Path) -> None:
    """SIGKILL as soon as the lineage is there; then another configuration, without --resume and without --clean."""
    folder = tmp_path / "run"
    process = warm("train", TINY, f"run_dir={folder}", *PLAIN, until=folder / "lineage.json")
    process.wait_until_stopped()
    process.kill()
    assert is_untouched(folder), tree(folder)
    code, output = run("train", TINY, f"run_dir={folder}", *PLAIN, "learning_rate=1e-4")
    assert code == 0, output
    assert not is_untouched(folder)


@pytest.mark.parametrize("names", [[], [LOCK], [f"{FIRST}.tmp"], [FIRST], [FIRST, "config.yaml"], [*WRITTEN]])
def test_what_a_start_leaves_is_nothing(names: list[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_text("{}")
    assert is_untouched(tmp_path) and is_untouched(tmp_path / "not_there")


@pytest.mark.parametrize("name", ["config.yaml", "notes.txt", "metrics.jsonl", "final", "segments/000/guidance/x"])
def test_what_somebody_wrote_or_paid_for_is_something(name: str, tmp_path: Path) -> None:
    if name != "config.yaml":
        (tmp_path / FIRST).write_text("{}")
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("precious")
    assert not is_untouched(tmp_path) and len(PAID) == 5


def test_a_run_whose_lineage_is_gone_is_not_begun_over_its_rows(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert run("train", TINY, f"run_dir={folder}", *PLAIN)[0] == 0
    rows = (folder / "metrics.jsonl").read_text()
    os.remove(folder / "lineage.json")
    code, output = invoke("train", TINY, f"run_dir={folder}", *PLAIN, "--resume")
    assert code == 2 and "holds no run (no lineage.json)" in output
    assert (folder / "metrics.jsonl").read_text() == rows
    shutil.rmtree(folder)


def test_the_configuration_of_a_copied_run_means_the_copy(tmp_path: Path) -> None:
    code, output = start(tmp_path)
    assert code == 0, output
    original, copy = tmp_path / "deep" / "run", tmp_path / "a copy"
    shutil.copytree(original, copy)
    before = {path: path.read_bytes() for path in original.rglob("*") if path.is_file()}
    code, output = run("train", copy / "config.yaml", "--resume", "max_steps=2")
    assert code == 0, output
    assert {path: path.read_bytes() for path in original.rglob("*") if path.is_file()} == before
    steps = [json.loads(line).get("step") for line in (copy / "metrics.jsonl").read_text().splitlines()]
    assert max(step for step in steps if step is not None) == 2
