"""How much a searcher may keep, and what it does."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hashgrain.codes.errors import InvalidInput


def require_cache_bytes(cache_bytes: int | None) -> None:
    """Refuse what is neither None nor a size.

    Raises:
        InvalidInput: it is no positive integer.
    """
    if cache_bytes is None:
        return
    if isinstance(cache_bytes, bool) or not isinstance(cache_bytes, int | np.integer) or cache_bytes < 1:
        raise InvalidInput(f"cache_bytes must be a positive integer, or None for no cache, got {cache_bytes!r}")


def require_max_staleness(seconds: float, cache_bytes: int | None) -> None:
    """Refuse what is no length of time, or has nothing to be the age of.

    Raises:
        InvalidInput: it is no finite number of 0 or more, or more than 0 without a cache.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float | np.number) or not 0 <= seconds < math.inf:
        raise InvalidInput(f"max_staleness must be a number of seconds, 0 or more, got {seconds!r}")
    if seconds and cache_bytes is None:
        raise InvalidInput(
            f"max_staleness is {seconds} s, but nothing is kept that could be stale; give cache_bytes, or leave it out"
        )


@dataclass(frozen=True)
class CacheStats:
    """What a searcher keeps, in figures since it was opened.

    Attributes:
        hits: buckets that searches found kept.
        misses: buckets that they had to read.
        drops: buckets that were let go because they changed, or because the connection was lost.
        evictions: buckets that were let go for want of room.
        buckets: how many are kept now.
        bytes: what they and their places take now.
    """

    hits: int
    misses: int
    drops: int
    evictions: int
    buckets: int
    bytes: int
