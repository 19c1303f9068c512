"""The docs describe what is there: every setting, every metric, every command."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from tiny import guidance_for, npo
from trl import GRPOConfig

from nearfuture.method.trigger_config import TriggerConfig
from nearfuture.run.settings.config import AutoNPOConfig, RunConfig
from nearfuture.tasks.data import SOURCES, DataConfig
from nearfuture.train import NPOConfig

DOCS = Path(__file__).parent.parent / "docs"
README = DOCS.parent / "README.md"


def test_every_setting_is_documented() -> None:
    text = (DOCS / "configuration.md").read_text()
    ours = {f.name for f in dataclasses.fields(NPOConfig)} - {f.name for f in dataclasses.fields(GRPOConfig)}
    kinds = (RunConfig, DataConfig, AutoNPOConfig, TriggerConfig)
    ours |= {f.name for kind in kinds for f in dataclasses.fields(kind)} - {"trigger"}
    for name in ours:
        assert f"`{name}`" in text, name


def test_every_data_set_is_documented() -> None:
    text = (DOCS / "data.md").read_text()
    for name, source in SOURCES.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        assert source.repo in row and f"{source.num_rows:,}" in row


def test_every_metric_we_log_is_documented(tmp_path: Path) -> None:
    text = (DOCS / "metrics.md").read_text()
    trainer = npo(tmp_path, max_pass_rate=1.0)
    trainer.set_guidance(guidance_for(trainer, tmp_path / "guidance"))
    trainer.train()
    logged = {key for row in trainer.state.log_history for key in row}
    ours = {key for key in logged if key.startswith(("npo/", "mix_policy/"))}
    assert "npo/guide/kl_k3" in ours
    for name in ours:
        assert f"`{name}`" in text, name


@pytest.mark.parametrize("path", [README, *sorted(DOCS.rglob("*.md"))], ids=lambda path: path.name)
def test_links_and_paths_exist(path: Path) -> None:
    text = path.read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / target).exists(), target
    for target in re.findall(r"`((?:src|tests|docs|configs|scripts|measurements)/[\w./-]+)`", text):
        assert (README.parent / target).exists(), target
