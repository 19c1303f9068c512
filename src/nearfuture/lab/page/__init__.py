"""A page that stands alone: what it is made of, how it is written, and how its figures are drawn.

Not here: which pages there are (`nearfuture.lab.report`, `nearfuture.lab.evaluate.page`).
"""
