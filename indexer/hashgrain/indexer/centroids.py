"""Stage one's loop: the nearest centroids in order.

A search may ask for thousands of them, so no heap is kept: places are numbers of 18 bits, and two passes of a counting
sort order any number of them (least significant part first: Knuth, TAOCP 3, 5.2.5). To sort no more than it must, the
loop first finds a distance within which enough of them lie: the smallest ones of as many groups as are wanted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.compiled import compiled
from hashgrain.indexer.loops import FINE_BITS  # where these change, touch this file: Numba sees no other
from hashgrain.indexer.scanning import distances, least_of, places

_GROUP, _LARGE_GROUP = 16, 64  # of a few centroids the smallest of small groups say more, of many they take time
_MANY = 1 << 14
_BLOCK = 512  # centroids: their distances stay in the first-level cache
_DIGIT = 1 << FINE_BITS
_MASK = _DIGIT - 1


@compiled
def nearest_each(
    words: NDArray[np.unsignedinteger],
    coarse: NDArray[np.unsignedinteger],
    queries: NDArray[np.unsignedinteger],
    query_coarse: NDArray[np.unsignedinteger],
    times_fine: int,
    times_near: int,
    found: NDArray[np.int64],
) -> None:
    """Find the centroids nearest to some queries, by distance, then by fine distance, then by position.

    Args:
        words, coarse: of the centroids, see `Directories`.
        queries, query_coarse, times_fine, times_near: see `Queries`.
        found: int64 (Q, n), takes the positions of every query's n nearest; there are as many or more.
    """
    width, size = queries.shape[1], len(coarse)
    far, place = np.empty(_BLOCK, np.uint16), np.empty(size, np.uint32)
    group = _GROUP if size < _MANY else _LARGE_GROUP
    least = np.empty((size + group - 1) // group, np.uint32)
    position, other = np.empty(size, np.uint32), np.empty(size, np.uint32)
    counts = np.empty(_DIGIT, np.int64)
    for q in range(len(queries)):
        for low in range(0, size, _BLOCK):
            high = min(low + _BLOCK, size)
            some = far[: high - low]
            distances(words[low * width : high * width], queries[q], some)
            places(some, coarse[low:high], query_coarse[q], times_fine, times_near, place[low:high])
            for begin in range(low, high, group):
                least[begin // group] = least_of(place[begin : min(begin + group, high)])
        limit = _enough(least, found.shape[1], counts)
        near = 0
        for one in range(len(least)):
            if least[one] <= limit:
                for n in range(one * group, min(one * group + group, size)):
                    if place[n] <= limit:
                        position[near] = n
                        near += 1
        digits = min(int(limit) >> FINE_BITS, _MASK) + 1  # that a distance of the ranking within the limit has
        _sort(place, position[:near], other[:near], 0, counts[: digits if times_fine else _DIGIT])
        _sort(place, other[:near], position[:near], FINE_BITS, counts[:digits])
        for n in range(found.shape[1]):
            found[q, n] = position[n]


@compiled
def _enough(least: NDArray[np.uint32], wanted: int, counts: NDArray[np.int64]) -> np.uint32:
    """A place that so many groups do not exceed, or one that none does."""
    if len(least) < wanted:
        return np.uint32(0xFFFFFFFF)
    counts[:] = 0
    for one in least:
        counts[one >> FINE_BITS] += 1
    distance, held = 0, counts[0]
    while held < wanted:
        distance += 1
        held += counts[distance]
    return np.uint32(distance << FINE_BITS | _MASK)


@compiled
def _sort(
    place: NDArray[np.uint32],
    position: NDArray[np.uint32],
    ordered: NDArray[np.uint32],
    shift: int,
    counts: NDArray[np.int64],
) -> None:
    """Write positions to `ordered` by one part of their places, below `len(counts)`; equal ones keep their order."""
    counts[:] = 0
    for one in position:
        counts[place[one] >> shift & _MASK] += 1
    total = 0
    for digit in range(len(counts)):
        counts[digit], total = total, total + counts[digit]
    for one in position:
        digit = place[one] >> shift & _MASK
        ordered[counts[digit]] = one
        counts[digit] += 1
