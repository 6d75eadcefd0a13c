"""The compiled loops by which a whole collection is divided into buckets; see `grouping`.

Parts of a collection are ranges of an array of positions, `order`: part n holds those from bounds[n] to before
bounds[n + 1].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.clustering import BLOCK, FARTHEST, NUMBER_MASK, STEP, Words, least_of
from hashgrain.indexer.compiled import bit_count, compiled
from hashgrain.indexer.halving import MOST_BITS, halve, majority


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
        rows, before = _gathered(words, order[start:end]), order[start:end].copy()
        first = np.empty(end - start, np.bool_)
        halve(rows, first, centroids)
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
        rows = _gathered(words, order[bounds[n] : bounds[n + 1]])
        majority(rows, np.ones(len(rows), np.bool_), True, centroids[n])
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
    reached, away = np.empty(BLOCK, np.uint32), np.empty(pivots.shape[1], np.uint32)
    every = len(groups) - 1
    counts = np.empty(MOST_BITS, np.int64)
    for n in range(len(codes)):
        for low in range(0, len(away), BLOCK):
            high = min(low + BLOCK, len(away))
            least_of(pivots, low, high, codes[n], reached)
            away[low:high] = reached[: high - low]
        # The distance up to which groups are read, and how many of those that lie just at it.
        counts[:] = 0
        for group in range(every):
            counts[away[group]] += 1
        edge, left = 0, min(read, every)
        while counts[edge] < left:
            left -= counts[edge]
            edge += 1
        best = FARTHEST
        for group in range(every):
            if away[group] > edge or (away[group] == edge and left == 0):
                continue
            left -= away[group] == edge
            end = -(-groups[group + 1] // STEP) * STEP
            for low in range(groups[group], end, BLOCK):
                high = min(low + BLOCK, end)
                best = min(best, least_of(columns, low, high, codes[n], reached))
        number[n] = best & NUMBER_MASK


@compiled
def sort_by_number(number: NDArray[np.int64], start: NDArray[np.int64], order: NDArray[np.int64]) -> None:
    """Write the positions in `number` to `order` by what stands there, those of n from start[n] on; moves `start`."""
    for n in range(len(number)):
        order[start[number[n]]] = n
        start[number[n]] += 1


@compiled
def _gathered(words: Words, positions: NDArray[np.int64]) -> Words:
    rows = np.empty((len(positions), words.shape[1]), np.uint32)
    for n in range(len(positions)):
        for word in range(words.shape[1]):
            rows[n, word] = words[positions[n], word]
    return rows
