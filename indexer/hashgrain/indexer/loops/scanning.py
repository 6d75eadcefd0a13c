"""Stage two's loop: a pass over records that keeps the places of the best in a heap.

What comes before what: the smaller distance of the ranking, then the smaller fine distance, then the smaller handle.
The rows of a query's buckets are ranked a block at a time by loops that the compiler turns into vector instructions
(see `distances`). Then a limit is looked for that as many of the block do not exceed as the heap has room for, and only
parts of the block are looked at again that hold a row within it; where all room is taken and the best are as near as
the limit, only those that hold one of a smaller handle. (So does the scan of Andre et al., Cache locality is not
enough, VLDB 2015, for floats, by the worst of the best so far; of binary codes many are equally near.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.loops import BUCKET, COLUMNS, FINE_BITS, HANDLE, PLACE, ROW, SHARD
from hashgrain.indexer.loops.compiled import compiled, compiled_part
from hashgrain.indexer.loops.distances import distances, enough, least_of, places

_BLOCK = 8192  # rows: as they are ranked, they stay in the first-level cache
_PART = 32  # rows of a block that are looked at again only together
_LATER_BLOCK, _LATER_PART = 1024, 256  # where there are as many as are wanted: memory is read in a steadier stream


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
    far, place = np.empty(_BLOCK, np.uint16), np.empty(_BLOCK if times_near else 0, np.uint32)
    width = queries.shape[1]
    for q in range(len(queries) if best.shape[1] else 0):
        first, skipped = begin[q], 0
        while first < end[q]:
            size, bucket, row = 0, first, skipped
            room = _BLOCK if held[q] < best.shape[1] else _LATER_BLOCK
            while bucket < end[q] and size < room:
                low = start[bucket] + row
                some = count[bucket] - row
                while bucket + 1 < end[q] and start[bucket + 1] == low + some and some < room - size:
                    # One run, which begins before the last of its buckets by as many rows as the others have.
                    bucket, row, some = bucket + 1, -some, some + count[bucket + 1]
                some = min(some, room - size)
                distances(words[low * width : (low + some) * width], queries[q], far[size : size + some])
                if times_near:
                    places(
                        far[size : size + some],
                        coarse[low : low + some],
                        query_coarse[q],
                        times_fine,
                        place[size : size + some],
                    )
                size, row = size + some, row + some
                if row == count[bucket]:
                    bucket, row = bucket + 1, 0
            if size and times_near:
                held[q] = _choose(place[:size], 0, handle, start, count, first, skipped, shard, bound, best[q], held[q])
            elif size:
                held[q] = _choose(
                    far[:size], FINE_BITS, handle, start, count, first, skipped, shard, bound, best[q], held[q]
                )
            first, skipped = bucket, row


@compiled_part
def _choose(
    ranked: NDArray[np.unsignedinteger],
    shift: int,
    handle: NDArray[np.integer],
    start: NDArray[np.int64],
    count: NDArray[np.int64],
    first: int,
    skipped: int,
    shard: int,
    bound: int,
    best: NDArray[np.int64],
    held: int,
) -> int:
    """Add the best of a block to the best of a query; returns how many are held then.

    Args:
        ranked: fine distances, or places.
        shift: by how many bits a place must be shifted to compare with these.
        handle, start, count: see `scan_each`.
        first, skipped: the bucket that the block begins with, and how many of its rows come before the block.
        shard, bound, best, held: see `scan_each`.
    """
    limit = (min(bound - 1, best[0, PLACE]) if held == len(best) else bound - 1) >> shift
    if least_of(ranked) > limit:
        return held
    limit = enough(ranked, len(best), limit, 1 << FINE_BITS - shift)
    part = _PART if held < len(best) else _LATER_PART
    at, low = 0, skipped
    while at < len(ranked):
        stop = min(at + count[first] - low, len(ranked))
        row = start[first] + low - at  # of a number of `ranked`
        while at < stop:
            high = min(at + part, stop)
            least = np.int64(least_of(ranked[at:high]))
            if least < limit or (
                least == limit
                and (
                    held < len(best)
                    or least < best[0, PLACE] >> shift
                    or _any_before(ranked[at:high], handle[row + at : row + high], least, best)
                )
            ):
                for n in range(at, high):
                    if ranked[n] <= limit:
                        place = np.int64(ranked[n])
                        place |= place << shift
                        if held < len(best) or not _before(best, 0, place, np.int64(handle[row + n])):
                            held = _keep(best, held, place, np.int64(handle[row + n]), shard, row + n, first)
                            if held == len(best):
                                limit = min(limit, best[0, PLACE] >> shift)
            at = high
        first, low = first + 1, 0
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


@compiled_part
def _any_before(
    ranked: NDArray[np.unsignedinteger],
    handle: NDArray[np.integer],
    tied: np.int64,
    best: NDArray[np.int64],
) -> bool:
    """Whether any row of a part would come before the worst of the best, though none is nearer than that."""
    found, worst = False, best[0, HANDLE]
    for n in range(len(ranked)):
        found |= (ranked[n] == tied) & (handle[n] < worst)
    return found


@compiled_part
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
            other = min(below + 1, held - 1)
            below += int(_before(best, below, best[other, PLACE], best[other, HANDLE]))
            if _before(best, below, place, handle):
                break
            _copy(best, at, below)
            at, below = below, 2 * below + 1
    best[at, PLACE], best[at, HANDLE], best[at, SHARD] = place, handle, shard
    best[at, ROW], best[at, BUCKET] = row, bucket
    return held


@compiled_part
def _before(best: NDArray[np.int64], at: int, place: np.int64, handle: np.int64) -> bool:
    """Whether a candidate of the heap comes before another. (A handle belongs to one shard: no two are the same.)"""
    return bool((best[at, PLACE] < place) | ((best[at, PLACE] == place) & (best[at, HANDLE] < handle)))


@compiled_part
def _copy(best: NDArray[np.int64], to: int, at: int) -> None:
    for column in range(COLUMNS):
        best[to, column] = best[at, column]
