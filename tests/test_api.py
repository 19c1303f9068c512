"""From Python: a run, its pages and its values, without the command line; the same bits as the command line.

Not here: the command line (`test_cli`), what the pages say (`test_report`, `test_explain`).
"""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch
from commands import CONFIGS, SMALL, invoke
from safetensors.torch import load_file

import nearfuture
from nearfuture import Run, Task, UserError, load_task
from nearfuture.record import flat_yaml

EXAMPLES = Path(__file__).parent.parent / "examples"
SIX_STEPS = [*SMALL, "max_steps=6", "scout_steps=2", "guide_step=5", "rollback_to=3", "eval_every=0"]
SIX_STEPS += ["guide_batch_size=64"]
TINY = dict(flat_yaml.load_value(setting, "") for setting in SIX_STEPS)


def example(name: str) -> ModuleType:
    """The module of an example."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run of the example."""
    return example("python_run").main(str(tmp_path_factory.mktemp("python") / "run"))


def test_a_run_from_python_looks_ahead_and_shows_what_it_did(run: Run) -> None:
    assert repr(run).startswith(f"Run({str(run.folder)!r}): finished, step 12 of 12, paid for 18 steps, held out ")
    assert "<th>held out</th>" in run._repr_html_()
    assert (run.final / "model.safetensors").exists()
    (collected,) = run.events("collected")
    assert 0 < collected["num_solved"] < collected["num_prompts"]
    assert run.held_out.keys() == {0, 6, 12}
    metrics = run.metrics
    assert sorted(metrics[metrics.kept & (metrics.step > 0)].step) == list(range(1, 13))
    assert len(metrics[~metrics.kept]) == 6  # the scout's
    assert run.ledger["totals"]["abandoned_steps"] == 6


def test_its_pages_are_written_and_show_themselves(run: Run, tmp_path: Path) -> None:
    page = run.report(output=tmp_path / "page.html")
    assert page.path == tmp_path / "page.html" and "<svg" in page.path.read_text()
    assert "12" in str(page) and "\x1b" not in str(page)
    assert page._repr_html_().startswith('<iframe srcdoc="&lt;')
    assert run.explain().path == run.folder / "report" / "explain.html"
    advice = run.advise()
    assert str(advice) and json.dumps(advice)
    with pytest.raises(UserError, match="was given no run"):
        nearfuture.report()


def test_one_that_is_there_is_opened_and_goes_on(run: Run) -> None:
    again = Run(run.folder)
    assert again.configuration == run.configuration
    assert again.train(resume=True, quiet=True) == "finished"
    assert repr(again) == repr(run)


def test_a_task_that_is_an_object_is_known_in_this_process_alone(run: Run) -> None:
    name = run.configuration.run.task
    assert load_task(name).name == "chains"
    with pytest.raises(UserError, match=r"task='python:unseen' was given in Python.*path/to/file.py:function"):
        load_task("python:unseen")
    with pytest.raises(UserError, match="the task is made already"):
        Run(task=load_task(name), task_args={"digits": 2}, run_dir="r", max_steps=1)
    with pytest.raises(UserError, match="task returned int"):
        Run(task=lambda: 3, run_dir="r", max_steps=1)


def test_python_and_the_command_line_train_the_same_bits(tmp_path: Path) -> None:
    code, output = invoke("train", CONFIGS / "tiny.yaml", f"run_dir={tmp_path / 'line'}", *SIX_STEPS)
    assert code == 0, output
    run = Run(CONFIGS / "tiny.yaml", run_dir=tmp_path / "python", **TINY)
    assert "not begun" in repr(run) and str(run.folder) in run.plan()
    assert run.train(quiet=True) == "finished"
    line, python = (load_file(tmp_path / name / "final" / "model.safetensors") for name in ("line", "python"))
    assert line.keys() == python.keys() and all(torch.equal(line[key], python[key]) for key in line)


def test_keys_with_a_dot_are_mappings() -> None:
    run = Run(CONFIGS / "grpo.yaml", autonpo={"mode": "advise", "max_interventions": 2}, learning_rate=1e-4)
    assert run.configuration.autonpo.mode == "advise" and run.configuration.autonpo.max_interventions == 2
    assert run.configuration.training.learning_rate == 1e-4
    with pytest.raises(UserError, match="learning_rat"):
        Run(CONFIGS / "grpo.yaml", learning_rat=1e-4)
    made = Run(
        task=lambda digits: Task(f"t{digits}", [], [], verify=print), task_args={"digits": 2}, run_dir="r", max_steps=1
    )
    assert made.configuration.run.task == "python:t2" and made.configuration.run.task_args == {}


@pytest.mark.parametrize("name", ["short_loop", "python_run"])
def test_the_examples_are_short_and_take_public_names_alone(name: str) -> None:
    source = (EXAMPLES / f"{name}.py").read_text()
    code = [line for line in source.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(code) - len(ast.get_docstring(ast.parse(source)).splitlines()) <= 40
    imported = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    ours = {alias.name for node in imported if "nearfuture" in node.module for alias in node.names}
    assert ours <= set(nearfuture.__all__)


@pytest.mark.parametrize("ahead_to", [12, pytest.param(24, marks=pytest.mark.long)])
def test_the_short_loop_replays_with_guidance(
    ahead_to: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it stands, and with a horizon that is nearer."""
    loop = example("short_loop")
    assert (loop.START, loop.AHEAD) == (6, 24)
    monkeypatch.setattr(loop, "AHEAD", ahead_to)
    loop.main(str(tmp_path / "out"))
    solved, _, asked, *_ = capsys.readouterr().out.strip().splitlines()[-1].split()
    assert 0 < int(solved) < int(asked) == (ahead_to - 6) * 16
    assert len(nearfuture.GuidanceCache.open(tmp_path / "out" / "guidance")) == int(solved)


def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cells = json.loads((EXAMPLES / "first_run.ipynb").read_text())["cells"]
    names: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert repr(names["run"]).startswith("Run('runs/notebook'): finished")
    assert (tmp_path / "runs/notebook/report/index.html").exists()


def test_tab_completion_shows_what_there_is() -> None:
    assert set(nearfuture.__all__) <= set(dir(nearfuture))
