"""Stage one's loops: visit coarse codes from the query's outwards, and look each up in the bitmap of occupied ones.

The codes in order of weight are the sums of subsets of the query's bit weights in order. The cheapest n of them are
found by adding one bit after another, the lightest first, to a sorted list of the cheapest so far (Horowitz and
Sahni, JACM 1974, merge sorted lists of subset sums in the same way).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.compiled import bit_count, compiled
from hashgrain.indexer.probing import HAMMING_BITS, KEY_BITS  # where they change, touch this file: Numba sees no other

_LOW_BITS = np.uint64(63)  # of a code: its place in its word
_ONE = np.uint64(1)


@compiled
def nearest(
    words: NDArray[np.uint64],
    before: NDArray[np.uint32],
    query: int,
    weights: NDArray[np.int64],
    wanted: int,
    limit: int,
    found: NDArray[np.int64],
) -> int:
    """Find the first occupied buckets in the query's order, by visiting at most `limit` codes.

    Args:
        words, before: see `Occupancy`.
        query: the query's coarse code.
        weights: int64 (bits,), of its bits, the highest first.
        wanted: how many buckets, all there are or fewer.
        limit: how many codes may be visited.
        found: int64 (wanted,), takes the positions of the buckets.

    Returns:
        wanted, or -1 where more codes must be visited.
    """
    size = min(2 * wanted + 62, limit)
    keys = np.empty(limit, np.int64)
    while wanted <= limit:
        costs, flips, every = _cheapest(weights, size)
        hits = 0
        ordered = True
        for n in range(len(costs)):
            if costs[n] == costs[-1] and not every:
                break  # perhaps not all codes of this cost are there
            if hits >= wanted and costs[n] > keys[hits - 1] >> KEY_BITS:
                break
            code = np.uint64(query) ^ flips[n]
            if words[code >> np.uint64(6)] >> (code & _LOW_BITS) & _ONE:
                keys[hits] = costs[n] << KEY_BITS | np.int64(code)
                ordered = ordered and (hits == 0 or keys[hits] > keys[hits - 1])
                hits += 1
        if hits >= wanted:
            if not ordered:
                _sort(keys[:hits])
            for n in range(wanted):
                code = np.uint64(keys[n] & (1 << KEY_BITS) - 1)
                word = code >> np.uint64(6)
                found[n] = before[word] + bit_count(words[word] & ((_ONE << (code & _LOW_BITS)) - _ONE))
            return wanted
        if size == limit:
            break
        size = min(2 * size, limit)
    return -1


@compiled
def _cheapest(weights: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], NDArray[np.uint64], bool]:
    """The cheapest ways to flip bits, at most `size` of them, and whether these are all.

    Returns int64 (n,), what each costs, its weight and then its number of bits in one number, ascending; uint64 (n,),
    the bits themselves.
    """
    bits = len(weights)  # fit HAMMING_BITS, as does the place of one
    costs, flips = np.zeros(size, np.int64), np.zeros(size, np.uint64)
    next_costs, next_flips = np.empty(size, np.int64), np.empty(size, np.uint64)
    count = 1
    lightest = (weights << HAMMING_BITS) + np.arange(bits)
    _sort(lightest)
    for one in lightest:
        bit = one & (1 << HAMMING_BITS) - 1
        more = one - bit + 1
        if count == size and costs[count - 1] <= more:
            break
        flip = _ONE << np.uint64(bits - 1 - bit)
        total = min(2 * count, size)
        without, also = 0, 0
        for n in range(total):
            added = costs[also] + more
            if without < count and costs[without] <= added:
                next_costs[n], next_flips[n] = costs[without], flips[without]
                without += 1
            else:
                next_costs[n], next_flips[n] = added, flips[also] | flip
                also += 1
        costs, next_costs = next_costs, costs
        flips, next_flips = next_flips, flips
        count = total
    return costs[:count], flips[:count], count == 1 << bits


@compiled
def _sort(keys: NDArray[np.int64]) -> None:
    """Sort in place (Shell sort: what Numba has for it takes seconds to compile)."""
    gap = len(keys) // 2
    while gap:
        for n in range(gap, len(keys)):
            key, at = keys[n], n
            while at >= gap and keys[at - gap] > key:
                keys[at] = keys[at - gap]
                at -= gap
            keys[at] = key
        gap = 1 if gap == 2 else gap * 5 // 11


@compiled
def complete_radius(
    words: NDArray[np.uint64], codes: NDArray[np.uint32], query: int, bits: int, read: NDArray[np.int64]
) -> int:
    """The r for which every occupied bucket within r bits of the query is among those that were read.

    Args:
        words, codes: see `Occupancy`.
        query: the query's coarse code.
        bits: its length.
        read: int64 (P,), the positions in `codes` of the buckets that were read.
    """
    known = np.zeros(bits + 1, np.int64)
    for position in read:
        known[np.int64(bit_count(np.uint64(codes[position]) ^ np.uint64(query)))] += 1
    visited, at_radius = 0, 1  # how many codes are `radius` bits away
    for radius in range(bits + 1):
        visited += at_radius
        if visited > len(codes):
            return _unread_radius(codes, query, known) - 1
        if _occupied_at(words, query, bits, radius) != known[radius]:
            return radius - 1
        at_radius = at_radius * (bits - radius) // (radius + 1)
    return bits


@compiled
def _occupied_at(words: NDArray[np.uint64], query: int, bits: int, radius: int) -> np.int64:
    """How many codes are occupied of those that differ from the query in exactly so many bits."""
    occupied = np.int64(0)
    flips, end = (_ONE << np.uint64(radius)) - _ONE, _ONE << np.uint64(bits)
    while flips < end:
        code = np.uint64(query) ^ flips
        occupied += np.int64(words[code >> np.uint64(6)] >> (code & _LOW_BITS) & _ONE)
        if radius == 0:
            break
        lowest = flips & (~flips + _ONE)  # the next larger number with as many bits: Knuth, TAOCP 7.1.3 (Gosper)
        ripple = flips + lowest
        flips = ripple | ((flips ^ ripple) >> (np.uint64(2) + bit_count(lowest - _ONE)))
    return occupied


@compiled
def _unread_radius(codes: NDArray[np.uint32], query: int, known: NDArray[np.int64]) -> int:
    """How many bits away the nearest bucket is that was not read; one more than there are where all were."""
    every = np.zeros(len(known), np.int64)
    for code in codes:
        every[np.int64(bit_count(np.uint64(code) ^ np.uint64(query)))] += 1
    radius = 0
    while radius < len(known) and every[radius] == known[radius]:
        radius += 1
    return radius
