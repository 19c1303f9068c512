"""Which scenes and questions there are: five families to train on, and two that occur only in the test.

A scene's hash decides its split: no image of a training prompt occurs in the other splits.

    count-1    `r`            objects of a colour; 5 to 12 objects in 48 x 48 pixels
    count-2    `ro+bs`        two kinds of objects
    count-3    `r*3+bs`       a multiple of a colour, and a kind
    bars       `r`, `M-m`     three bars of 1 to 9 units in 64 x 48 pixels
    angles     `c`            a triangle with two labelled angles, in tens of degrees, in 64 x 48 pixels
    crowded    `r`            13 to 16 objects: more than in training
    wide       `ro+bs`        6 to 14 objects in 64 x 64 pixels: a larger image than in training

What is counted is always present: its colour or kind is that of an object drawn at random.

Not here: the rows that ship (`shipped`), the base model's scores on them (docs/shapes.md).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from nearfuture.tasks.identity import prompt_hash
from nearfuture.tasks.worlds.shapes import world
from nearfuture.tasks.worlds.shapes.drawing import MOST_SHIFT
from nearfuture.tasks.worlds.shapes.world import (
    COLOURS,
    CORNERS,
    HALF_TURN,
    SHAPES,
    Bars,
    Objects,
    Scene,
    Thing,
    Triangle,
)

CELL, JITTER = 12, 4
"""Pixels of a cell, which holds one object, and how many positions the object has in each direction."""
TRAINED = ("count-1", "count-2", "count-3", "bars", "angles")
OUT_OF_DISTRIBUTION = ("crowded", "wide")

Drawn = tuple[Scene, str]
Draw = Callable[[random.Random], Drawn]
T = TypeVar("T")


def split_of(scene: str) -> str:
    """Return the split that a scene belongs to: an eighth each is for evaluation and test."""
    return {0: "evaluation", 1: "test"}.get(hashlib.sha256(scene.encode()).digest()[0] % 8, "train")


def below(rng: random.Random, n: int) -> int:
    """Draw from 0..n-1 using only `random()`, whose sequence Python guarantees to keep between releases."""
    return int(rng.random() * n)


def choice(rng: random.Random, items: Sequence[T]) -> T:
    """Draw one of the items."""
    return items[below(rng, len(items))]


def shuffled(rng: random.Random, items: Iterable[T]) -> list[T]:
    """Put items in a random order."""
    return sorted(items, key=lambda _: rng.random())


def objects(rng: random.Random, size: tuple[int, int], least: int, most: int) -> Objects:
    """Place this many objects, each somewhere in its own cell; no two touch."""
    cells = [(x, y) for x in range(size[0] // CELL) for y in range(size[1] // CELL)]
    places = shuffled(rng, cells)[: least + below(rng, most - least + 1)]
    things = tuple(
        Thing(choice(rng, COLOURS), choice(rng, SHAPES), x * CELL + below(rng, JITTER), y * CELL + below(rng, JITTER))
        for x, y in sorted(places)
    )
    return Objects(size, things)


def _colour(rng: random.Random, scene: Objects) -> str:
    return choice(rng, scene.things).colour


def _kind(rng: random.Random, scene: Objects) -> str:
    thing = choice(rng, scene.things)
    return thing.colour + thing.shape


def _count_1(rng: random.Random) -> Drawn:
    scene = objects(rng, (48, 48), 5, 12)
    return scene, _colour(rng, scene)


def _count_2(rng: random.Random) -> Drawn:
    scene = objects(rng, (48, 48), 5, 12)
    return scene, f"{_kind(rng, scene)}+{_kind(rng, scene)}"


def _count_3(rng: random.Random) -> Drawn:
    scene = objects(rng, (48, 48), 5, 12)
    return scene, f"{_colour(rng, scene)}*{2 + below(rng, 3)}+{_kind(rng, scene)}"


def _bars(rng: random.Random) -> Drawn:
    bars = tuple((colour, 1 + below(rng, 9)) for colour in shuffled(rng, COLOURS))
    higher, lower = sorted(shuffled(rng, bars)[:2], key=lambda bar: -bar[1])
    question = choice(rng, [choice(rng, COLOURS), "M", "m", "M-m", f"{higher[0]}-{lower[0]}"])
    return Bars((64, 48), bars), question


def _angles(rng: random.Random) -> Drawn:
    while True:
        left, right = 2 + below(rng, 7), 2 + below(rng, 7)
        top = HALF_TURN - left - right
        if 2 <= top <= 9:
            missing, shift = choice(rng, CORNERS), (below(rng, MOST_SHIFT + 1), below(rng, MOST_SHIFT + 1))
            return Triangle((64, 48), (left, right, top), missing, shift), missing


def _crowded(rng: random.Random) -> Drawn:
    scene = objects(rng, (48, 48), 13, 16)
    return scene, _colour(rng, scene)


def _wide(rng: random.Random) -> Drawn:
    scene = objects(rng, (64, 64), 6, 14)
    return scene, f"{_kind(rng, scene)}+{_kind(rng, scene)}"


FAMILIES: dict[str, Draw] = {
    "count-1": _count_1,
    "count-2": _count_2,
    "count-3": _count_3,
    "bars": _bars,
    "angles": _angles,
    "crowded": _crowded,
    "wide": _wide,
}


def draw(rng: random.Random, family: str, split: str) -> dict[str, Any]:
    """Draw scenes of the family until one belongs to the split, and make the row that ships for it."""
    while True:
        scene, question = FAMILIES[family](rng)
        text = world.write(scene)
        if split_of(text) == split:
            return {
                "scene": text,
                "question": question,
                "answer": world.solve(scene, question),
                "prompt_id": prompt_hash({"prompt": f"{text} {question}"}),
                "family": family,
            }


def draw_rows(rng: random.Random, families: Iterable[str], size: int, split: str) -> list[dict[str, Any]]:
    """Draw this many rows per family, no scene twice."""
    rows: dict[str, dict[str, Any]] = {}
    for number, family in enumerate(families, start=1):
        while len(rows) < number * size:
            row = draw(rng, family, split)
            rows.setdefault(row["scene"], row)
    return list(rows.values())
