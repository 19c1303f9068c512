"""Leaves the terminal to what this tool prints.

Not here: what it prints (`nearfuture.run.show`).
"""

from __future__ import annotations

import warnings

import datasets
from transformers.utils import logging


def hush_libraries(level: int = logging.ERROR) -> None:
    """Silence the libraries' progress bars, reminders of deprecations inside TRL, and logs below a level."""
    logging.set_verbosity(level)
    logging.disable_progress_bar()
    datasets.disable_progress_bars()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers|trl")
