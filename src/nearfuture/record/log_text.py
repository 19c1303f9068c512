"""Turn the text of a log into rows: one JSON document, a table, or lines.

    [{"step": 3, ...}, ...]   {"log_history": [...]}           one JSON document with a list of rows
    {"step": [3, ...], "reward": [0.5, ...]}                   or with a list for each column
    Step;run - train/reward                                    CSV with comma, semicolon or tab
    | step | reward |                                          a table of Markdown
    {"step": 3, "reward": 0.5}                                 lines (`log_lines`)

The form of a file is recognised from its content, so `run.log`, `output.txt` and `logging.jsonl` are read alike.

Not here: what a line holds (`log_lines`), values (`log_values`), which rows belong to one run (`log_runs`), which
column is the reward (`logs`).
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearfuture.json_text import loads
from nearfuture.record.log_lines import STEP_NAMES, is_row, read_lines, read_pairs
from nearfuture.record.log_values import Row, Texts, row_of
from nearfuture.types import UserError

FORMS = (
    "JSON lines, one JSON list of rows, one JSON object with a list for each column, trainer_state.json, CSV, a table "
    "of Markdown, lines such as step=5 reward=0.3, the consoles of verl and transformers, and TensorBoard event files "
    "(named *tfevents*)"
)
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
DELIMITERS = ",;\t"
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
RULE = re.compile(r"^\s*\|?(?:\s*:?-+:?\s*\|)+(?:\s*:?-+:?\s*)?$")
"""The line between the head and the rows of a table of Markdown."""


@dataclass
class Rows:
    """The rows of a file in order, notes on what was assumed or left out, and what is not a plain number."""

    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    texts: Texts = field(default_factory=Texts)


def read_text_log(path: Path, logging_steps: int | None = None) -> Rows:
    """Read a text file of any known form.

    Args:
        path: the file.
        logging_steps: steps per row, if a console log prints no step; None estimates it from the progress bar if there
            is one, otherwise 1.

    Raises:
        UserError: the file is binary, or of a form that is not known.
    """
    text, texts = decode(path), Texts()
    rows, notes = _read(path, text, texts, logging_steps)
    if not any(rows) and re.search(r"\d", text) and not _is_json(text):
        raise UserError(
            f"{path} holds no row with a number in a form that is known. Read are {FORMS}. Give one of these, for "
            "example a CSV with the columns step, reward and entropy."
        )
    return Rows(rows, notes, texts)


def _read(path: Path, text: str, texts: Texts, logging_steps: int | None) -> tuple[list[Row], list[str]]:
    if path.suffix.lower() == ".csv":
        return _table(text, texts)
    document = _document(path, text, texts)
    if document is not None:
        return document, []
    lines = [ANSI.sub("", line) for line in re.split(r"[\r\n]+", text) if line.strip()]
    if not any(is_row(line) for line in lines) and len(lines) > 1:
        if table := _markdown(lines):
            return read_csv(table, texts, "|"), []
        if not _is_header(lines[0]) and (rows := read_pairs(lines, texts)):
            return rows, []
        if any(mark in lines[0] for mark in DELIMITERS):
            return _table(text, texts)
    return read_lines(lines, texts, is_jsonl=path.suffix.lower() == ".jsonl", logging_steps=logging_steps)


def decode(path: Path) -> str:
    """Return the text of a file in UTF-8 or UTF-16, with or without a byte order mark.

    Raises:
        UserError: it is not text.
    """
    data = path.read_bytes()
    encoding = next((name for bom, name in BOMS.items() if data.startswith(bom)), None)
    head = data[:400]
    if encoding is None and head.count(0) * 3 > len(head):
        encoding = "utf-16-le" if head[1::2].count(0) >= head[0::2].count(0) else "utf-16-be"
    text = data.decode(encoding or "utf-8", errors="replace")
    if "\0" in text[:400]:
        raise UserError(f"{path} is not text. Read are {FORMS}.")
    return text


def _is_json(text: str) -> bool:
    try:
        loads(text)
    except ValueError:
        return False
    return True


def _document(path: Path, text: str, texts: Texts) -> list[Row] | None:
    """Return the rows of one JSON document: a list of them, `log_history`, or columns; None if it is not one."""
    try:
        value = loads(text)
    except ValueError:
        return None
    if isinstance(value, dict) and "log_history" in value:
        value = value["log_history"]
    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        return [row_of(row, texts=texts) for row in value]
    if isinstance(value, dict):
        if (columns := _columns(value)) and not any(name in row_of(value) for name in STEP_NAMES):
            return _rows_of_columns(path, columns, texts)
        if "\n" not in text.strip():
            return None
    raise UserError(
        f"{path} holds one JSON value that is not a log: it must be a list of rows, an object whose log_history is "
        "one (trainer_state.json), or one with a list for each column. One object per line works too."
    )


def _columns(value: dict[str, Any], prefix: str = "") -> dict[str, list[Any]]:
    """Return the lists of an object by their names, those of nested objects with `/`."""
    found: dict[str, list[Any]] = {}
    for name, part in value.items():
        if isinstance(part, dict):
            found |= _columns(part, f"{prefix}{name}/")
        elif isinstance(part, list) and part and not any(isinstance(cell, list | dict) for cell in part):
            found[f"{prefix}{name}"] = part
    return found


def _rows_of_columns(path: Path, columns: dict[str, list[Any]], texts: Texts) -> list[Row]:
    if len({len(column) for column in columns.values()}) > 1:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
        raise UserError(
            f"{path} holds columns of different lengths ({lengths}), so which values are of one step is not known. "
            "Give lists of one length, or a list of rows."
        )
    rows = (dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True))
    return [row_of(row, texts=texts) for row in rows]


def _markdown(lines: Sequence[str]) -> str | None:
    """Return the first table of Markdown without its outer bars and its rule; None if there is none."""
    rule = next((i for i, line in enumerate(lines) if i and RULE.match(line) and "|" in lines[i - 1]), None)
    if rule is None:
        return None
    kept = [lines[rule - 1], *(line for line in lines[rule + 1 :] if "|" in line)]
    return "\n".join(line.strip().strip("|") for line in kept)


def _is_header(line: str) -> bool:
    """True where a cell of a line has the name of a step, as the first line of a table has."""
    names = {name.casefold() for name in STEP_NAMES}
    return any(cell.strip().casefold() in names for cell in re.split(f"[{DELIMITERS}]", line))


def _table(text: str, texts: Texts) -> tuple[list[Row], list[str]]:
    """Read a CSV behind its lines of comment, which are named; `# step, reward` is a header."""
    lines = text.splitlines(keepends=True)
    head = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    if head and _is_header(lines[head - 1].lstrip("# ")):
        head -= 1
        lines[head] = lines[head].lstrip("# ")
    comment = [line.strip() for line in lines[:head] if line.strip()]
    notes = [f"Lines left out because they come before the table: {len(comment)} ({comment[0]!r})."] if comment else []
    return read_csv("".join(lines[head:]), texts), notes


def read_csv(text: str, texts: Texts, delimiter: str | None = None) -> list[Row]:
    """Read a table with a header; unless one is named, the separator is the most frequent one in the header."""
    header = text.split("\n", 1)[0]
    delimiter = delimiter or max(DELIMITERS, key=header.count)
    cells = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    return [row_of(row, delimiter != ",", texts=texts) for row in cells]
