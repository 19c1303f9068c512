"""Rows of data sets, written where the real loading path finds them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import Dataset, Image, List
from PIL import Image as PILImage


def own_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mirrors of one repository in several tests are not to be taken for each other, and nothing is fetched."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def png(red: int = 200, size: tuple[int, int] = (32, 32), kind: str = "PNG") -> dict[str, Any]:
    buffer = io.BytesIO()
    PILImage.new("RGB", size, (red, 60, 60)).save(buffer, kind)
    return {"bytes": buffer.getvalue(), "path": None}


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows; `image` and `images` become images."""
    found = Dataset.from_list(rows)
    for name, feature in (("image", Image()), ("images", List(Image()))):
        if name in found.column_names:
            found = found.cast_column(name, feature)
    found.to_parquet(str(path))
    return path
