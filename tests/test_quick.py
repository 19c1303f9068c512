"""What a user can get wrong is said before torch is imported; TRL's settings are read from its source, as they are."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from commands import CONFIGS

from nearfuture.options.npo import ModelOptions, TrainingOptions
from nearfuture.train.npo_config import ModelConfig, NPOConfig
from nearfuture.train.shape import counted, paper
from nearfuture.train.shape.model_shape import Adapters

HEAVY = ("torch", "transformers", "trl", "datasets", "peft", "accelerate")
TINY = str(CONFIGS / "tiny.yaml")
STUDY = str(CONFIGS / "compare_smoke.yaml")
UNSET_BY_DEFAULT = {"gradient_checkpointing", "activation_checkpointing"}
"""Typed as plain flags for command lines, and None until the device decides."""
BY_AN_IMPORT = {"lr_scheduler_type", "optim", "parallelism_config", "debug"}
BY_AN_IMPORT |= {"logging_strategy", "eval_strategy", "save_strategy", "hub_strategy"}
"""Settings whose type only transformers can make."""

REFUSED = [
    (["train", "nofile.yaml"], "nofile.yaml does not exist."),
    (["train", "apprentice/tinny"], "Did you mean apprentice/tiny?"),
    (["plan", TINY, "learning_rat=1"], "Did you mean learning_rate?"),
    (["train", TINY, "learning_rate=fast"], "learning_rate='fast'"),
    (["train", TINY, "method=lufy"], "Did you mean luffy?"),
    (["train", TINY, "task=aprentice"], "Did you mean 'apprentice'?"),
    (["train", TINY, "task=own.py:summs"], "Did you mean 'sums'?"),
    (["train", TINY, "task=null", "dataset_name=geometry3"], "Did you mean geometry3k?"),
    (["train", TINY, "task=null", "dataset_name=none.jsonl"], "there is no such file"),
    (["data", "check", TINY, "task=null", "dataset_name=rows.jsonl"], "which is no known form"),
    (["train", TINY, "task=null", "dataset_name=rows.jsonl", "dataset_columns={question: a, gold: c}"], "column 'c'"),
    (["train", TINY, "task=null", "dataset_name=gsm8k", "verifier=strickt"], "Did you mean strict?"),
    (["train", TINY, "use_vllm=true"], "-e '.[vllm]'"),
    (["train", TINY, "report_to=[none, mlflow]"], "pip install mlflow"),
    (["train", TINY, "model=./none"], "model=./none"),
    (["guide", "collect", TINY, "--guide", "empty", "--output", "cache"], "a folder without config.json"),
    (["train", TINY, "run_dir=taken"], "run_dir=taken exists. Continue with --resume"),
    (["train", STUDY], f"nearfuture compare {STUDY}"),
    (["compare", TINY], f"nearfuture train {TINY}"),
    (["compare", "none.yaml"], "none.yaml does not exist."),
    (["signal", "none"], "none does not exist"),
    (["verify", "none"], "is not a run folder"),
]
SCRIPT = """
import json, sys
from typer.testing import CliRunner
from nearfuture.cli import app
told = [CliRunner().invoke(app, arguments) for arguments in json.loads(sys.argv[1])]
told.append(CliRunner().invoke(app, ["plan", "paper/qwen3_vl_8b_npo_early", "--gpus", "8"]))
heavy = [name for name in {heavy} if name in sys.modules]
sys.modules["transformers"] = None
loading = CliRunner().invoke(app, ["train", {tiny!r}, "run_dir=empty"])
print(json.dumps([heavy, loading.output, [(one.exit_code, one.output) for one in told]]))
"""


def test_refusals_and_plans_import_nothing_heavy(tmp_path: Path) -> None:
    """A start that is right says that it loads them now."""
    (tmp_path / "own.py").write_text("def sums():\n    pass\n")
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n{"b": 2}\n')
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    commands = json.dumps([arguments for arguments, _ in REFUSED])
    code = SCRIPT.format(heavy=HEAVY, tiny=TINY)
    done = subprocess.run([sys.executable, "-c", code, commands], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    heavy, loading, told = json.loads(done.stdout)
    planned = told.pop()
    assert planned[0] == 0 and "of device time" in planned[1], planned[1]
    for (arguments, message), (exit_code, output) in zip(REFUSED, told, strict=True):
        assert message in output and exit_code == 2, (arguments, output)
    assert heavy == [] and loading == "loading torch, transformers and TRL\n"


@pytest.mark.parametrize(("read", "real"), [(TrainingOptions, NPOConfig), (ModelOptions, ModelConfig)])
def test_settings_of_trl_are_read_as_they_are(read: type, real: type) -> None:
    """Names, defaults and types, against the classes themselves."""
    ours, theirs = ({field.name: field for field in dataclasses.fields(kind)} for kind in (read, real))
    assert ours.keys() == {name for name, field in theirs.items() if field.init}
    types, true = typing.get_type_hints(read), typing.get_type_hints(real)
    for name, field in ours.items():
        assert (field.default, field.default_factory) == (theirs[name].default, theirs[name].default_factory), name
        true_type = true[name] | None if name in UNSET_BY_DEFAULT else true[name]
        assert types[name] in (true[name], true_type) or name in BY_AN_IMPORT, name


@pytest.mark.parametrize(
    ("size", "adapters"),
    [
        ("3-0.6B", None),
        ("3-8B", Adapters(16, ("q_proj", "down_proj"))),
        ("3-VL-2B-Instruct", Adapters(8, "all-linear")),
        ("3-VL-8B-Thinking", Adapters(4, ".*blocks.*qkv")),
    ],
)
def test_a_known_shape_counts_on_paper_what_transformers_builds(size: str, adapters: Adapters | None) -> None:
    """Tied and untied heads, with and without a vision tower."""
    model = f"Qwen/Qwen{size}"
    assert paper.shape_of(model, adapters) == counted.shape_of(model, adapters)
