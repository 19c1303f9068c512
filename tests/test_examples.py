"""The example that the README sends a reader to first runs as it stands, and uses what it collects.

Not here: that going back is exact (test_exact.py), and what guidance does to a step (test_trainer_laws.py).
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from commands import environment
from warm import WarmProcess

import nearfuture

EXAMPLE = Path(__file__).parent.parent / "examples" / "npo_loop.py"
STEP = re.compile(r"  step +(\d+)  pass rate (\d\.\d{3})  groups with guidance (\d+)%")


HORIZON = "START, AHEAD = 10, 40"


@pytest.mark.parametrize("ahead_to", [20, pytest.param(40, marks=pytest.mark.long)])
def test_the_loop_trains_ahead_collects_goes_back_and_replays_with_guidance(ahead_to: int, tmp_path: Path) -> None:
    """As it stands, and with a horizon that is nearer."""
    source = EXAMPLE.read_text()
    assert source.count(HORIZON) == 1
    script = tmp_path / "npo_loop.py"
    script.write_text(source.replace(HORIZON, f"START, AHEAD = 10, {ahead_to}"))
    process = WarmProcess([str(tmp_path / "out")], tmp_path / "said.txt", environment(), program=[str(script)])
    code, output = process.result()
    assert code == 0, output
    ahead, _, replay = output.partition("3. back to step 10")
    solved, asked = map(int, re.search(r"solved (\d+) of the (\d+) prompts", ahead).groups())
    assert 0 < solved < asked
    plain, guided = ([(int(step), int(share)) for step, _, share in STEP.findall(text)] for text in (ahead, replay))
    assert [step for step, _ in plain] == [step for step, _ in guided] == list(range(15, ahead_to + 1, 5))
    assert {share for _, share in plain} == {0}
    assert all(share > 0 for _, share in guided)
    assert (tmp_path / "out" / "checkpoint-10").is_dir()
    assert len(nearfuture.GuidanceCache.open(tmp_path / "out" / "guidance")) == solved


def test_the_loop_is_short_and_takes_public_names_alone() -> None:
    source = EXAMPLE.read_text()
    assert len(source.splitlines()) <= 150
    imported = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    ours = {node.module: {alias.name for alias in node.names} for node in imported if "nearfuture" in node.module}
    assert ours.keys() == {"nearfuture"}
    assert ours["nearfuture"] <= set(nearfuture.__all__)
