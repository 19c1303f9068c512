"""Files that no command wrote: what a hand, another tool or a broken disk put there is refused or counted, in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_folders import Row, grpo_run, npo_run
from typer.testing import CliRunner

from nearfuture.cli import app
from nearfuture.method.lineage import Lineage
from nearfuture.method.trigger import PlateauTrigger
from nearfuture.method.trigger_config import TriggerConfig
from nearfuture.record.formats import percent
from nearfuture.record.records import RunRecords
from nearfuture.tasks.task import load_task
from nearfuture.types import UserError


def changed(path: Path, number: int, **fields: Any) -> None:
    """Change fields of a line."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[number - 1] |= fields
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("metrics", {"rollout_tokens": "many"}),
        ("metrics", {"seconds": [1]}),
        ("metrics", {"step": "3"}),
        ("events", {"segment": "first"}),
        ("events", {"guide_step": 2.5}),
        ("samples", {"guidance": 3}),
        ("samples", {"rollouts": ["text"]}),
        ("samples", {"rollouts": 5}),
    ],
)
def test_a_row_with_a_value_of_another_type_is_damaged(tmp_path: Path, name: str, fields: Row) -> None:
    folder = npo_run(tmp_path / "run")
    changed(folder / f"{name}.jsonl", 2, **fields)
    assert RunRecords.load(folder).damaged_lines == {f"{name}.jsonl": [2]}
    for command in (["report", str(folder)], ["explain", str(folder)]):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output


def test_packages_that_are_none_are_not_listed(tmp_path: Path) -> None:
    folder = grpo_run(tmp_path / "run")
    (folder / "env.json").write_text(json.dumps({"versions": [1], "python": "3.11"}))
    assert CliRunner().invoke(app, ["report", str(folder)]).exit_code == 0


@pytest.mark.parametrize("field", ["id", "start_step", "total_steps_before"])
def test_a_segment_without_its_place_is_no_lineage(tmp_path: Path, field: str) -> None:
    path = grpo_run(tmp_path / "run") / "lineage.json"
    payload = json.loads(path.read_text())
    payload["segments"][0][field] = None
    path.write_text(json.dumps(payload))
    with pytest.raises(UserError, match=f"is not a lineage .*{field} is None, but must be a whole number"):
        Lineage.read(path)


def test_a_lineage_nested_without_end_is_damaged(tmp_path: Path) -> None:
    path = grpo_run(tmp_path / "run") / "lineage.json"
    path.write_text("[" * 100_000)
    with pytest.raises(UserError, match=r"is damaged .*nested too deep"):
        Lineage.read(path)


def test_a_share_that_is_none_is_shown_as_missing_or_as_it_is() -> None:
    assert percent(float("inf")) == percent(float("nan")) == percent(None)
    assert percent(-0.005).startswith("-0.5")


def test_values_whose_square_is_infinite_are_ignored_as_nan_is() -> None:
    def fired(values: list[float]) -> tuple[list[bool], float]:
        trigger = PlateauTrigger(TriggerConfig())
        found = [trigger.observe(step, value, 1.0 / (step + 1)) for step, value in enumerate(values)]
        return found, trigger.metrics()["autonpo/num_ignored"]

    values = [0.1 + 0.3 * (step % 2) for step in range(60)]
    strange, missing = ([*values[:30], value, *values[30:]] for value in (1e200, float("nan")))
    assert fired(strange) == fired(missing) and fired(strange)[1] == 1


def test_a_task_that_raises_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def make(n=0):\n    return 1 / n\n")
    with pytest.raises(UserError, match=r"mine.py:make' raised ZeroDivisionError: .*mine.py, line 2"):
        load_task(f"{file}:make")


def test_an_output_never_replaces_a_file_of_a_run(tmp_path: Path) -> None:
    folder = grpo_run(tmp_path / "run")
    before = (folder / "metrics.jsonl").read_bytes()
    for option in (["--json", str(folder / "metrics.jsonl")], ["--output", str(folder / "metrics.jsonl")]):
        result = CliRunner().invoke(app, ["explain", str(folder), *option])
        assert result.exit_code == 2 and "is a file of the run" in result.output
    result = CliRunner().invoke(app, ["explain", str(folder), "--json", "facts.json", "--output", str(tmp_path)])
    assert result.exit_code == 2 and "is a folder" in result.output and not Path("facts.json").exists()
    assert (folder / "metrics.jsonl").read_bytes() == before
