"""Stage two's loop: a pass over records that keeps the places of the best in a heap.

What comes before what: the smaller distance of the ranking, then the smaller fine distance, then the smaller handle.
The two distances make one number, the *place*. Distances are computed a block at a time, by loops without branches
that the compiler turns into vector instructions, together with the smallest place of the block; only a block that can
hold a better one than the worst of the best so far is looked at again. (So does the scan of Andre et al., Cache
locality is not enough, VLDB 2015, for floats.) Stage one has the places of centroids computed by the same functions
(see `centroids`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.compiled import bit_count, compiled
from hashgrain.indexer.loops import (  # where these change, touch this file: Numba sees no other
    BUCKET,
    COLUMNS,
    FINE_BITS,
    HANDLE,
    PLACE,
    ROW,
    SHARD,
)

_BLOCK = 512  # rows: their distances stay in the first-level cache
_PART = 32  # rows of a block that are looked at again only together


@compiled
def scan_each(
    words: NDArray[np.unsignedinteger],
    coarse: NDArray[np.unsignedinteger],
    handle: NDArray[np.integer],
    start: NDArray[np.int64],
    count: NDArray[np.int64],
    shard: int,
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    queries: NDArray[np.unsignedinteger],
    query_coarse: NDArray[np.unsignedinteger],
    times_fine: int,
    times_near: int,
    bound: int,
    best: NDArray[np.int64],
    held: NDArray[np.int64],
) -> None:
    """Pass over the rows of some queries' buckets of one shard; adds to the best of each.

    Args:
        words: (rows * W,), the packed fine codes as words of any unsigned dtype, one after another.
        coarse: (rows,), the coarse codes as numbers.
        handle: uint32 or int64 (rows,), the items' handles.
        start, count: int64 (P,), the rows of each bucket.
        shard: its number.
        begin, end: int64 (Q,), which of the buckets are those of each query.
        queries: (Q, W), the queries' fine codes.
        query_coarse: (Q,), their coarse codes, of the dtype of `coarse`.
        times_fine, times_near: 0 or 1: what a place's distance is made of.
        bound: only places below it count.
        best: int64 (Q, depth, COLUMNS), the best of each query so far: a heap with the worst first, of place, handle,
            shard, row and the position of the bucket in `start`.
        held: int64 (Q,), how many of them are in use.
    """
    for q in range(len(queries)):
        held[q] = scan(
            words,
            coarse,
            handle,
            start,
            count,
            begin[q],
            end[q],
            shard,
            queries[q],
            query_coarse[q],
            times_fine,
            times_near,
            bound,
            best[q],
            held[q],
        )


@compiled
def scan(
    words: NDArray[np.unsignedinteger],
    coarse: NDArray[np.unsignedinteger],
    handle: NDArray[np.integer],
    start: NDArray[np.int64],
    count: NDArray[np.int64],
    first: int,
    stop: int,
    shard: int,
    query: NDArray[np.unsignedinteger],
    query_coarse: np.unsignedinteger,
    times_fine: int,
    times_near: int,
    bound: int,
    best: NDArray[np.int64],
    held: int,
) -> int:
    """The pass of one query over the buckets from `first` to `stop`; returns how many of the best are held then."""
    if not len(best):
        return 0
    far, all_places = np.empty(_BLOCK, np.uint16), np.empty(_BLOCK, np.uint32)
    width = len(query)
    limit = _limit(best, held, bound)
    while first < stop:
        begin, end, last = start[first], start[first] + count[first], first + 1
        while last < stop and start[last] == end:  # buckets that follow upon each other are one run
            end += count[last]
            last += 1
        at = first
        for low in range(begin, end, _BLOCK):
            high = min(low + _BLOCK, end)
            some = far[: high - low]
            least = distances(words[low * width : high * width], query, some)
            least |= least * times_fine << FINE_BITS
            if times_near:
                least = places(some, coarse[low:high], query_coarse, times_fine, times_near, all_places[: high - low])
            if least > limit:
                continue
            for part in range(low, high, _PART):
                size = min(_PART, high - part)
                if times_near:
                    least = np.int64(least_of(all_places[part - low : part - low + size]))
                else:
                    least = np.int64(least_of(far[part - low : part - low + size]))
                    least |= least * times_fine << FINE_BITS
                if least > limit:
                    continue
                for n in range(part, part + size):
                    place = np.int64(far[n - low])
                    place |= place * times_fine << FINE_BITS
                    if times_near:
                        place = np.int64(all_places[n - low])
                    if place <= limit and (held < len(best) or place < best[0, PLACE] or handle[n] < best[0, HANDLE]):
                        while start[at] + count[at] <= n:
                            at += 1
                        held = _keep(best, held, place, np.int64(handle[n]), shard, n, at)
                        limit = _limit(best, held, bound)
        first = last
    return held


@compiled
def settle_each(
    best: NDArray[np.int64],
    held: NDArray[np.int64],
    wanted: int,
    most: int,
    distance: NDArray[np.uint16],
    last: NDArray[np.int64],
) -> None:
    """Sort the heaps that `scan_each` has filled, the best first.

    Args:
        best, held: as there.
        wanted, most: how many of each query are wanted, and how far they may be.
        distance: uint16 (Q, depth), takes the distances of the ranking.
        last: int64 (Q,), takes the distance of the last one, or `most` where there are not as many as wanted.
    """
    for q in range(len(held)):
        heap = best[q]
        for end in range(held[q] - 1, 0, -1):
            place, handle, shard = heap[end, PLACE], heap[end, HANDLE], heap[end, SHARD]
            row, bucket = heap[end, ROW], heap[end, BUCKET]
            heap[end] = heap[0]
            _keep(heap[:end], end, place, handle, shard, row, bucket)
        for n in range(held[q]):
            distance[q, n] = heap[n, PLACE] >> FINE_BITS
        last[q] = distance[q, wanted - 1] if held[q] == wanted else most


@compiled
def distances(
    words: NDArray[np.unsignedinteger], query: NDArray[np.unsignedinteger], distances: NDArray[np.uint16]
) -> np.int64:
    """Hamming distance of every row, written to `distances`; returns the smallest. One row or more."""
    if len(query) == 1:
        only = query[0]
        for n in range(len(distances)):
            distances[n] = bit_count(words[n] ^ only)
    elif len(query) == 2:
        one, two = query[0], query[1]
        for n in range(len(distances)):
            distances[n] = bit_count(words[2 * n] ^ one) + bit_count(words[2 * n + 1] ^ two)
    elif len(query) == 4:
        one, two, three, four = query[0], query[1], query[2], query[3]
        for n in range(len(distances)):
            left = bit_count(words[4 * n] ^ one) + bit_count(words[4 * n + 1] ^ two)
            distances[n] = left + bit_count(words[4 * n + 2] ^ three) + bit_count(words[4 * n + 3] ^ four)
    else:
        for n in range(len(distances)):
            total = np.uint64(0)
            for word in range(len(query)):
                total += np.uint64(bit_count(words[n * len(query) + word] ^ query[word]))
            distances[n] = total
    return np.int64(least_of(distances))


@compiled
def places(
    far: NDArray[np.uint16],
    coarse: NDArray[np.unsignedinteger],
    query_coarse: np.unsignedinteger,
    times_fine: int,
    times_near: int,
    found: NDArray[np.uint32],
) -> np.int64:
    """Place of every row by its fine distance and coarse code, written to `found`; returns the smallest."""
    one, both = np.uint32(1 << FINE_BITS), np.uint32((1 << FINE_BITS) + 1)
    if times_fine and times_near:
        for n in range(len(found)):
            found[n] = np.uint32(bit_count(coarse[n] ^ query_coarse)) * one + np.uint32(far[n]) * both
    elif times_near:
        for n in range(len(found)):
            found[n] = np.uint32(bit_count(coarse[n] ^ query_coarse)) * one + np.uint32(far[n])
    else:
        for n in range(len(found)):
            found[n] = np.uint32(far[n]) * both
    return np.int64(least_of(found))


@compiled
def least_of(some: NDArray[np.unsignedinteger]) -> Any:
    """The smallest of one or more numbers."""
    least = some[0]
    for n in range(len(some)):
        least = min(least, some[n])
    return least


@compiled
def _limit(best: NDArray[np.int64], held: int, bound: int) -> int:
    """The largest place that can still be among the best."""
    return bound - 1 if held < len(best) else min(bound - 1, best[0, PLACE])


@compiled
def _keep(
    best: NDArray[np.int64], held: int, place: np.int64, handle: np.int64, shard: int, row: int, bucket: int
) -> int:
    """Put a candidate into the heap, in the stead of the worst where it is full; returns how many are held."""
    if held < len(best):
        at = held
        held += 1
        while at > 0:
            above = (at - 1) // 2
            if not _before(best, above, place, handle):
                break
            _copy(best, at, above)
            at = above
    else:
        at, below = 0, 1
        while below < held:
            if below + 1 < held and _before(best, below, best[below + 1, PLACE], best[below + 1, HANDLE]):
                below += 1
            if _before(best, below, place, handle):
                break
            _copy(best, at, below)
            at, below = below, 2 * below + 1
    best[at, PLACE], best[at, HANDLE], best[at, SHARD] = place, handle, shard
    best[at, ROW], best[at, BUCKET] = row, bucket
    return held


@compiled
def _before(best: NDArray[np.int64], at: int, place: np.int64, handle: np.int64) -> bool:
    """Whether a candidate of the heap comes before another. (A handle belongs to one shard: no two are the same.)"""
    return bool(best[at, PLACE] < place or (best[at, PLACE] == place and best[at, HANDLE] < handle))


@compiled
def _copy(best: NDArray[np.int64], to: int, at: int) -> None:
    for column in range(COLUMNS):
        best[to, column] = best[at, column]
