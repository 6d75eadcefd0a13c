"""The compiled loops. `loops` gives those of a search, which it loads when it is first called: the compiler is only for
those who search. The others are loaded where they are called: `halving`, `nearest` and `joining` divide and write a
collection, and look for duplicates.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

FINE_BITS = 9
"""Of a place, for the fine distance of up to 256; the distance of the ranking, up to 280, stands above them."""

NOTHING_UNREAD = 0xFFFF
"""In the stead of a distance, farther than any item can be: every bucket is read."""

PLACE, HANDLE, SHARD, ROW, BUCKET = range(5)
"""Columns of the heaps that `scan_each` fills."""

COLUMNS = 5


class Loops(NamedTuple):
    """Compiled functions, each named as in its own module."""

    nearest_each: Callable[..., None]
    bounds_of: Callable[..., None]
    unread_bounds_each: Callable[..., None]
    locate: Callable[..., None]
    spend_each: Callable[..., None]
    scan_each: Callable[..., None]
    settle_each: Callable[..., None]
    gather: Callable[..., None]
    pick: Callable[..., int]


@cache
def loops() -> Loops:
    """All of them."""
    from hashgrain.indexer.loops import bounding, centroids, filtering, locating, scanning

    modules: tuple[Any, ...] = (
        *(centroids, bounding, bounding, locating, locating),
        *(scanning, scanning, filtering, filtering),
    )
    return Loops(*(getattr(module, name) for module, name in zip(modules, Loops._fields, strict=True)))
