"""Stage two's loop: one pass over packed fine codes that keeps the places of the best in a heap.

A place is one int64 that orders candidates: distance of the ranking, fine distance, number, shard. Distances are
computed a block at a time, by a loop without branches that the compiler turns into vector instructions, together with
the smallest of the block; only a block, and a bucket in it, that can hold a better place than the worst of the best
so far is looked at again. (So does the scan of Andre et al., Cache locality is not enough, VLDB 2015, for floats.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.compiled import bit_count, compiled

SHARD_BITS = 10
NUMBER_BITS = 31
FINE_BITS = 9  # up to 256; 9 more for the distance (up to 280) make 59 bits
FINE_SHIFT = SHARD_BITS + NUMBER_BITS
DISTANCE_SHIFT = FINE_SHIFT + FINE_BITS

_BLOCK = 512  # rows: their distances stay in the first-level cache


@compiled
def scan(
    words: NDArray[np.unsignedinteger],
    number: NDArray[np.uint32],
    start: NDArray[np.int64],
    count: NDArray[np.int64],
    buckets: NDArray[np.int64],
    codes: NDArray[np.uint32],
    shard: int,
    query: NDArray[np.unsignedinteger],
    coarse: int,
    times_fine: int,
    times_near: int,
    bound: int,
    place: NDArray[np.int64],
    row: NDArray[np.int64],
    bucket: NDArray[np.int64],
    held: int,
) -> int:
    """Pass over the rows of some buckets of one shard; returns how many of the best are held then.

    Args:
        words: (rows, W), the packed fine codes as words of any unsigned dtype, one after another in memory.
        number: uint32 (rows,), the items' numbers.
        start, count: int64 (P,), the rows of each bucket.
        buckets: int64 (P,), where its coarse code stands in `codes`.
        codes: uint32 (B,).
        shard: its number.
        query: (W,), the query's fine code.
        coarse: its coarse code.
        times_fine, times_near: 0 or 1: what a place's distance is made of.
        bound: only places below it count.
        place, row, bucket: int64 (depth,), the best so far: a heap of their places with the worst first, their rows
            and their positions in `start`; added to.
        held: how many of them are in use.
    """
    buffer = np.empty(_BLOCK, np.uint16)
    worst = bound if held < len(place) else min(bound, place[0])
    width = len(query)
    first = 0
    while first < len(start):
        begin, end, last = start[first], start[first] + count[first], first + 1
        while last < len(start) and start[last] == end:  # buckets that follow upon each other are one run
            end += count[last]
            last += 1
        at = first
        for low in range(begin, end, _BLOCK):
            high = min(low + _BLOCK, end)
            least = _distances(words[low * width : high * width], query, buffer[: high - low])
            fewest = (least * times_fine << DISTANCE_SHIFT) | (least << FINE_SHIFT)
            if fewest >= worst:
                continue
            while start[at] + count[at] <= low:
                at += 1
            inside = at
            while inside < last and start[inside] < high:
                near = np.int64(bit_count(np.uint64(codes[buckets[inside]]) ^ np.uint64(coarse)))
                away = near * times_near << DISTANCE_SHIFT
                if fewest + away < worst:
                    for n in range(max(start[inside], low), min(start[inside] + count[inside], high)):
                        fine = np.int64(buffer[n - low])
                        found = (fine * times_fine << DISTANCE_SHIFT) + away + (fine << FINE_SHIFT)
                        if found < worst:
                            found |= (np.int64(number[n]) << SHARD_BITS) | shard
                            if found < worst:
                                held = _keep(place, row, bucket, held, found, n, inside)
                                worst = bound if held < len(place) else min(bound, place[0])
                inside += 1
        first = last
    return held


@compiled
def settle(
    place: NDArray[np.int64],
    row: NDArray[np.int64],
    bucket: NDArray[np.int64],
    distance: NDArray[np.uint16],
    number: NDArray[np.int64],
    shard: NDArray[np.int64],
) -> None:
    """Sort a heap that `scan` has filled, the best first, and take its places apart; all arrays are of one length."""
    for end in range(len(place) - 1, 0, -1):
        last, last_row, last_bucket = place[end], row[end], bucket[end]
        place[end], row[end], bucket[end] = place[0], row[0], bucket[0]
        _keep(place[:end], row[:end], bucket[:end], end, last, last_row, last_bucket)
    for n in range(len(place)):
        distance[n] = place[n] >> DISTANCE_SHIFT
        number[n] = place[n] >> SHARD_BITS & (1 << NUMBER_BITS) - 1
        shard[n] = place[n] & (1 << SHARD_BITS) - 1


@compiled
def locate(
    buckets: NDArray[np.int64],
    start: NDArray[np.int64],
    count: NDArray[np.int64],
    wanted: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> None:
    """Find some buckets among those of a span.

    Args:
        buckets, start, count: int64 (P,), see `Span`.
        wanted: int64 (n,), buckets in any order; one that ascends is found fastest.
        rows: int64 (2, n), takes the first row and the number of rows of each, 0 rows of one that is not there.
    """
    at = -1
    for n in range(len(wanted)):
        at += 1
        if at >= len(buckets) or buckets[at] != wanted[n]:
            at, left = 0, len(buckets)
            while left > 1:  # a binary search whose steps the processor need not guess
                half = left // 2
                at += half if buckets[at + half - 1] < wanted[n] else 0
                left -= half
        there = at < len(buckets) and buckets[at] == wanted[n]
        rows[0, n] = start[at] if there else 0
        rows[1, n] = count[at] if there else 0


@compiled
def _distances(
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
    least = np.uint16(0xFFFF)
    for n in range(len(distances)):
        least = min(least, distances[n])
    return np.int64(least)


@compiled
def _keep(
    place: NDArray[np.int64],
    row: NDArray[np.int64],
    bucket: NDArray[np.int64],
    held: int,
    found: np.int64,
    found_row: int,
    found_bucket: int,
) -> int:
    """Put a place into the heap, in the stead of the worst where it is full; returns how many are held."""
    if held < len(place):
        at = held
        held += 1
        while at > 0 and place[(at - 1) // 2] < found:
            above = (at - 1) // 2
            place[at], row[at], bucket[at] = place[above], row[above], bucket[above]
            at = above
    else:
        at = 0
        while True:
            below = 2 * at + 1
            if below + 1 < held and place[below + 1] > place[below]:
                below += 1
            if below >= held or place[below] <= found:
                break
            place[at], row[at], bucket[at] = place[below], row[below], bucket[below]
            at = below
    place[at], row[at], bucket[at] = found, found_row, found_bucket
    return held
