"""The compiled loops of 2-majority, and of what is done to the parts of a collection that it makes.

2-majority is k-means with k = 2 on packed codes; a centroid is bit by bit what the majority of its half has. Codes are
rows of 32-bit words, uint32 (N, W), or stand word by word, uint32 (W, N): so vector instructions take many at once.
Parts of a collection are ranges of an array of positions, `order`: part n holds those from bounds[n] to before
bounds[n + 1].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.loops.compiled import bit_count, compiled, compiled_part
from hashgrain.indexer.loops.words import Words

_MOST_BITS = 512  # a distance is less
_STEPS = 12  # rounds at most; it mostly settles in fewer
_EVERY_EIGHTH = np.uint32(0x01010101)
_COUNTED = 192  # codes: less than 256, and a multiple of what vector instructions take
_LEAST_SHARE = 8  # a half holds one in so many of the items, or more


@compiled
def halve(columns: Words, first: NDArray[np.bool_], centroids: Words) -> None:
    """Divide codes in two; see `clustering.two_majority`.

    Args:
        columns: uint32 (W, N), two codes or more, word by word.
        first: bool (N,), takes which of them are in half 0.
        centroids: uint32 (2, W), takes those of the halves.
    """
    width, items = columns.shape
    difference, before = np.empty(items, np.int32), np.empty(items, np.bool_)
    first[:] = True
    every = _count_bits(columns, first)
    word, bit = _most_even(every, items)
    for n in range(items):
        difference[n] = 1 - 2 * np.int32(columns[word, n] >> bit & np.uint32(1))
    members = _cut(difference, first)
    for _ in range(_STEPS):
        some = _count_bits(columns, first)
        _majority(some, members, centroids[0])
        _majority(every - some, items - members, centroids[1])
        difference[:] = 0
        for word in range(width):
            column, one, two = columns[word], centroids[0, word], centroids[1, word]
            for n in range(items):
                difference[n] += np.int32(bit_count(column[n] ^ one)) - np.int32(bit_count(column[n] ^ two))
        before[:] = first
        members = _cut(difference, first)
        changed = False
        for n in range(items):
            changed |= before[n] != first[n]
        if not changed:
            break


@compiled
def bisect(words: Words, order: NDArray[np.int64], low: int, high: int, most: int) -> NDArray[np.int64]:
    """Halve a part by 2-majority until no part holds more than `most` items; returns the bounds within it.

    Args:
        words: the codes.
        order: int64 (N,), positions in `words`; those from `low` to before `high` are put in order of the new parts.
        most: 1 or more.
    """
    bounds = np.empty(high - low, np.int64)
    found = 0
    waiting = [(low, high)]
    centroids = np.empty((2, words.shape[1]), np.uint32)
    while len(waiting):
        start, end = waiting.pop()
        if end - start <= most:
            if end < high:
                bounds[found] = end
                found += 1
            continue
        columns, before = _columns(words, order[start:end]), order[start:end].copy()
        first = np.empty(end - start, np.bool_)
        halve(columns, first, centroids)
        middle = start
        for n in range(end - start):
            if first[n]:
                order[middle] = before[n]
                middle += 1
        at = middle
        for n in range(end - start):
            if not first[n]:
                order[at] = before[n]
                at += 1
        waiting.append((middle, end))
        waiting.append((start, middle))
    return bounds[:found]


@compiled
def middles(words: Words, order: NDArray[np.int64], bounds: NDArray[np.int64]) -> Words:
    """The centroid of every part, uint32 (parts, W): bit by bit what the majority has."""
    centroids = np.empty((len(bounds) - 1, words.shape[1]), np.uint32)
    for n in range(len(bounds) - 1):
        members = order[bounds[n] : bounds[n + 1]]
        _majority(_count_bits(_columns(words, members), np.ones(len(members), np.bool_)), len(members), centroids[n])
    return centroids


@compiled
def shape(
    words: Words, order: NDArray[np.int64], bounds: NDArray[np.int64], whole: NDArray[np.uint32]
) -> tuple[Words, NDArray[np.int64], NDArray[np.int64]]:
    """The centroid of every part, and the largest distances of its items to it: of the fine and of the coarse codes.

    Args:
        words, order, bounds: the parts.
        whole: uint32 (W,), the words of a code whose fine bits are all set, and whose coarse bits are not.
    """
    centroids = middles(words, order, bounds)
    fine, coarse = np.zeros(len(centroids), np.int64), np.zeros(len(centroids), np.int64)
    for n in range(len(centroids)):
        for at in range(bounds[n], bounds[n + 1]):
            far = near = np.int64(0)
            for word in range(words.shape[1]):
                differing = words[order[at], word] ^ centroids[n, word]
                far += np.int64(bit_count(differing & whole[word]))
                near += np.int64(bit_count(differing & ~whole[word]))
            fine[n], coarse[n] = max(fine[n], far), max(coarse[n], near)
    return centroids, fine, coarse


@compiled
def sort_by_number(number: NDArray[np.int64], start: NDArray[np.int64], order: NDArray[np.int64]) -> None:
    """Write the positions in `number` to `order` by what stands there, those of n from start[n] on; moves `start`."""
    for n in range(len(number)):
        order[start[number[n]]] = n
        start[number[n]] += 1


@compiled_part
def _columns(words: Words, positions: NDArray[np.int64]) -> Words:
    """Some codes word by word."""
    columns = np.empty((words.shape[1], len(positions)), np.uint32)
    for n in range(len(positions)):
        for word in range(words.shape[1]):
            columns[word, n] = words[positions[n], word]
    return columns


@compiled_part
def _count_bits(columns: Words, chosen: NDArray[np.bool_]) -> NDArray[np.int32]:
    """How many of the chosen codes have each bit set, int32 (W, 32), the lowest bit of a word first.

    Every eighth bit is counted at once: of so few codes that their number fits the eight bits between.
    """
    width, items = columns.shape
    counts, mask = np.zeros((width, 32), np.int32), np.empty(items, np.uint32)
    for n in range(items):
        mask[n] = _EVERY_EIGHTH if chosen[n] else np.uint32(0)
    for word in range(width):
        for low in range(0, items, _COUNTED):
            high = min(low + _COUNTED, items)
            column, taken = columns[word, low:high], mask[low:high]
            for lowest in range(8):
                shift, found = np.uint32(lowest), np.uint32(0)
                for n in range(high - low):
                    found = np.uint32(found + (column[n] >> shift & taken[n]))
                for bit in range(lowest, 32, 8):
                    counts[word, bit] += np.int32(found >> np.uint32(bit - lowest) & np.uint32(255))
    return counts


@compiled_part
def _majority(counts: NDArray[np.int32], members: int | np.int64, centroid: NDArray[np.uint32]) -> None:
    """Set the bits of `centroid`, uint32 (W,), that more than half of so many members have set."""
    for word in range(len(centroid)):
        made = np.uint32(0)
        for bit in range(32):
            if 2 * np.int64(counts[word, bit]) > members:
                made |= np.uint32(1) << np.uint32(bit)
        centroid[word] = made


@compiled_part
def _most_even(counts: NDArray[np.int32], items: int) -> tuple[int, np.uint32]:
    """The word and the bit in it that nearest to half of the items have set."""
    best, best_word, best_bit = np.int64(items + 1), 0, 0
    for word in range(len(counts)):
        for bit in range(32):
            uneven = abs(2 * np.int64(counts[word, bit]) - items)
            if uneven < best:
                best, best_word, best_bit = uneven, word, bit
    return best_word, np.uint32(best_bit)


@compiled_part
def _cut(difference: NDArray[np.int32], first: NDArray[np.bool_]) -> np.int64:
    """Put into the first half the items of the least differences, in order where they are equal; returns how many.

    These are all below zero and none above, as near to half of all as can be, then at least a share in each half.
    """
    items = len(difference)
    counts = np.zeros(2 * _MOST_BITS, np.int64)
    for n in range(items):
        counts[difference[n] + _MOST_BITS] += 1
    below = counts[:_MOST_BITS].sum()
    through = below + counts[_MOST_BITS]
    least = max(1, items // _LEAST_SHARE)
    members = np.int64(min(max(min(max(items // 2, below), through), least), items - least))
    edge, wanted = 0, members
    while wanted >= counts[edge]:
        wanted -= counts[edge]
        edge += 1
    edge -= _MOST_BITS
    for n in range(items):
        first[n] = difference[n] < edge
        if difference[n] == edge and wanted > 0:
            first[n] = True
            wanted -= 1
    return members
