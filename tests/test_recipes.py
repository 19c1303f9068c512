"""The recipe's script says the right commands, its batch is the paper's, the teacher's traces find their questions."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pytest
from accelerate.commands.config.config_args import load_config_from_file
from test_data import fine, mirror

from nearfuture.guidance import GuidanceCache
from nearfuture.record import flat_yaml
from nearfuture.run.interop import import_file
from nearfuture.run.settings.load import load_configuration
from nearfuture.run.settings.sizes import batch_of

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "recipes" / "qwen3_vl_8b.sh"
METHODS = ("grpo", "npo_early", "npo_early_late", "autonpo", "luffy", "exgrpo", "rlep")


def said(tmp_path: Path, *arguments: str, **environment: str) -> tuple[int, list[str]]:
    """What the script would start: the interpreter is one that says its arguments, and a run takes one stage."""
    python = tmp_path / "python"
    python.write_text('#!/bin/bash\necho "$@"\nif [[ "$*" == *" train "* ]]; then mkdir -p "$RUN_DIR/final"; fi\n')
    python.chmod(0o755)
    given = {**os.environ, "PYTHON": str(python), "RUN_DIR": str(tmp_path / "run"), "SHARED_DISK_DELAY": "0"}
    given |= environment
    done = subprocess.run(["bash", str(SCRIPT), *arguments], env=given, capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).splitlines()


def configuration_of(command: str) -> Any:
    """The configuration that a `nearfuture train` command names, with its overrides."""
    words = command.split("nearfuture train ")[1].split()
    return load_configuration(Path(words[0]), [word for word in words[1:] if "=" in word])


@pytest.mark.parametrize(("setup", "num_processes"), [("4x8", 32), ("1x8", 8), ("1x1", 1)])
def test_every_setup_trains_on_256_prompts_and_2048_rollouts_a_step(
    setup: str, num_processes: int, tmp_path: Path
) -> None:
    code, lines = said(tmp_path, "npo_early", SETUP=setup, NODE_RANK="0", MAIN_ADDRESS="first")
    assert code == 0, lines
    train, evaluate = lines
    launcher = flat_yaml.load((ROOT / "recipes" / f"accelerate_{setup}.yaml").read_text())
    assert f"accelerate_{setup}.yaml" in train and launcher["num_processes"] == num_processes
    assert ("--machine_rank 0" in train and "--main_process_ip first" in train) == (setup == "4x8")
    batch = batch_of(configuration_of(train), launcher["num_processes"])
    assert (batch.prompts_per_step, batch.trained) == (256, 2048)
    assert train.endswith("--resume")
    assert evaluate == f"-m nearfuture evaluate {tmp_path / 'run'} --suite paper use_vllm=true"


def test_one_process_carries_out_all_stages_unless_told(tmp_path: Path) -> None:
    ends = []
    for chosen in ("", "1"):
        code, lines = said(tmp_path, "autonpo", SETUP="1x8", SUITES="", ONE_STAGE=chosen)
        assert code == 0, lines
        ends.append(lines[0].partition(" --resume")[2])
        (tmp_path / "run" / "final").rmdir()
    assert ends == ["", " --one-stage"]


@pytest.mark.parametrize("path", sorted(SCRIPT.parent.glob("accelerate_*.yaml")), ids=lambda path: path.stem)
def test_accelerate_reads_every_file(path: Path) -> None:
    """`make test-distributed` launches them."""
    read = load_config_from_file(str(path))
    assert read.mixed_precision == "bf16" and read.num_processes == {"1x1": 1, "1x8": 8, "4x8": 32}[path.stem[11:14]]
    stage = (read.deepspeed_config or {}).get("zero_stage")
    assert stage == (int(path.stem[-1]) if "zero" in path.stem else None)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "luffy"])
def test_every_method_has_its_configuration(method: str, tmp_path: Path) -> None:
    code, lines = said(tmp_path, method, "save_steps=20", SETUP="1x8", SUITES="")
    assert code == 0 and len(lines) == 1, lines
    configuration = configuration_of(lines[0])
    assert configuration.training.save_steps == 20 and configuration.run.run_dir == tmp_path / "run"


def test_nodes_but_the_first_only_train_and_a_finished_run_is_only_evaluated(tmp_path: Path) -> None:
    code, lines = said(tmp_path, "grpo", NODE_RANK="3", MAIN_ADDRESS="first")
    assert code == 0 and len(lines) == 1 and "--machine_rank 3" in lines[0]
    assert (tmp_path / "run" / "final").is_dir()
    code, lines = said(tmp_path, "grpo", NODE_RANK="0", MAIN_ADDRESS="first")
    assert code == 0 and len(lines) == 1 and "evaluate" in lines[0]


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        ([], {}, "which method?"),
        (["npo"], {"SETUP": "1x8"}, "does not exist"),
        (["grpo"], {"SETUP": "2x8"}, "SETUP=2x8 is not known"),
        (["grpo"], {"NODE_RANK": "0"}, "set MAIN_ADDRESS"),
    ],
)
def test_the_script_says_what_is_missing(
    arguments: list[str], environment: dict[str, str], message: str, tmp_path: Path
) -> None:
    code, lines = said(tmp_path, *arguments, **environment)
    assert code != 0 and message in "\n".join(lines)


def recipe(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "recipes" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_teacher_traces_are_joined_by_id_and_what_is_left_out_is_counted() -> None:
    traces = recipe("teacher_traces")
    left_out: Counter[str] = Counter()
    raw = {"id": ["a", "b", 3], traces.TRACE: ["<answer>1</answer>\n", " ", "<answer>2</answer>"]}
    rows = list(traces.teacher_rows(raw, {"a": "mmfinereason:0", "b": "mmfinereason:1"}, left_out))
    assert rows == [{"prompt_id": "mmfinereason:0", "completion": "<answer>1</answer>"}]
    assert left_out == {"no trace": 1, "question that is not trained on": 1}


def test_luffy_learns_from_the_traces_that_the_data_set_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_vl_model: Path
) -> None:
    """The whole way: the data set as published, the script, the import that LUFFY's run makes when it begins.

    The tiny model's tokenizer writes digits only.
    """
    traces = recipe("teacher_traces")
    rows = [
        fine(id="right", **{traces.TRACE: "35"}),
        fine(id="wrong", question="<image>And then?", **{traces.TRACE: "36"}),
        fine(id="no gold", answer=None, **{traces.TRACE: "35"}),
    ]
    mirror(tmp_path, "mmfinereason", rows)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["teacher_traces.py", "--output", "data/traces.jsonl"])
    traces.main()
    written = [json.loads(line) for line in (tmp_path / "data" / "traces.jsonl").read_text().splitlines()]
    assert len(written) == 2 and all(row["prompt_id"].startswith("mmfinereason:") for row in written)
    settings = {
        "dataset_name": "mmfinereason",
        "dataset_template": "answer_tag",
        "model": str(tiny_vl_model),
        "run_dir": "run",
        "max_steps": 1,
        "method": "luffy",
    }
    (tmp_path / "config.yaml").write_text(flat_yaml.dump(settings))
    cache, report = import_file(Path("data/traces.jsonl"), "jsonl", Path("guidance"), config=Path("config.yaml"))
    assert isinstance(cache, GuidanceCache) and len(cache) == 1
    assert sum(report.counts().values()) == 1, report.lines()


@pytest.fixture(scope="module")
def tiny_vl_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_vl import save_model

    return save_model(tmp_path_factory.mktemp("model"))
