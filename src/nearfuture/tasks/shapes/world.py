"""The shapes world: read numbers off an image, calculate with them, and write the calculation down.

A scene is text, from which the image is drawn and the answer computed:

    objects 48x48 ro:5,7 bs:17,30       a red circle and a blue square, by their upper left corners in pixels
    bars 64x48 r7 g2 b9                 bars from left to right, by their heights in units
    triangle 64x48 5,7,6 c 3,2          the angles left, right and on top in tens of degrees, which of them is not
                                        labelled, and by how many pixels all of it is shifted

A question names what is to be read: `r` all red objects or the red bar, `ro` red circles, `M` and `m` the highest and
lowest bar, `c` the angle that is missing. It may add, subtract and multiply: `ro+bs`, `r*3+bs`, `M-m`. The answer is
the calculation with the numbers put in, and its result: `3*3+2=11`. Only the number after `=` is judged.

Not here: the pixels (`drawing`), which scenes and questions there are (`families`), the shipped files (`shipped`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nearfuture.types import Verdict

COLOURS = "rgb"
SHAPES = "ost"
HALF_TURN = 18
"""The sum of the angles of a triangle, in tens of degrees."""
CORNERS = "abc"
SYMBOLS = "0123456789+-*=?>" + COLOURS + SHAPES + "Mmac"

_ANSWER = re.compile(r"[0-9]+(?:[+*-][0-9]+)*=(0|-?[1-9][0-9]{0,2})")


@dataclass(frozen=True)
class Thing:
    """An object: colour, shape, and its upper left corner in pixels."""

    colour: str
    shape: str
    x: int
    y: int


@dataclass(frozen=True)
class Scene:
    """What an image shows; only the fields of its kind are filled."""

    kind: str
    size: tuple[int, int]
    things: tuple[Thing, ...] = ()
    bars: tuple[tuple[str, int], ...] = ()
    angles: tuple[int, int, int] = (0, 0, 0)
    missing: str = ""
    shift: tuple[int, int] = (0, 0)


def parse(text: str) -> Scene:
    """Read a scene.

    Raises:
        ValueError: it is none.
    """
    kind, size, *items = text.split(" ")
    width, _, height = size.partition("x")
    shape = (int(width), int(height))
    if kind == "objects":
        return Scene(kind, shape, things=tuple(_thing(item) for item in items))
    if kind == "bars":
        return Scene(kind, shape, bars=tuple((item[0], int(item[1:])) for item in items))
    if kind == "triangle":
        left, right, top = map(int, items[0].split(","))
        x, y = map(int, items[2].split(","))
        return Scene(kind, shape, angles=(left, right, top), missing=items[1], shift=(x, y))
    raise ValueError(f"{text!r} begins with no kind of scene")


def _thing(item: str) -> Thing:
    name, _, place = item.partition(":")
    x, _, y = place.partition(",")
    return Thing(name[0], name[1], int(x), int(y))


def write(scene: Scene) -> str:
    """Write a scene; the inverse of `parse`."""
    head = f"{scene.kind} {scene.size[0]}x{scene.size[1]}"
    if scene.kind == "objects":
        items = [f"{thing.colour}{thing.shape}:{thing.x},{thing.y}" for thing in scene.things]
    elif scene.kind == "bars":
        items = [f"{colour}{height}" for colour, height in scene.bars]
    else:
        items = [",".join(map(str, scene.angles)), scene.missing, ",".join(map(str, scene.shift))]
    return " ".join([head, *items])


def read_off(scene: Scene, name: str) -> str:
    """What stands for a name in the calculation: a number, for a missing angle the subtraction that gives it.

    Raises:
        KeyError: the scene has nothing of this name.
    """
    if scene.kind == "objects":
        counts = {colour + shape: 0 for colour in COLOURS for shape in ("", *SHAPES)}
        for thing in scene.things:
            counts[thing.colour] += 1
            counts[thing.colour + thing.shape] += 1
        return str(counts[name])
    if scene.kind == "bars":
        heights = dict(scene.bars)
        return str({**heights, "M": max(heights.values()), "m": min(heights.values())}[name])
    known = [angle for corner, angle in zip(CORNERS, scene.angles, strict=True) if corner != scene.missing]
    return {scene.missing: "-".join(map(str, (HALF_TURN, *known)))}[name]


def calculation(scene: Scene, question: str) -> str:
    """The question with numbers put in, for example `3*3+2`."""
    return re.sub(r"[a-zA-Z]+", lambda name: read_off(scene, name[0]), question)


def result(calculation: str) -> int:
    """Value of numbers joined by `+`, `-` and `*`, the last binding tighter.

    Example:
        >>> result("3*3+2"), result("18-7-4")
        (11, 7)
    """
    total = 0
    for sign, product in re.findall(r"([+-]?)([0-9*]+)", calculation):
        value = 1
        for factor in product.split("*"):
            value *= int(factor)
        total += -value if sign == "-" else value
    return total


def solve(scene: Scene, question: str) -> str:
    """The answer in full, for example `3*3+2=11`."""
    written = calculation(scene, question)
    return f"{written}={result(written)}"


def verify(completion: str, row: Mapping[str, Any]) -> Verdict:
    """Judge the number after `=`; an answer that is no calculation with a result is no answer."""
    try:
        right = result(calculation(parse(str(row.get("scene"))), str(row.get("question"))))
    except (ValueError, KeyError, IndexError):
        return Verdict.INVALID_GOLD
    found = _ANSWER.fullmatch(completion)
    if found is None:
        return Verdict.NO_ANSWER
    return Verdict.CORRECT if int(found[1]) == right else Verdict.WRONG
