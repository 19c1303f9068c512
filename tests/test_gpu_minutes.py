"""`scripts/gpu_minutes.py` goes its whole way on a tiny shape, writes as it goes, and keeps to its time.

Not here: a GPU, the numbers (docs/gpu.md).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def minutes(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import gpu_minutes

    return gpu_minutes


def lines(page: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in page.with_suffix(".jsonl").read_text().splitlines()]


PARTS = ("device", "text: steps", "text: memory", "text: resume", "text: collection", "image: steps")


def test_every_kind_of_part_measures_what_it_says(minutes: Any, tmp_path: Path) -> None:
    import torch

    table = minutes.Table(tmp_path / "page.md")
    try:
        for name in PARTS:
            minutes.measure(name, tmp_path, table, is_tiny=True)
    finally:
        torch.use_deterministic_algorithms(False)
    found = {(line["part"], line["what"]): line for line in lines(table.page)}
    for kind in ("text", "image"):
        assert float(found[f"{kind}: steps", "step, guided / TRL"]["measured"]) > 0
        assert "100% of groups guided" in found[f"{kind}: steps", "step, guided / TRL"]["note"]
        assert found[f"{kind}: steps", "generation"]["measured"].endswith("tokens/s")
    assert found["text: resume", "resumed / in one go"]["measured"] == "identical bits"
    assert found["text: resume", "in one go, again"]["measured"] == "identical bits"
    assert found["text: collection", "collection"]["note"].startswith("32 of 32 prompts")
    assert found["text: memory", "plan / measured - 1"]["measured"].endswith("%")
    page = table.page.read_text()
    assert all(f"| {part} | {what} | " in page for part, what in found)


def test_a_part_that_fails_is_named_and_so_is_one_without_time(minutes: Any, tmp_path: Path) -> None:
    table = minutes.Table(tmp_path / "page.md")
    minutes.in_own_process("device", tmp_path, table, 0.01, is_tiny=True)
    minutes.in_own_process("a part that is not there", tmp_path, table, 600, is_tiny=True)
    minutes.main(["--tiny", "--minutes", "0", "--only", "device", "--output", str(tmp_path / "late.md")])
    stopped, failed = lines(table.page)
    assert (stopped["part"], stopped["what"], stopped["measured"]) == ("device", "stopped", "out of time")
    assert failed["what"] == "failed" and "a part that is not there" in failed["note"]
    (late,) = lines(tmp_path / "late.md")
    assert (late["part"], late["what"]) == ("device", "not begun")
