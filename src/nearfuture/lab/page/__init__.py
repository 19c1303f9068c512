"""Self-contained pages: what they are made of, how they are written, and how their figures are drawn.

Not here: which pages there are (`nearfuture.lab.report`, `nearfuture.lab.evaluate.page`).
"""
