"""Stage one's loop: the nearest centroids in order.

A search may ask for thousands of them, so no heap is kept: places are numbers of 18 bits, and two passes of a counting
sort order any number of them (least significant part first: Knuth, TAOCP 3, 5.2.5). To sort no more than it must, the
loop first finds a limit within which enough of them lie: that which so many groups of centroids reach. The members of a
group stand apart by as many as there are groups, so that vector instructions find the nearest of many groups at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.loops import FINE_BITS
from hashgrain.indexer.loops.compiled import compiled, compiled_part
from hashgrain.indexer.loops.distances import distances, enough, places

_GROUPS = 512
_BLOCK = 16 * _GROUPS  # centroids: as they are ranked, they stay in the first-level cache
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
    groups = (size + _BLOCK - 1) // _BLOCK * _GROUPS
    far, least_far = np.empty(size, np.uint16), np.empty(groups, np.uint16)
    place, least = np.empty(size if times_near else 0, np.uint32), np.empty(groups if times_near else 0, np.uint32)
    position, other = np.empty(size, np.uint32), np.empty(size, np.uint32)
    counts = np.empty(_DIGIT, np.int64)
    for q in range(len(queries)):
        for low in range(0, size, _BLOCK):
            high, group = min(low + _BLOCK, size), low // _BLOCK * _GROUPS
            distances(words[low * width : high * width], queries[q], far[low:high])
            if times_near:
                places(far[low:high], coarse[low:high], query_coarse[q], times_fine, place[low:high])
                _least_each(place[low:high], least[group : group + _GROUPS])
            else:
                _least_each(far[low:high], least_far[group : group + _GROUPS])
        if times_near:
            limit, near = _within_enough(place, least, found.shape[1], 1 << FINE_BITS, position)
            _sort(place, position[:near], other[:near], 0, counts)
            _sort(place, other[:near], position[:near], FINE_BITS, counts[: (limit >> FINE_BITS) + 1])
            found[q] = position[: found.shape[1]]
        else:
            limit, near = _within_enough(far, least_far, found.shape[1], 1, position)
            _sort(far, position[:near], other[:near], 0, counts[: limit + 1])
            found[q] = other[: found.shape[1]]


@compiled_part
def _least_each(ranked: NDArray[np.unsignedinteger], least: NDArray[np.unsignedinteger]) -> None:
    """Write the smallest of each of a block's groups to `least`."""
    least[:] = ~least.dtype.type(0)
    for low in range(0, len(ranked), _GROUPS):
        row = ranked[low : low + _GROUPS]
        for n in range(len(row)):
            least[n] = min(least[n], row[n])


@compiled_part
def _within_enough(
    ranked: NDArray[np.unsignedinteger],
    least: NDArray[np.unsignedinteger],
    wanted: int,
    step: int,
    position: NDArray[np.uint32],
) -> tuple[int, int]:
    """Find a limit that so many do not exceed, and write to `position` which these are, ascending.

    Args:
        ranked: fine distances, or places.
        least: the smallest of each group.
        wanted, step: see `enough`.
        position: takes their positions.

    Returns:
        The limit, and how many there are.
    """
    limit, near = enough(least, wanted, (step << FINE_BITS) - 1, step), 0
    chosen = np.empty(_GROUPS, np.int64)
    for low in range(0, len(ranked), _BLOCK):
        some, mine = 0, least[low // _BLOCK * _GROUPS : low // _BLOCK * _GROUPS + _GROUPS]
        for group in range(_GROUPS):
            if mine[group] <= limit:
                chosen[some] = group
                some += 1
        for row in range(low, min(low + _BLOCK, len(ranked)), _GROUPS):
            for group in chosen[:some]:
                n = row + group
                if n < len(ranked) and ranked[n] <= limit:
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
