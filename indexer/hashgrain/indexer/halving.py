"""2-majority: k-means with k = 2 on packed codes, whose centroids are bit by bit what the majority of a half has.

Codes are rows of 32-bit words, uint32 (N, W); bits that no code has set do not matter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.compiled import bit_count, compiled

MOST_BITS = 512
"""A distance is less."""

_STEPS = 12  # rounds at most; it mostly settles in fewer
_LEAST_SHARE = 8  # a half holds one in so many of the items, or more


@compiled
def halve(words: NDArray[np.uint32], first: NDArray[np.bool_], centroids: NDArray[np.uint32]) -> None:
    """Divide codes in two; see `clustering.two_majority`.

    Args:
        words: two codes or more.
        first: bool (N,), takes which of them are in half 0.
        centroids: uint32 (2, W), takes those of the halves.
    """
    items = len(words)
    difference = np.empty(items, np.int64)
    before = np.empty(items, np.bool_)
    word, bit = _most_even_bit(words)
    for n in range(items):
        difference[n] = 1 - 2 * np.int64(words[n, word] >> bit & np.uint32(1))
    _cut(difference, first)
    for _ in range(_STEPS):
        before[:] = first
        majority(words, first, True, centroids[0])
        majority(words, first, False, centroids[1])
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
def _most_even_bit(words: NDArray[np.uint32]) -> tuple[int, np.uint32]:
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
def majority(words: NDArray[np.uint32], first: NDArray[np.bool_], half: bool, centroid: NDArray[np.uint32]) -> None:
    """Set the bits of `centroid`, uint32 (W,), that more than half of those items have set whose `first` is `half`."""
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
    counts = np.zeros(2 * MOST_BITS, np.int64)
    below = through = 0
    for n in range(items):
        counts[difference[n] + MOST_BITS] += 1
        below += difference[n] < 0
        through += difference[n] <= 0
    least = max(1, items // _LEAST_SHARE)
    wanted = min(max(min(max(items // 2, below), through), least), items - least)
    edge = 0
    while wanted >= counts[edge]:
        wanted -= counts[edge]
        edge += 1
    edge -= MOST_BITS
    for n in range(items):
        first[n] = difference[n] < edge
        if difference[n] == edge and wanted > 0:
            first[n] = True
            wanted -= 1
