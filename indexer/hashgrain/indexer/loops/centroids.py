"""Stage one's loop: the nearest centroids in order.

A search may ask for thousands of them, so no heap is kept: places are numbers of 18 bits, and two passes of a counting
sort order any number of them (least significant part first: Knuth, TAOCP 3, 5.2.5). To sort no more than it must, the
loop first finds the limit within which enough of them lie (see `distances`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.loops import FINE_BITS
from hashgrain.indexer.loops.compiled import compiled, compiled_part
from hashgrain.indexer.loops.distances import distances, enough, least_of, places

_PART = 64  # centroids that are looked at again only together
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
    size = len(coarse)
    far, place = np.empty(size, np.uint16), np.empty(size if times_near else 0, np.uint32)
    position, other = np.empty(size, np.uint32), np.empty(size, np.uint32)
    counts = np.empty(_DIGIT, np.int64)
    for q in range(len(queries)):
        distances(words, queries[q], far)
        if times_near:
            places(far, coarse, query_coarse[q], times_fine, place)
            limit, near = _within_enough(place, found.shape[1], 1 << FINE_BITS, position)
            _sort(place, position[:near], other[:near], 0, counts)
            _sort(place, other[:near], position[:near], FINE_BITS, counts[: (limit >> FINE_BITS) + 1])
            ordered = position
        else:
            limit, near = _within_enough(far, found.shape[1], 1, position)
            _sort(far, position[:near], other[:near], 0, counts[: limit + 1])
            ordered = other
        for n in range(found.shape[1]):
            found[q, n] = ordered[n]


@compiled_part
def _within_enough(
    ranked: NDArray[np.unsignedinteger], wanted: int, step: int, position: NDArray[np.uint32]
) -> tuple[int, int]:
    """Write to `position` which centroids do not exceed the limit that so many do not; returns it, and how many."""
    limit, near = enough(ranked, wanted, (step << FINE_BITS) - 1, step), 0
    for low in range(0, len(ranked), _PART):
        high = min(low + _PART, len(ranked))
        if least_of(ranked[low:high]) <= limit:
            for n in range(low, high):
                if ranked[n] <= limit:
                    position[near] = n
                    near += 1
    return limit, near


@compiled_part
def _sort(
    place: NDArray[np.unsignedinteger],
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
