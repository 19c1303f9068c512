"""Evaluating models: which, on what, their responses on disk, scores with intervals, comparisons, and what is shown.

Not here: the benchmarks themselves (`nearfuture.lab.evaluate.benchmarks`), evaluation while training
(`nearfuture.guidance.held_out`), comparisons of methods over training seeds (`nearfuture.lab.study`).
"""
