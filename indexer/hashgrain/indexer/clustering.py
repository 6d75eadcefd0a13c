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

Words = NDArray[np.uint32]
"""Codes of both lengths, (N, W): fine code, coarse code, zeros up to a multiple of `_GROUP` words."""

_GROUP = 3  # words that are compared at once: 64 fine and up to 32 coarse bits are one group
_BLOCK = 1024  # centroids whose distances stay in the first-level cache
_POSITION_BITS = 16  # of a centroid in its block, below the distance

_WORTH_THREADS = 1 << 21  # pairs of item and centroid
_THREADS = 2

_MOST_BITS = 512  # a distance is less
_STEPS = 12  # rounds of 2-majority at most; it mostly settles in fewer
_LEAST_SHARE = 8  # a half holds one in so many of the items, or more


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


def nearest_words(codes: Words, centroids: Words) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The number of the centroid nearest to every code, and its distance, int64 (N,) each."""
    number, distance = np.empty((2, len(codes)), np.int64)
    columns = np.ascontiguousarray(centroids.T)
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
    width, centroids = columns.shape
    reached = np.empty(_BLOCK, np.uint32)
    for n in range(len(codes)):
        best = np.int64(1) << 62
        for low in range(0, centroids, _BLOCK):
            high = min(low + _BLOCK, centroids)
            for word in range(0, width, _GROUP):
                one, two, three = codes[n, word], codes[n, word + 1], codes[n, word + 2]
                ones, twos = columns[word, low:high], columns[word + 1, low:high]
                threes = columns[word + 2, low:high]
                if word == 0:
                    for at in range(high - low):
                        reached[at] = (
                            bit_count(ones[at] ^ one) + bit_count(twos[at] ^ two) + bit_count(threes[at] ^ three)
                        )
                else:
                    for at in range(high - low):
                        reached[at] += (
                            bit_count(ones[at] ^ one) + bit_count(twos[at] ^ two) + bit_count(threes[at] ^ three)
                        )
            least = np.uint32(0xFFFFFFFF)
            for at in range(high - low):
                least = min(least, (reached[at] << np.uint32(_POSITION_BITS)) | np.uint32(at))
            found = (np.int64(least >> np.uint32(_POSITION_BITS)) << 32) | (
                low + np.int64(least & np.uint32((1 << _POSITION_BITS) - 1))
            )
            best = min(best, found)
        number[n] = best & 0xFFFFFFFF
        distance[n] = best >> 32


@compiled
def halve(words: Words, first: NDArray[np.bool_], centroids: Words) -> None:
    """See `two_majority`; fills `first`, bool (N,), and `centroids`, (2, W)."""
    items = len(words)
    difference = np.empty(items, np.int64)
    before = np.empty(items, np.bool_)
    word, bit = _most_even_bit(words)
    for n in range(items):
        difference[n] = 1 - 2 * np.int64(words[n, word] >> bit & np.uint32(1))
    _cut(difference, first)
    for _ in range(_STEPS):
        before[:] = first
        _majority(words, first, True, centroids[0])
        _majority(words, first, False, centroids[1])
        for n in range(items):
            away = np.int64(0)
            for word in range(words.shape[1]):
                away += np.int64(bit_count(words[n, word] ^ centroids[0, word]))
                away -= np.int64(bit_count(words[n, word] ^ centroids[1, word]))
            difference[n] = away
        _cut(difference, first)
        changed = False
        for n in range(items):
            changed |= before[n] != first[n]
        if not changed:
            break


@compiled
def _most_even_bit(words: Words) -> tuple[int, np.uint32]:
    """The word and the bit in it that nearest to half of the items have set."""
    counts = np.zeros((words.shape[1], 32), np.int32)
    for n in range(len(words)):
        for word in range(words.shape[1]):
            for bit in range(32):
                counts[word, bit] += np.int32(words[n, word] >> np.uint32(bit) & np.uint32(1))
    best, best_word, best_bit = np.int64(len(words) + 1), 0, 0
    for word in range(words.shape[1]):
        for bit in range(32):
            uneven = abs(2 * np.int64(counts[word, bit]) - len(words))
            if uneven < best:
                best, best_word, best_bit = uneven, word, bit
    return best_word, np.uint32(best_bit)


@compiled
def _majority(words: Words, first: NDArray[np.bool_], half: bool, centroid: NDArray[np.uint32]) -> None:
    """Set the bits that more than half of the items of a half have set."""
    counts = np.zeros((words.shape[1], 32), np.int32)
    members = 0
    for n in range(len(words)):
        if first[n] != half:
            continue
        members += 1
        for word in range(words.shape[1]):
            for bit in range(32):
                counts[word, bit] += np.int32(words[n, word] >> np.uint32(bit) & np.uint32(1))
    for word in range(words.shape[1]):
        made = np.uint32(0)
        for bit in range(32):
            if 2 * np.int64(counts[word, bit]) > members:
                made |= np.uint32(1) << np.uint32(bit)
        centroid[word] = made


@compiled
def _cut(difference: NDArray[np.int64], first: NDArray[np.bool_]) -> None:
    """Put into the first half the items of the least differences, in order where they are equal.

    How many: all below zero and none above, as near to half of all as can be, then at least a share in each.
    """
    items = len(difference)
    counts = np.zeros(2 * _MOST_BITS, np.int64)
    below = through = 0
    for n in range(items):
        counts[difference[n] + _MOST_BITS] += 1
        below += difference[n] < 0
        through += difference[n] <= 0
    least = max(1, items // _LEAST_SHARE)
    wanted = min(max(min(max(items // 2, below), through), least), items - least)
    edge = 0
    while wanted >= counts[edge]:
        wanted -= counts[edge]
        edge += 1
    edge -= _MOST_BITS
    for n in range(items):
        first[n] = difference[n] < edge
        if difference[n] == edge and wanted > 0:
            first[n] = True
            wanted -= 1
