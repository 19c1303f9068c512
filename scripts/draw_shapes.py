"""Draw docs/images/shapes.png: four test prompts of every family of the shapes world, with question and gold.

What it leaves out: the scenes, which are those that ship (scripts/build_shapes.py).

    python scripts/draw_shapes.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from nearfuture.tasks import load_task
from nearfuture.tasks.worlds.shapes.families import FAMILIES

OUT = Path(__file__).parent.parent / "docs" / "images" / "shapes.png"
PER_FAMILY, SCALE = 4, 2
MARGIN, LABEL, TEXT = 10, 84, 18
WIDTH, HEIGHT = 64 * SCALE, 64 * SCALE
PAGE, INK, GREY = "white", (30, 30, 30), (110, 110, 110)


def main() -> None:
    """Draw the grid: one row per family."""
    rows = load_task("shapes").test
    size = (LABEL + PER_FAMILY * (WIDTH + MARGIN), MARGIN + len(FAMILIES) * (HEIGHT + TEXT + MARGIN))
    page = Image.new("RGB", size, PAGE)
    for number, family in enumerate(FAMILIES):
        top = MARGIN + number * (HEIGHT + TEXT + MARGIN)
        ImageDraw.Draw(page).text((MARGIN, top), family, fill=INK, font=ImageFont.load_default(13))
        shown = [row for row in rows if row["family"] == family][:PER_FAMILY]
        for column, row in enumerate(shown):
            _paste(page, row, LABEL + column * (WIDTH + MARGIN), top)
    page.quantize(64, dither=Image.Dither.NONE).save(OUT, optimize=True)


def _paste(page: Image.Image, row: dict[str, Any], left: int, top: int) -> None:
    image = row["images"][0]
    scaled = image.resize((image.width * SCALE, image.height * SCALE), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(page)
    page.paste(scaled, (left, top))
    pen.rectangle((left - 1, top - 1, left + scaled.width, top + scaled.height), outline=GREY)
    text = f"{row['question']}?>  {row['answer']}"
    pen.text((left, top + scaled.height + 3), text, fill=INK, font=ImageFont.load_default(13))


if __name__ == "__main__":
    main()
