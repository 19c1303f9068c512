"""Draw a scene: the same text gives the same pixels.

Objects are 8 pixels wide, bars are 4 pixels high per unit, the digits at an angle are 3 x 5 dots of 2 pixels.

Not here: what a scene says (`world`).
"""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from nearfuture.tasks.worlds.shapes.world import CORNERS, Bars, Objects, Scene, Triangle

PAPER, INK, FAINT = (250, 250, 245), (40, 40, 40), (225, 225, 220)
COLOURS = {"r": (214, 40, 40), "g": (44, 160, 60), "b": (40, 80, 210)}
OBJECT = 8
UNIT, BAR, GAP, FLOOR = 4, 10, 8, 4
DOT = 2
SIDE, HEAD, MOST_SHIFT = 15, 18, 5
# The digits 0 to 9: three dots per row from the top, as the bits of an octal digit.
GLYPHS = ("75557", "26227", "71747", "71717", "55711", "74717", "74757", "71111", "75757", "75717")


def draw(scene: Scene) -> Image.Image:
    """Draw a scene as an RGB image of its size."""
    image = Image.new("RGB", scene.size, PAPER)
    pen = ImageDraw.Draw(image)
    match scene:
        case Objects():
            _objects(pen, scene)
        case Bars():
            _bars(pen, scene)
        case Triangle():
            _triangle(pen, scene)
    return image


def _objects(pen: ImageDraw.ImageDraw, scene: Objects) -> None:
    for thing in scene.things:
        left, top, right, bottom = thing.x, thing.y, thing.x + OBJECT - 1, thing.y + OBJECT - 1
        colour = COLOURS[thing.colour]
        if thing.shape == "s":
            pen.rectangle((left, top, right, bottom), fill=colour)
        elif thing.shape == "o":
            pen.ellipse((left, top, right, bottom), fill=colour)
        else:
            pen.polygon([(left, bottom), (right, bottom), ((left + right) / 2, top)], fill=colour)


def _bars(pen: ImageDraw.ImageDraw, scene: Bars) -> None:
    width, height = scene.size
    floor = height - FLOOR
    for unit in range(1, (floor - 1) // UNIT + 1):
        pen.line((0, floor - unit * UNIT, width, floor - unit * UNIT), fill=FAINT)
    for number, (colour, units) in enumerate(scene.bars):
        left = GAP + number * (BAR + GAP)
        pen.rectangle((left, floor - units * UNIT, left + BAR - 1, floor - 1), fill=COLOURS[colour])
    pen.line((0, floor, width, floor), fill=INK)


def corners(scene: Triangle) -> list[tuple[float, float]]:
    """Return the pixels of the corners left, right and on top for these angles, of which both at the base are acute."""
    width, height = scene.size
    left, right = (math.tan(math.radians(10 * angle)) for angle in scene.angles[:2])
    apex_x, apex_y = right / (left + right), left * right / (left + right)  # over a base of length 1
    scale = min(width - 2 * SIDE, (height - HEAD - FLOOR) / apex_y)
    x, y = SIDE - MOST_SHIFT + scene.shift[0], height - FLOOR - scene.shift[1]
    return [(x, y), (x + scale, y), (x + apex_x * scale, y - apex_y * scale)]


def _triangle(pen: ImageDraw.ImageDraw, scene: Triangle) -> None:
    points = corners(scene)
    pen.polygon(points, outline=INK)
    (left, floor), (right, _), (top_x, top_y) = points
    places = [(left - 9, floor - 9), (right + 4, floor - 9), (top_x - 3, top_y - 12)]
    for corner, angle, (x, y) in zip(CORNERS, scene.angles, places, strict=True):
        if corner != scene.missing:
            _digit(pen, angle, round(x), round(y))


def _digit(pen: ImageDraw.ImageDraw, digit: int, x: int, y: int) -> None:
    for row, bits in enumerate(GLYPHS[digit]):
        for column in range(3):
            if int(bits) >> (2 - column) & 1:
                at = (x + column * DOT, y + row * DOT)
                pen.rectangle((*at, at[0] + DOT - 1, at[1] + DOT - 1), fill=INK)
