"""Values, texts and bytes that nobody should write and somebody will: drawn from a seeded generator.

Not here: where they are put (`fuzz_kinds`), how what happens then is watched (`fuzz_runner`).
"""

from __future__ import annotations

import copy
import json
import random
import types
import typing
from enum import Enum
from typing import Any

WHOLE = (-1, 0, 1, 2, 3, 7, -(10**9), 10**9, 2**31, 2**63, 10**30, -(10**30))
REAL = (-1.0, 0.0, -0.0, 0.5, 1.0, 1.5, 1e-300, 1e300, -1e300, float("nan"), float("inf"), float("-inf"))
TEXTS = (
    "", " ", "null", "~",
    "none", "true", "0", "-1", "1e-4", "a" * 5000, "../../etc/passwd", "/", ".", "/dev/null", "~",
    "нет", "模型", "👍🏽", "\u202eabc", "a\x00b",
    "\x1b[31m", "\ufeff", "\ud7ff", "'", '"', "{", "[1,", "a: b: c", "- x", "*a", "&a",
    "%s%n", "{0}", "$(x)", "`x`", "no/such/place", "con", "2020-01-01", "auto", "all", "default", "wandb",
)  # fmt: skip
NESTED: tuple[Any, ...] = (
    [],
    [None],
    [[]],
    {},
    {"": None},
    {"a": {"b": [1, "x", None]}},
    [1, "a", None, 2.5],
    [-1] * 50,
)
LINES = (
    "", "\n", "[]", "{}", "null", "1", '"x"', "{", "}", '{"a": 1', "\x00\x00", "NaN", "[1, 2", '{"a": NaN}', "---",
    "<html>",
    '{"a": 1}{"b": 2}', "a,b\n1", "\ufeff{}", '{"step": 1e999}', '{"step": "1"}', '{"step": -1}', "[" * 5000,
)  # fmt: skip
ANSWERS = (
    "4", "-3/7", "0.25", "1,000", "1e400", "2^{2005}", r"\frac{1}{2}", r"\frac{}{}", r"\sqrt[3]{8}", r"\boxed{", "}",
    r"\boxed{4}", r"\boxed{\boxed{}}", "<answer>B</answer>", "</answer>", "<think>", "#### 72", "(B)", "A. text", "B",
    r"\text{cm}", "$", "$$", r"\(", r"\)", "{", "\\", "&", "=", "<", "|x|", "x^2+1", "{1,2}", "[0,1)", "12:30",
    "The answer is", "答案: 3个", "½", "٣", "π", "\u202e", "\x00", "1/0", "0/0", "nan", "inf", "(" * 300, "^" * 50,
    "9" * 500, r"\begin{pmatrix}1&2\end{pmatrix}", r"\sum_{k=1}^{10^9} k", r"\int_0^1 x dx", "true", "None", " or ",
    ";", ",", "%",
)  # fmt: skip


def value(rng: random.Random) -> Any:
    """Any value that YAML or JSON can hold."""
    kind = rng.randrange(7)
    if kind == 0:
        return None
    if kind == 1:
        return rng.random() < 0.5
    if kind == 2:
        return rng.choice(WHOLE)
    if kind == 3:
        return rng.choice(REAL)
    if kind == 4:
        return copy.deepcopy(rng.choice(NESTED))
    if kind == 5:
        return "".join(
            chr(rng.choice((rng.randrange(32, 127), rng.randrange(32, 0xD7FF)))) for _ in range(rng.randrange(12))
        )
    return rng.choice(TEXTS)


def value_for(rng: random.Random, hint: Any) -> Any:
    """A value that has the type of a field two times in three, so that what comes behind the types is reached, too."""
    if rng.random() < 0.3:
        return value(rng)
    options = [part for part in _parts(hint) if part is not type(None)]
    chosen = rng.choice(options) if options else str
    if typing.get_origin(chosen) is typing.Literal:
        return rng.choice(typing.get_args(chosen))
    if isinstance(chosen, type) and issubclass(chosen, Enum):
        return rng.choice(list(chosen)).value
    if chosen is bool:
        return rng.random() < 0.5
    if chosen is int:
        return rng.choice(WHOLE)
    if chosen is float:
        return rng.choice((*REAL, *WHOLE))
    if chosen is str:
        return rng.choice(TEXTS)
    return copy.deepcopy(rng.choice(NESTED))


def _parts(hint: Any) -> list[Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [part for inner in typing.get_args(hint) for part in _parts(inner)]
    return [hint]


def override(rng: random.Random, key: str, hint: Any) -> str:
    """`key=value` as it would be typed."""
    drawn = value_for(rng, hint)
    text = drawn if isinstance(drawn, str) else json.dumps(drawn)
    return f"{key}={text}".replace("\x00", "")  # no shell passes a NUL


def changed(rng: random.Random, tree: Any) -> Any:
    """A JSON value with one to three of its parts replaced, taken away, doubled, or renamed."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.randrange(1, 4)):
        _change(rng, tree)
    return tree


def _change(rng: random.Random, tree: Any) -> None:
    places = list(_places(tree))
    if not places:
        return
    holder, key = rng.choice(places)
    kind = rng.randrange(5)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[rng.choice((*TEXTS, *map(str, holder)))] = holder.pop(key)
    elif kind == 2 and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif isinstance(holder[key], int | float) and kind == 3:
        holder[key] = rng.choice((*WHOLE, *REAL))
    else:
        holder[key] = value(rng)


def _places(tree: Any) -> typing.Iterator[tuple[Any, Any]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, inner in list(items):
        yield tree, key
        yield from _places(inner)


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Bytes that were cut, flipped, doubled, overwritten, emptied, or are of another kind altogether."""
    kind = rng.randrange(7)
    at = rng.randrange(len(data) + 1)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes(rng.randrange(256) for _ in range(16)) + data[at + 16 :]
    if kind == 2:
        return data[:at] + rng.choice(LINES).encode() + data[at:]
    if kind == 3:
        return rng.choice(LINES).encode()
    if kind == 4:
        return rng.randbytes(rng.randrange(200))
    if kind == 5:
        return data + data
    return data.decode("utf-8", "replace").encode("utf-16")


def dumped(rng: random.Random, tree: Any) -> bytes:
    """JSON text of a value; now and then damaged beyond it."""
    data = json.dumps(tree).encode()
    return damaged(rng, data) if rng.random() < 0.2 else data
