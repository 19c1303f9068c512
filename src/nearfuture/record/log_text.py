"""Turn the text of a log into rows: JSON lines, one JSON document, CSV, or what a trainer prints to a console.

    {"step": 3, "reward": 0.5}                                 one JSON object per line; nested ones are flattened
    [{"step": 3, ...}, ...]   {"log_history": [...]}           one JSON document
    Step;run - train/reward                                    CSV with comma, semicolon or tab
    (Task pid=7) step:3 - critic/score/mean:np.float64(0.5)    verl's console
    {'reward': 0.5, 'epoch': 0.01}                             the console of transformers, TRL, ms-swift

The form of a file is recognised from its content, so `run.log`, `output.txt` and `logging.jsonl` are read alike. A
value that is text or not finite counts as missing; nothing is filled in.

Not here: which rows belong to one run (`log_runs`), which column is the reward (`logs`).
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearfuture.json_text import loads
from nearfuture.method.trends import LARGEST
from nearfuture.types import UserError

Row = dict[str, float]

BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
DELIMITERS = ",;\t"
COUNTED_STEP = "row number"
"""The step column of a console log that prints no step: its rows are counted."""
STEP_NAMES = (
    "step",
    "global_step",
    "training/global_step",
    "train/global_step",
    "trainer/global_step",
    "global_step/max_steps",
    "_step",
    "Step",
    COUNTED_STEP,
)
TRAIN_ROW = ("reward", "loss", "train/reward", "train/loss")

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
VERL_STEP = re.compile(r"\bstep:(\d+) - ")
PYTHON_ROW = re.compile(r"\{['\"][^{}]*\}")
PYTHON_PAIR = re.compile(r"""['"]([^'"]+)['"]:\s*(['"]?)([^,'"}]+)\2""")
PROGRESS = re.compile(r"^\s*\d+%\|[^|]*\|\s*(\d+)/(\d+) \[")
"""The trainer's own bar; the bars of data and weights have a description."""
WRAPPED = re.compile(r"^(?:np\.|numpy\.|torch\.)?(?:float\d*|int\d*|tensor)\(([^,()]+)[^()]*\)$")
FRACTION = re.compile(r"^\s*(\d+)\s*/\s*\d+\s*$")
DECIMAL_COMMA = re.compile(r"^-?\d+,\d+(?:[eE][-+]?\d+)?$")


@dataclass
class Rows:
    """The rows of a file in order, and notes on what was assumed or could not be read."""

    rows: list[Row]
    notes: list[str] = field(default_factory=list)


def read_text_log(path: Path, logging_steps: int | None = None) -> Rows:
    """Read a text file of any known form.

    Args:
        path: the file.
        logging_steps: steps per row, if a console log prints no step; None estimates it from the progress bar if there
            is one, otherwise 1.

    Raises:
        UserError: the file is binary.
    """
    text = decode(path)
    if path.suffix.lower() == ".csv":
        return Rows(read_csv(text))
    document = _document(path, text)
    if document is not None:
        return Rows(document)
    lines = [ANSI.sub("", line) for line in re.split(r"[\r\n]+", text) if line.strip()]
    if not any(_is_row(line) for line in lines) and len(lines) > 1 and any(mark in lines[0] for mark in DELIMITERS):
        return Rows(read_csv(text))
    return _read_lines(lines, path.suffix.lower() == ".jsonl", logging_steps)


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
        raise UserError(
            f"{path} is not text. Readable are JSON, JSON lines, CSV, console logs and TensorBoard event files "
            "(named *tfevents*)."
        )
    return text


def _document(path: Path, text: str) -> list[Row] | None:
    """Return the rows of one JSON document, a list or an object with `log_history`; None if it is not one."""
    try:
        value = loads(text)
    except ValueError:
        return None
    if isinstance(value, dict) and "log_history" in value:
        value = value["log_history"]
    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        return [row_of(row) for row in value]
    if isinstance(value, dict) and "\n" not in text.strip():
        return None
    raise UserError(
        f"{path} holds one JSON value that is not a log: it must be a list of rows, or an object whose log_history is "
        "one (trainer_state.json). One object per line works too."
    )


def read_csv(text: str) -> list[Row]:
    """Read a table with a header; the separator is the most frequent one in the header."""
    header = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=header.count)
    with_comma = delimiter != ","
    return [row_of(row, with_comma) for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)]


def _is_row(line: str) -> bool:
    return bool(VERL_STEP.search(line) or PYTHON_ROW.search(line) or line.lstrip().startswith("{"))


def _read_lines(lines: list[str], is_jsonl: bool, logging_steps: int | None) -> Rows:
    """Read rows line by line; other lines of a console are passed over, those of a JSONL are counted."""
    rows: list[Row] = []
    forms: Counter[str] = Counter()
    unread = 0
    for line in lines:
        found = list(_rows_of(line, forms))
        unread += not found
        rows += found
    notes = []
    if unread and (is_jsonl or forms.keys() == {"json"}):
        notes.append(f"Lines left out because they hold no JSON object: {unread} (a kill leaves half a line).")
    if forms["python"] and not any(name in row for row in rows for name in STEP_NAMES):
        notes.append(_count_rows(rows, logging_steps, _progress(lines)))
    return Rows(rows, notes)


def _rows_of(line: str, forms: Counter[str]) -> Iterable[Row]:
    if line.lstrip().startswith("{"):
        try:
            value = loads(line)
        except ValueError:
            value = None
        if isinstance(value, dict):
            forms["json"] += 1
            data = value.pop("data", {})
            yield row_of({**value, **(data if isinstance(data, dict) else {})})
            return
    if match := VERL_STEP.search(line):
        forms["verl"] += 1
        pairs = (part.rsplit(":", 1) for part in line[match.start() :].split(" - "))
        yield row_of({pair[0].strip(): pair[1] for pair in pairs if len(pair) == 2})
        return
    for text in PYTHON_ROW.findall(line):
        if row := row_of({name: value for name, _, value in PYTHON_PAIR.findall(text)}):
            forms["python"] += 1
            yield row


def _progress(lines: list[str]) -> int:
    """Return the last step of the trainer's progress bar, 0 without one; an evaluation's bar has another total."""
    shown = [(int(match[1]), int(match[2])) for line in lines if (match := PROGRESS.match(line))]
    return max((step for step, total in shown if total == shown[0][1]), default=0)


def _count_rows(rows: list[Row], logging_steps: int | None, progress: int) -> str:
    """Number the rows that carry a reward or a loss, and say how."""
    train = [row for row in rows if any(name in row for name in TRAIN_ROW)]
    every = logging_steps or max(1, round(progress / max(1, len(train))))
    for number, row in enumerate(train, 1):
        row[COUNTED_STEP] = float(number * every)
    counted = f"The log prints no step, so its {len(train)} rows were counted, {every} steps per row"
    if logging_steps:
        return f"{counted} (--logging-steps)."
    how = "by its progress bar" if progress else "assumed"
    return f"{counted} ({how}). Give --logging-steps N if the trainer logged every N steps."


def row_of(row: dict[str, Any], with_comma: bool = False, prefix: str = "") -> Row:
    """Flatten nested objects with `/` and keep what is a finite number."""
    flat: Row = {}
    for name, value in row.items():
        if name is None:  # the surplus cells of a CSV line
            continue
        if isinstance(value, dict):
            flat.update(row_of(value, with_comma, f"{prefix}{name}/"))
        elif (number := _number(value, with_comma)) is not None:
            flat[f"{prefix}{name}"] = number
    return flat


def _number(value: Any, with_comma: bool) -> float | None:
    """Return a number as loggers write one: 0.5, "0.5", np.float64(0.5), "10/438" (of 438), 0,5 in a table with `;`."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        value = value.strip()
        if match := WRAPPED.match(value) or FRACTION.match(value):
            value = match.group(1)
        if with_comma and DECIMAL_COMMA.match(value):
            value = value.replace(",", ".")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) <= LARGEST else None
