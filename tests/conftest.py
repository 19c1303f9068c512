"""What holds for every test: nothing is judged by the clock, hypothesis' own checks included.

What the libraries have made when the tests are collected stays until the end. Each trainer collects garbage, and going
through all of that takes a quarter of a second each time, so it is taken out of sight.
"""

from __future__ import annotations

import gc

from hypothesis import HealthCheck, settings

settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
