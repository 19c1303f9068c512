"""Guidance: verified trajectories of a later policy, collected once and looked up by prompt.

Not here: whether guidance is used (`nearfuture.method`), how the guide is loaded and sampled (`nearfuture.train`).
"""

from nearfuture.guidance.cache import GuidanceCache
from nearfuture.guidance.collect import collect_guidance
from nearfuture.guidance.engine import Engine
from nearfuture.guidance.harvest import Harvest
from nearfuture.guidance.header import CollectionCounts
from nearfuture.guidance.sources import LayeredSources, Source, UniformReplay, WindowedCache

__all__ = [
    "CollectionCounts",
    "Engine",
    "GuidanceCache",
    "Harvest",
    "LayeredSources",
    "Source",
    "UniformReplay",
    "WindowedCache",
    "collect_guidance",
]
