"""The benchmarks: the paper's eight and two more.

    from nearfuture.lab.evaluate.benchmarks import BENCHMARKS
    from nearfuture.lab.evaluate.benchmarks.loading import load_benchmark
    load_benchmark(BENCHMARKS["mathvista"], folder)[0]  # a row of the project's schema

The project ships no row of any of them, and none may be trained on.

Not here: sampling and scoring a model (`nearfuture.lab.evaluate`), training data (`nearfuture.tasks.data`).
"""

from nearfuture.lab.evaluate.benchmarks.benchmark import Benchmark, Metric, Part, Question, Unit
from nearfuture.lab.evaluate.benchmarks.paper import BENCHMARKS, PAPER

__all__ = ["BENCHMARKS", "PAPER", "Benchmark", "Metric", "Part", "Question", "Unit"]
