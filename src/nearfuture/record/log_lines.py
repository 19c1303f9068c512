"""The rows that a trainer prints or appends line by line.

    {"step": 3, "reward": 0.5}                                 one JSON object per line; nested ones are flattened
    12:00:01 INFO {"step": 3, "data": {"reward": 0.5}}         behind what a logger writes first
    (Task pid=7) step:3 - critic/score/mean:np.float64(0.5)    verl's console
    {'reward': 0.5, 'epoch': 0.01}                             the console of transformers, TRL, ms-swift
    step=3 reward=0.5      step: 3, reward: 0.5                names and values, where a file has none of the above

Not here: files that are one value or a table (`log_text`), values (`log_values`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from nearfuture.json_text import loads
from nearfuture.record.log_values import Row, Texts, row_of

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

STEP_BEFORE = re.compile(r"\b(?:global[ _])?step\W{1,3}(\d+)\W*$", re.IGNORECASE)
"""What OpenRLHF and others print before a row: `Global step 17: {...}`."""
VERL_STEP = re.compile(r"\bstep:(\d+) - ")
JSON_OBJECT = re.compile(r"\{\s*\".*\}")
PYTHON_ROW = re.compile(r"\{['\"][^{}]*\}")
PYTHON_PAIR = re.compile(r"""['"]([^'"]+)['"]:\s*(['"]?)([^,'"}]+)\2""")
PAIR = re.compile(
    r"(?<![\w./@-])([A-Za-z_][\w./@-]*)\s*[=:]\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s?%?)(?=[\s;|)\]}]|,(?!\d)|$)"
)
PROGRESS = re.compile(r"^\s*\d+%\|[^|]*\|\s*(\d+)/(\d+) \[")
"""The trainer's own bar; the bars of data and weights have a description."""


def is_row(line: str) -> bool:
    """True where a line holds an object or verl's values."""
    starts = line.lstrip().startswith("{")
    return bool(starts or VERL_STEP.search(line) or PYTHON_ROW.search(line) or JSON_OBJECT.search(line))


def read_pairs(lines: Sequence[str], texts: Texts) -> list[Row]:
    """Return a row for every line with two names and values or more: `step=3 reward=0.5`."""
    pairs = (dict(PAIR.findall(line)) for line in lines)
    return [row_of(found, texts=texts) for found in pairs if len(found) > 1]


def read_lines(
    lines: Sequence[str], texts: Texts, *, is_jsonl: bool, logging_steps: int | None
) -> tuple[list[Row], list[str]]:
    """Read rows line by line; other lines of a console are passed over, those of a JSONL are counted.

    Args:
        lines: of the file.
        texts: where examples of values that are not plain numbers are noted.
        is_jsonl: whether the file's name says that every line is an object.
        logging_steps: steps per row, if no step is printed; None: by the progress bar if there is one, otherwise 1.

    Returns:
        The rows, and notes on what was assumed or left out.
    """
    rows: list[Row] = []
    forms: Counter[str] = Counter()
    unread = 0
    for line in lines:
        found = list(_rows_of(line, forms, texts))
        unread += not found
        rows += found
    notes = []
    if unread and (is_jsonl or forms.keys() == {"json"}):
        notes.append(f"Lines left out because they hold no JSON object: {unread} (a kill leaves half a line).")
    if forms["console"] and not any(name in row for row in rows for name in STEP_NAMES):
        notes.append(_count_rows(rows, logging_steps, _progress(lines)))
    return rows, notes


def _rows_of(line: str, forms: Counter[str], texts: Texts) -> Iterator[Row]:
    if (row := _json_row(line, texts)) is not None:
        forms["json" if line.lstrip().startswith("{") else "console"] += 1
        yield row
        return
    if match := VERL_STEP.search(line):
        forms["verl"] += 1
        pairs = (part.rsplit(":", 1) for part in line[match.start() :].split(" - "))
        yield row_of({pair[0].strip(): pair[1] for pair in pairs if len(pair) == 2}, texts=texts)
        return
    for text in PYTHON_ROW.findall(line):
        if row := row_of({name: value for name, _, value in PYTHON_PAIR.findall(text)}, texts=texts):
            forms["console"] += 1
            named = STEP_BEFORE.search(line[: line.index(text)])
            if named is not None and not any(name in row for name in STEP_NAMES):
                row["step"] = float(named[1])
            yield row


def _json_row(line: str, texts: Texts) -> Row | None:
    """Return the row of the JSON object that a line holds, behind a logger's prefix or not; None if it holds none."""
    match = JSON_OBJECT.search(line)
    try:
        value = loads(match.group()) if match else loads(line)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    data = value.pop("data", {})
    return row_of({**value, **(data if isinstance(data, dict) else {})}, texts=texts)


def _progress(lines: Sequence[str]) -> int:
    """Return the last step of the trainer's progress bar, 0 without one; an evaluation's bar has another total."""
    shown = [(int(match[1]), int(match[2])) for line in lines if (match := PROGRESS.match(line))]
    return max((step for step, total in shown if total == shown[0][1]), default=0)


def _count_rows(rows: list[Row], logging_steps: int | None, progress: int) -> str:
    """Number the rows that carry a reward or a loss, and say how."""
    train = [row for row in rows if any(name in row for name in TRAIN_ROW)]
    every = logging_steps or max(1, round(progress / max(1, len(train))))
    for number, row in enumerate(train, 1):
        row[COUNTED_STEP] = float(number * every)
    each = "one step" if every == 1 else f"{every} steps"
    counted = f"The log prints no step, so its {len(train)} rows were counted, {each} per row"
    if logging_steps:
        return f"{counted} (--logging-steps)."
    how = "by its progress bar" if progress else "assumed"
    return f"{counted} ({how}). Give --logging-steps N if the trainer logged every N steps."
