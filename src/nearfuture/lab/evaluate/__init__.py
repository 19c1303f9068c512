"""Evaluating models: policies, suites, responses on disk, scores with intervals, comparisons, and their output.

Not here: the benchmarks themselves (`nearfuture.lab.evaluate.benchmarks`), evaluation while training
(`nearfuture.guidance.held_out`), comparisons of methods over training seeds (`nearfuture.lab.study`).
"""
