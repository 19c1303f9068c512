"""The shapes world: read numbers off an image, calculate with them, and write the calculation down.

A scene is text, from which the image is drawn and the answer computed:

    objects 48x48 ro:5,7 bs:17,30       a red circle and a blue square, by their upper left corners in pixels
    bars 64x48 r7 g2 b9                 bars from left to right, by their heights in units
    triangle 64x48 5,7,6 c 3,2          the angles left, right and on top in tens of degrees, which of them is not
                                        labelled, and by how many pixels the whole triangle is shifted

A question names what to read: `r` all red objects or the red bar, `ro` red circles, `M` and `m` the highest and
lowest bar, `c` the missing angle. It may add, subtract and multiply: `ro+bs`, `r*3+bs`, `M-m`. The answer is
the calculation with the numbers filled in, and its result: `3*3+2=11`. Only the number after `=` is judged.

Not here: the pixels (`drawing`), which scenes and questions there are (`families`), the shipped files (`shipped`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

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
class Objects:
    """Objects that do not touch, in an image of this size in pixels."""

    kind: ClassVar[str] = "objects"
    size: tuple[int, int]
    things: tuple[Thing, ...]

    @classmethod
    def read(cls, size: tuple[int, int], items: list[str]) -> Objects:
        """Read what follows kind and size."""
        parts = [item.partition(":") for item in items]
        return cls(size, tuple(Thing(name[0], name[1], *_pair(place)) for name, _, place in parts))

    def items(self) -> list[str]:
        """Write what follows kind and size."""
        return [f"{thing.colour}{thing.shape}:{thing.x},{thing.y}" for thing in self.things]

    def readings(self) -> dict[str, str]:
        """The number of objects of every colour, and of every kind."""
        counts = {colour + shape: 0 for colour in COLOURS for shape in ("", *SHAPES)}
        for thing in self.things:
            counts[thing.colour] += 1
            counts[thing.colour + thing.shape] += 1
        return {name: str(count) for name, count in counts.items()}


@dataclass(frozen=True)
class Bars:
    """Bars from left to right: colours, and heights in units."""

    kind: ClassVar[str] = "bars"
    size: tuple[int, int]
    bars: tuple[tuple[str, int], ...]

    @classmethod
    def read(cls, size: tuple[int, int], items: list[str]) -> Bars:
        """Read what follows kind and size."""
        return cls(size, tuple((item[0], int(item[1:])) for item in items))

    def items(self) -> list[str]:
        """Write what follows kind and size."""
        return [f"{colour}{height}" for colour, height in self.bars]

    def readings(self) -> dict[str, str]:
        """The height of every bar, and of the highest and the lowest."""
        heights = [height for _, height in self.bars]
        return {name: str(height) for name, height in (*self.bars, ("M", max(heights)), ("m", min(heights)))}


@dataclass(frozen=True)
class Triangle:
    """Its angles left, right and on top in tens of degrees, which is not labelled, and a shift in pixels."""

    kind: ClassVar[str] = "triangle"
    size: tuple[int, int]
    angles: tuple[int, int, int]
    missing: str
    shift: tuple[int, int]

    @classmethod
    def read(cls, size: tuple[int, int], items: list[str]) -> Triangle:
        """Read what follows kind and size."""
        left, right, top = map(int, items[0].split(","))
        return cls(size, (left, right, top), items[1], _pair(items[2]))

    def items(self) -> list[str]:
        """Write what follows kind and size."""
        return [",".join(map(str, self.angles)), self.missing, ",".join(map(str, self.shift))]

    def readings(self) -> dict[str, str]:
        """The missing angle, as the subtraction that gives it."""
        known = [angle for corner, angle in zip(CORNERS, self.angles, strict=True) if corner != self.missing]
        return {self.missing: "-".join(map(str, (HALF_TURN, *known)))}


Scene = Objects | Bars | Triangle
KINDS: dict[str, type[Scene]] = {kind.kind: kind for kind in (Objects, Bars, Triangle)}


def _pair(text: str) -> tuple[int, int]:
    x, y = map(int, text.split(","))
    return x, y


def parse(text: str) -> Scene:
    """Read a scene.

    Raises:
        KeyError, ValueError, IndexError: the text is not a scene.
    """
    kind, size, *items = text.split(" ")
    return KINDS[kind].read(_pair(size.replace("x", ",")), items)


def write(scene: Scene) -> str:
    """Write a scene; the inverse of `parse`."""
    return " ".join([scene.kind, f"{scene.size[0]}x{scene.size[1]}", *scene.items()])


def calculation(scene: Scene, question: str) -> str:
    """Return the question with numbers filled in, for example `3*3+2`.

    Raises:
        KeyError: the scene has nothing by a name in the question.
    """
    readings = scene.readings()
    return re.sub(r"[a-zA-Z]+", lambda name: readings[name[0]], question)


def result(calculation: str) -> int:
    """Return the value of numbers joined by `+`, `-` and `*`, where `*` binds tighter.

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
    """Return the answer in full, for example `3*3+2=11`."""
    written = calculation(scene, question)
    return f"{written}={result(written)}"


def read(completion: str) -> int | None:
    """Read the number after `=`; None if the answer is not a calculation with a result.

    Example:
        >>> read("2+3=5"), read("5")
        (5, None)
    """
    found = _ANSWER.fullmatch(completion)
    return None if found is None else int(found[1])


def verify(completion: str, row: Mapping[str, Any]) -> Verdict:
    """Judge the number after `=`; an answer that is not a calculation with a result is no answer."""
    try:
        right = result(calculation(parse(str(row.get("scene"))), str(row.get("question"))))
    except (ValueError, KeyError, IndexError):
        return Verdict.INVALID_GOLD
    found = read(completion)
    if found is None:
        return Verdict.NO_ANSWER
    return Verdict.CORRECT if found == right else Verdict.WRONG
