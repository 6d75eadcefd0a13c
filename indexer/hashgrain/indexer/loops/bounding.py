"""How near to a query an item of a bucket can be: the lower bounds by which answers are proven.

A bucket's items lie within its radii of its centroid. So by the triangle inequality none is nearer to the query, in
the fine or in the coarse code, than the centroid's distance less the radius.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.loops import NOTHING_UNREAD as FAR
from hashgrain.indexer.loops.compiled import bit_count, compiled, compiled_part
from hashgrain.indexer.loops.distances import distances, least_of

_BLOCK = 512  # buckets: their bounds stay in the first-level cache


@compiled
def unread_bounds_each(
    words: NDArray[np.unsignedinteger],
    coarse: NDArray[np.unsignedinteger],
    fine_radius: NDArray[np.uint16],
    coarse_radius: NDArray[np.uint16],
    queries: NDArray[np.unsignedinteger],
    query_coarse: NDArray[np.unsignedinteger],
    times_fine: int,
    times_near: int,
    buckets: NDArray[np.int64],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    enough: NDArray[np.int64],
    bounds: NDArray[np.int64],
) -> None:
    """The smallest bounds over the buckets that some queries have not read.

    Args:
        words, coarse, fine_radius, coarse_radius: of all buckets, see `Directories`.
        queries, query_coarse, times_fine, times_near: see `Queries`.
        buckets: int64 (P,), the positions of those that were read.
        begin, end: int64 (Q,), which part of `buckets` is that of each query.
        enough: int64 (Q,), of the ranking's bounds one that is not above this will do instead of the smallest.
        bounds: int64 (2, Q), takes the smallest bound of the coarse distance, and one of the distance of the ranking;
            `NOTHING_UNREAD` where everything was read.
    """
    width, blocks = queries.shape[1], (len(coarse) + _BLOCK - 1) // _BLOCK
    far, near, both = np.empty(_BLOCK, np.uint16), np.empty(_BLOCK, np.uint16), np.empty(_BLOCK, np.uint16)
    first, after = np.empty(blocks, np.int64), np.empty(len(buckets), np.int64)
    for q in range(len(queries)):
        first[:] = -1
        for p in range(begin[q], end[q]):  # the buckets of a block are a chain
            block = buckets[p] // _BLOCK
            after[p], first[block] = first[block], p
        nearest = least = np.uint16(FAR)
        for block in range(blocks):
            low, high = block * _BLOCK, min(block * _BLOCK + _BLOCK, len(coarse))
            size = high - low
            if times_fine:
                distances(words[low * width : high * width], queries[q], far[:size])
            _bounds(
                far[:size],
                fine_radius[low:high],
                coarse[low:high],
                coarse_radius[low:high],
                query_coarse[q],
                times_fine,
                times_near,
                near[:size],
                both[:size],
            )
            p = first[block]
            while p >= 0:
                near[buckets[p] - low], both[buckets[p] - low] = FAR, FAR
                p = after[p]
            nearest, least = min(nearest, least_of(near[:size])), min(least, least_of(both[:size]))
            if nearest == 0 and least <= enough[q]:
                break
        bounds[0, q], bounds[1, q] = nearest, least


@compiled
def bounds_of(
    words: NDArray[np.unsignedinteger],
    coarse: NDArray[np.unsignedinteger],
    fine_radius: NDArray[np.uint16],
    coarse_radius: NDArray[np.uint16],
    query: NDArray[np.unsignedinteger],
    query_coarse: np.unsignedinteger,
    times_fine: int,
    times_near: int,
    near: NDArray[np.uint16],
    both: NDArray[np.uint16],
) -> None:
    """The bounds of every bucket, uint16 (B,), written to `near` and `both`; arguments as above, of one query."""
    far = np.empty(len(coarse), np.uint16)
    if times_fine and len(far):
        distances(words, query, far)
    _bounds(far, fine_radius, coarse, coarse_radius, query_coarse, times_fine, times_near, near, both)


@compiled_part
def _bounds(
    far: NDArray[np.uint16],
    fine_radius: NDArray[np.uint16],
    coarse: NDArray[np.unsignedinteger],
    coarse_radius: NDArray[np.uint16],
    query_coarse: np.unsignedinteger,
    times_fine: int,
    times_near: int,
    near: NDArray[np.uint16],
    both: NDArray[np.uint16],
) -> None:
    """Bounds of the coarse distance, and of the ranking's, from the fine distances to the centroids."""
    for n in range(len(near)):
        near[n] = bit_count(coarse[n] ^ query_coarse)
    for n in range(len(near)):
        near[n] = max(near[n], coarse_radius[n]) - coarse_radius[n]
    fine_mask, near_mask = np.uint16(0xFFFF * times_fine), np.uint16(0xFFFF * times_near)
    for n in range(len(near)):
        both[n] = (near[n] & near_mask) + ((max(far[n], fine_radius[n]) - fine_radius[n]) & fine_mask)
