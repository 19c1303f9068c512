"""Data sets as tasks: one schema, one adapter per data set, and a count by reason of the rows left out.

Not here: the worlds that ship (`worlds`), benchmarks (`nearfuture.lab.evaluate.benchmarks`), tokens
(`nearfuture.train`).
"""

from nearfuture.options.data import DataConfig
from nearfuture.tasks.data.loading import Loaded, load_rows
from nearfuture.tasks.data.registry import SOURCES, Source, find_source
from nearfuture.tasks.data.task import data_task

__all__ = ["SOURCES", "DataConfig", "Loaded", "Source", "data_task", "find_source", "load_rows"]
