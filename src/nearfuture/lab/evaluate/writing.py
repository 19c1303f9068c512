"""Writes what an evaluation found: `evaluation.json`, `.csv`, `.txt`, and the page `index.html`.

Not here: the responses, which lie beside them (`responses`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nearfuture.lab.evaluate.page import render
from nearfuture.lab.evaluate.text import as_csv, full_text
from nearfuture.record.ledger import write_whole
from nearfuture.record.lock import writing


def write_evaluation(result: Mapping[str, Any], output: Path, command: str) -> Path:
    """Write everything and return the page.

    Args:
        result: what `evaluation.evaluate` returned, or its JSON read back.
        output: folder.
        command: what the user typed, for the footer.
    """
    page, rendered = output / "index.html", render(result, command)
    with writing(output, "evaluation", wait=True):  # four files that belong together
        text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_whole(output / "evaluation.json", text)
        write_whole(output / "evaluation.csv", as_csv(result))
        write_whole(output / "evaluation.txt", full_text(result))
        write_whole(page, rendered)
    return page
