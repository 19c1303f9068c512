"""A bounded cache of results that drops the least recently used entry first; safe from any thread.

Not here: what is worth keeping (`verifier`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Cache(Generic[K, V]):
    """A mapping of at most `size` entries.

    Example:
        >>> cache = Cache(2)
        >>> for key in "abac":
        ...     cache.put(key, key.upper())
        >>> cache.get("a"), cache.get("b"), cache.get("c")
        ('A', None, 'C')
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """Return the stored value; None if there is none."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: K, value: V) -> None:
        """Store a value."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self.size:
                self._values.popitem(last=False)
