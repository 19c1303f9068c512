"""The terminal during a run: what matters first stands first and fits, at 80, 120 and 200 columns and in logs."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from commands import CONFIGS
from rich.console import Console
from rich.progress import BarColumn

from nearfuture.method.lineage import Lineage
from nearfuture.run.readings import NAMES, Readings, lineage_line
from nearfuture.run.settings.load import load_configuration
from nearfuture.run.show import CollectionDisplay, Display, Lines, collection_line
from nearfuture.types import Intervention, PolicyRef

ROW = {
    "npo/reward": 0.25,
    "npo/pass_rate": 0.25,
    "npo/entropy": 1.234,
    "npo/guided_frac": 0.34,
    "completions/clipped_ratio": 0.02,
    "completions/mean_length": 1234.5,
    "seconds": 12.3,
    "grad_norm": 0.3,
    "learning_rate": 3e-4,
    "frac_reward_zero_std": 0.4,
}
COUNTS = SimpleNamespace(num_prompts=1000, num_solved=300, num_samples=4000, num_dropped_no_eos=100)


def readings() -> Readings:
    found = Readings()
    for step, rate in enumerate((0.3, 0.312)):
        found.evaluated(step, {"eval/pass_rate": rate})
    found.stepped(ROW)
    return found


@pytest.mark.parametrize("width", [80, 120, 200])
def test_what_matters_first_fits_and_nothing_is_said_twice(width: int) -> None:
    line = readings().line(width)
    assert line.startswith("held-out 0.312 (+0.012)  pass 0.250  entropy 1.234  guided 34%  cut off 2%")
    assert len(line) <= width and len(set(NAMES)) == len(NAMES) and "reward" not in line
    assert ("s/step" in line, "lr" in line) == (width >= 120, width >= 160)


def test_a_run_that_went_back_shows_nothing_of_what_it_left() -> None:
    found = Readings()
    for step, rate in ((0, 0.1), (10, 0.2), (20, 0.3)):
        found.evaluated(step, {"eval/pass_rate": rate})
        found.stepped(ROW | {"step": step})
    found.back_to(20)  # stays, or goes on after a kill
    assert found.line(80).startswith("held-out 0.300 (+0.100)  pass 0.250")
    found.back_to(10)
    assert found.line(80).startswith("held-out 0.200 (+0.100)  pass -")
    found.evaluated(20, {"eval/pass_rate": 0.25})
    assert found.line(80).startswith("held-out 0.250 (+0.050)")


def test_lines_are_cut_off_at_the_edge_and_the_bar_stays() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, soft_wrap=True, color_system=None)
    progress = Lines(BarColumn(bar_width=None), console=console, expand=True)
    progress.add_task("", total=10, completed=5)
    progress.lines = ("held-out " + "x" * 100, "", "lineage 0>40")
    console.print(progress.get_renderable(), soft_wrap=False)
    shown = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [len(line.rstrip()) <= 80 for line in shown] == [True] * 3 and shown[0].endswith("…")
    assert shown[1].startswith("lineage 0>40") and "━" in shown[2]


def test_the_lineage_is_one_line() -> None:
    lineage = Lineage.begin().end_head(40, "scout")
    lineage = lineage.branch(Intervention("early", PolicyRef(0, 40, "x"), 0, 40)).end_head(200, "guide")
    lineage = lineage.branch(Intervention("late", PolicyRef(1, 200, "x"), 140, 200))
    assert lineage_line(lineage, 240) == "lineage 0>40, 0>200 by 0@40, 140>240 by 1@200"


def test_a_log_has_the_step_of_all_and_a_line_where_something_was_evaluated() -> None:
    config = load_configuration(CONFIGS / "grpo.yaml", ["run_dir=unused", "max_steps=100"])
    display = Display(config, "none")  # type: ignore[arg-type]  (the plan is printed, nothing else)
    display.console = Console(file=io.StringIO(), width=200)
    display.evaluated(0, {"eval/pass_rate": 0.1})
    for step in range(1, 8):
        if step == 7:
            display.evaluated(step, {"eval/pass_rate": 0.2})
        display.step({**ROW, "segment": 0, "step": step, "total_steps": step})
    shown = [line.split("  pass")[0].split() for line in display.console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert [line[:2] for line in shown] == [["step", str(step)] for step in (0, 1, 5, 7)]
    assert shown[1][2:5] == ["1", "of", "100"] and shown[3][-2:] == ["0.200", "(+0.100)"]


def test_a_collection_shows_how_far_it_is() -> None:
    assert collection_line(COUNTS) == "collecting: 300 of 1000 prompts solved, 4,000 samples  cut off 2%"  # type: ignore[arg-type]
    display = CollectionDisplay(8)
    display.console = Console(file=io.StringIO(), width=80)
    with display:
        display.collected(COUNTS)  # type: ignore[arg-type]
        display.collected(SimpleNamespace(**{**vars(COUNTS), "num_samples": 4100}))  # type: ignore[arg-type]  (too soon)
    assert display.console.file.getvalue().count("collecting") == 1  # type: ignore[attr-defined]
