"""Evaluating models: which, on what, their responses on disk, scores with intervals, comparisons, and what is shown.

Not here: the benchmarks themselves (`nearfuture.tasks.benchmarks`), evaluation while training
(`nearfuture.run.evaluate`), comparisons of methods over training seeds (`nearfuture.run.study`).
"""
