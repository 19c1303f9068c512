"""Shapes: a small world with images, a tiny Qwen3-VL and prompts; counting, bars and labelled angles.

Not here: the description and the measured dynamics (docs/shapes.md), and how it was built (scripts/build_shapes.py).
"""

from nearfuture.tasks.worlds.shapes.shipped import shapes_task

__all__ = ["shapes_task"]
