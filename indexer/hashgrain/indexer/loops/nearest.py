"""The compiled loops that look for the nearest of many centroids.

Codes are rows of 32-bit words, centroids stand word by word, so that vector instructions take many at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.loops.compiled import bit_count, compiled, compiled_part
from hashgrain.indexer.loops.words import GROUP, STEP, Words

_BLOCK = 16 * STEP  # centroids whose distances stay in the first-level cache
_POSITION_BITS = 16  # of a centroid in its block, or of a group of centroids, below the distance
_NUMBER_BITS = 32  # of a centroid, below the distance
_NUMBER_MASK = (1 << _NUMBER_BITS) - 1
_FARTHEST = np.int64(1) << 62


@compiled
def nearest_of_all(codes: Words, columns: Words, number: NDArray[np.int64], distance: NDArray[np.int64]) -> None:
    """Find the centroid nearest to every code, and its distance.

    Args:
        codes: uint32 (N, W).
        columns: uint32 (W, B), the centroids word by word.
        number, distance: int64 (N,), take the number of the nearest, the lowest of equally near ones, and its distance.
    """
    centroids = columns.shape[1]
    reached = np.empty(_BLOCK, np.uint32)
    for n in range(len(codes)):
        best = _FARTHEST
        for low in range(0, centroids, _BLOCK):
            best = min(best, _least_of(columns, low, min(low + _BLOCK, centroids), codes[n], reached))
        number[n] = best & _NUMBER_MASK
        distance[n] = best >> _NUMBER_BITS


@compiled
def nearest_in_groups(
    codes: Words, columns: Words, pivots: Words, groups: NDArray[np.int64], read: int, number: NDArray[np.int64]
) -> None:
    """Find a centroid near to every code: the nearest of those in the `read` groups whose pivots are nearest.

    Args:
        codes: uint32 (N, W).
        columns: uint32 (W, B'), the centroids, see `as_columns`.
        pivots: uint32 (W, G'), what stands for each group of centroids, likewise.
        groups: int64 (G + 1,), group n holds the centroids from groups[n] to before groups[n + 1].
        read: how many groups are gone through.
        number: int64 (N,), takes the number of the centroid of each.
    """
    reached, keys = np.empty(_BLOCK, np.uint32), np.empty(pivots.shape[1], np.uint32)
    every = len(groups) - 1
    for n in range(len(codes)):
        _distances_to(pivots, 0, len(keys), codes[n], keys)
        for group in range(len(keys)):
            keys[group] = keys[group] << _POSITION_BITS | group
        best = _FARTHEST
        for _ in range(min(read, every)):
            least = np.uint32(0xFFFFFFFF)
            for group in range(every):
                least = min(least, keys[group])
            nearest = np.int64(least) & (1 << _POSITION_BITS) - 1
            keys[nearest] = np.uint32(0xFFFFFFFF)
            end = -(-groups[nearest + 1] // STEP) * STEP
            for low in range(groups[nearest], end, _BLOCK):
                best = min(best, _least_of(columns, low, min(low + _BLOCK, end), codes[n], reached))
        number[n] = best & _NUMBER_MASK


@compiled_part
def _least_of(columns: Words, low: int, high: int, code: NDArray[np.uint32], reached: NDArray[np.uint32]) -> np.int64:
    """The least of `distance << _NUMBER_BITS | number` of the centroids from `low` to before `high`, a block at most.

    Args:
        columns: uint32 (W, B), the centroids word by word.
        low, high: numbers of centroids.
        code: uint32 (W,).
        reached: uint32 (_BLOCK,), overwritten.
    """
    count = high - low
    least = np.uint32(0xFFFFFFFF)
    word = len(code) - GROUP
    one, two, three = code[word], code[word + 1], code[word + 2]
    ones, twos, threes = columns[word, low:high], columns[word + 1, low:high], columns[word + 2, low:high]
    if word == 0:  # nearly always: then nothing is written between
        for at in range(count):
            away = bit_count(ones[at] ^ one) + bit_count(twos[at] ^ two) + bit_count(threes[at] ^ three)
            least = min(least, np.uint32(away << _POSITION_BITS | at))  # 32 bits wide, or it takes twice as long
    else:
        _distances_to(columns[:word], low, high, code, reached)
        for at in range(count):
            away = bit_count(ones[at] ^ one) + bit_count(twos[at] ^ two) + bit_count(threes[at] ^ three)
            least = min(least, np.uint32(reached[at] + away << _POSITION_BITS | at))
    found = np.int64(least)
    return (found >> _POSITION_BITS << _NUMBER_BITS) | (low + (found & (1 << _POSITION_BITS) - 1))


@compiled_part
def _distances_to(columns: Words, low: int, high: int, code: NDArray[np.uint32], reached: NDArray[np.uint32]) -> None:
    """The distances of the centroids from `low` to before `high`, in as many words as `columns` has, to `reached`."""
    for word in range(0, len(columns), GROUP):
        one, two, three = code[word], code[word + 1], code[word + 2]
        ones, twos, threes = columns[word, low:high], columns[word + 1, low:high], columns[word + 2, low:high]
        if word == 0:
            for at in range(high - low):
                reached[at] = bit_count(ones[at] ^ one) + bit_count(twos[at] ^ two) + bit_count(threes[at] ^ three)
        else:
            for at in range(high - low):
                reached[at] += bit_count(ones[at] ^ one) + bit_count(twos[at] ^ two) + bit_count(threes[at] ^ three)
