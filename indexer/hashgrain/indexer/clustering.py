"""Centroids of codes: which is nearest, and how a bucket is split in two.

Both work by total Hamming distance over fine and coarse code, so each code is laid out as one row of 32-bit words.
Distances are computed by loops without branches, which the compiler turns into vector instructions.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.hamming import popcount
from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.compiled import bit_count, compiled
from hashgrain.indexer.halving import halve

Words = NDArray[np.uint32]
"""Codes of both lengths, (N, W): fine code, coarse code, zeros up to a multiple of `_GROUP` words."""

STEP = 64
"""Centroids that vector instructions take at once, unrolled as the compiler likes it."""

BLOCK = 16 * STEP
"""Centroids whose distances are computed at once: they stay in the first-level cache."""

NUMBER_BITS = 32
NUMBER_MASK = (1 << NUMBER_BITS) - 1
FARTHEST = np.int64(1) << 62
"""Of a distance and, in the lower bits, the number of a centroid: more than any."""

_GROUP = 3  # words that are compared at once: 64 fine and up to 32 coarse bits are one group
_POSITION_BITS = 16  # of a centroid in its block, below the distance

_WORTH_THREADS = 1 << 21  # pairs of item and centroid
_THREADS = 2


@dataclass(frozen=True, eq=False)
class Halves:
    """How some items are divided in two; element n of the centroids belongs to half n.

    Attributes:
        first: bool (N,), which items are in half 0.
        fine: uint8 (2, fine bytes), the packed fine codes of the centroids.
        packed_coarse: uint8 (2, coarse bytes), their packed coarse codes.
    """

    first: NDArray[np.bool_]
    fine: NDArray[np.uint8]
    packed_coarse: NDArray[np.uint8]


def nearest_centroids(
    fine: NDArray[np.uint8],
    coarse: NDArray[np.uint32],
    partition_fine: NDArray[np.uint8],
    partition_coarse: NDArray[np.uint32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Find the centroid nearest to every code, by fine plus coarse distance; ties go to the lowest number.

    Args:
        fine: uint8 (N, fine bytes), packed.
        coarse: uint32 (N,), as numbers.
        partition_fine: uint8 (B, fine bytes), those of the centroids, one or more.
        partition_coarse: uint32 (B,).

    Returns:
        The number of the centroid, the distance of the fine codes and that of the coarse codes, int64 (N,) each.
    """
    codes, centroids = as_words(fine, _coarse_rows(coarse)), as_words(partition_fine, _coarse_rows(partition_coarse))
    number, total = nearest_words(codes, centroids)
    coarse_distance = popcount(coarse ^ partition_coarse[number]).astype(np.int64)
    return number, total - coarse_distance, coarse_distance


def two_majority(fine: NDArray[np.uint8], packed_coarse: NDArray[np.uint8], layout: CodeLayout) -> Halves:
    """Divide items in two: k-means with k = 2, whose centroids are bit by bit what the majority of the half has.

    It starts from the bit that divides the items most evenly, so equal items are divided equally. Items as near to one
    centroid as to the other, in order, make the halves as equal as they can; no half is smaller than an eighth.

    Args:
        fine: uint8 (N, fine bytes), packed; two items or more.
        packed_coarse: uint8 (N, coarse bytes).
        layout: the code lengths.
    """
    words = as_words(fine, packed_coarse)
    first = np.empty(len(words), np.bool_)
    centroids = np.zeros((2, words.shape[1]), np.uint32)
    halve(words, first, centroids)
    packed = centroids.view(np.uint8)
    coarse_end = layout.fine_bytes + layout.coarse_bytes
    return Halves(first, packed[:, : layout.fine_bytes].copy(), packed[:, layout.fine_bytes : coarse_end].copy())


def as_words(fine: NDArray[np.uint8], coarse: NDArray[np.uint8]) -> Words:
    """Lay out codes of both lengths, uint8 (N, bytes) each, as words."""
    width = -(-(fine.shape[1] + coarse.shape[1]) // (4 * _GROUP)) * 4 * _GROUP
    rows = np.zeros((len(fine), width), np.uint8)
    rows[:, : fine.shape[1]] = fine
    rows[:, fine.shape[1] : fine.shape[1] + coarse.shape[1]] = coarse
    return rows.view(np.uint32)


def as_columns(centroids: Words) -> Words:
    """Centroids word by word, (W, B'), B' a multiple of `STEP`: what is missing to it are copies of the last.

    These are never found, since of equally near ones the lowest number is.
    """
    missing = -len(centroids) % STEP
    return np.ascontiguousarray(np.concatenate([centroids, np.repeat(centroids[-1:], missing, axis=0)]).T)


def nearest_words(codes: Words, centroids: Words) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The number of the centroid nearest to every code, and its distance, int64 (N,) each."""
    number, distance = np.empty((2, len(codes)), np.int64)
    columns = as_columns(centroids)
    if len(codes) * len(centroids) < _WORTH_THREADS:
        _nearest(codes, columns, number, distance)
        return number, distance
    parts = [slice(len(codes) * n // _THREADS, len(codes) * (n + 1) // _THREADS) for n in range(_THREADS)]
    with ThreadPoolExecutor(_THREADS) as threads:
        for done in [threads.submit(_nearest, codes[p], columns, number[p], distance[p]) for p in parts]:
            done.result()
    return number, distance


def _coarse_rows(coarse: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Coarse codes as three bytes each; where their bits lie does not matter to a distance."""
    return coarse.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3]


@compiled
def _nearest(codes: Words, columns: Words, number: NDArray[np.int64], distance: NDArray[np.int64]) -> None:
    """See `nearest_words`; `columns` are the centroids, word by word: (W, B)."""
    centroids = columns.shape[1]
    reached = np.empty(BLOCK, np.uint32)
    for n in range(len(codes)):
        best = FARTHEST
        for low in range(0, centroids, BLOCK):
            best = min(best, least_of(columns, low, min(low + BLOCK, centroids), codes[n], reached))
        number[n] = best & NUMBER_MASK
        distance[n] = best >> NUMBER_BITS


@compiled
def least_of(columns: Words, low: int, high: int, code: NDArray[np.uint32], reached: NDArray[np.uint32]) -> np.int64:
    """The least of `distance << NUMBER_BITS | number` of the centroids from `low` to before `high`, a block at most.

    Args:
        columns: uint32 (W, B), the centroids word by word.
        low, high: numbers of centroids.
        code: uint32 (W,).
        reached: uint32 (BLOCK,), overwritten by the distances.
    """
    for word in range(0, len(code), _GROUP):
        one, two, three = code[word], code[word + 1], code[word + 2]
        ones, twos, threes = columns[word, low:high], columns[word + 1, low:high], columns[word + 2, low:high]
        if word == 0:
            for at in range(high - low):
                reached[at] = bit_count(ones[at] ^ one) + bit_count(twos[at] ^ two) + bit_count(threes[at] ^ three)
        else:
            for at in range(high - low):
                reached[at] += bit_count(ones[at] ^ one) + bit_count(twos[at] ^ two) + bit_count(threes[at] ^ three)
    least = np.uint32(0xFFFFFFFF)
    for at in range(high - low):
        least = min(least, (reached[at] << np.uint32(_POSITION_BITS)) | np.uint32(at))
    position = np.int64(least & np.uint32((1 << _POSITION_BITS) - 1))
    return (np.int64(least >> np.uint32(_POSITION_BITS)) << NUMBER_BITS) | (low + position)
