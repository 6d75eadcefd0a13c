"""A whole collection divided into buckets at once, as a bulk load does it.

A sample is halved again and again by 2-majority, until each part stands for a bucket's worth of items; the majorities
of the parts are the first centroids. Every item goes to the nearest of them; what is too large then (a crowd of like
codes) is halved further, and the majority of what a bucket holds in the end is its centroid. Nothing is drawn but the
sample, and that from a fixed seed: equal collections make equal buckets.

Among many centroids the nearest is looked for in two steps: the centroids come in groups of like ones, and only the
groups whose middle is nearest to the item are gone through. Now and then that misses the nearest; the bucket is valid
all the same, since its radii are measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.cores import compute_threads, in_threads, slices
from hashgrain.indexer.loops.halving import bisect, middles, shape, sort_by_number
from hashgrain.indexer.loops.nearest import nearest_in_groups
from hashgrain.indexer.loops.words import STEP, Words, as_columns, as_words

SAMPLED = 16
"""Items of the sample for each full bucket."""

GROUPS_READ = 8
"""Groups of centroids that are gone through for an item."""

_FILL = 1.5  # full buckets that a part of the sample stands for at most: most parts are far smaller
_SEED = 7


@dataclass(frozen=True, eq=False)
class Grouping:
    """Items in buckets; element n of every array but `order` and `bounds` belongs to bucket n.

    Attributes:
        order: int64 (N,), the items' positions, bucket by bucket.
        bounds: int64 (B + 1,), bucket n holds those from bounds[n] to before bounds[n + 1]: one or more.
        fine: uint8 (B, fine bytes), the packed fine codes of the centroids.
        packed_coarse: uint8 (B, coarse bytes), their packed coarse codes.
        fine_radius: int64 (B,), the largest fine distance of an item to its centroid.
        coarse_radius: int64 (B,), the same for the coarse codes.
    """

    order: NDArray[np.int64]
    bounds: NDArray[np.int64]
    fine: NDArray[np.uint8]
    packed_coarse: NDArray[np.uint8]
    fine_radius: NDArray[np.int64]
    coarse_radius: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.fine)


def group_items(
    fine: NDArray[np.uint8], packed_coarse: NDArray[np.uint8], layout: CodeLayout, bucket_items: int
) -> Grouping:
    """Divide items into buckets of at most `bucket_items`.

    Args:
        fine: uint8 (N, fine bytes), packed, one item or more.
        packed_coarse: uint8 (N, coarse bytes).
        layout: the code lengths.
        bucket_items: 1 or more.
    """
    words = as_words(fine, packed_coarse)
    order, bounds = _by_number(_numbers(words, _centroids(words, bucket_items)))
    bounds = _bisected(words, order, bounds, bucket_items)
    whole = as_words(np.full((1, layout.fine_bytes), 255, np.uint8), np.zeros((1, layout.coarse_bytes), np.uint8))[0]
    made = in_threads(lambda part: shape(words, order, part, whole), _halved(bounds))
    centroids, fine_radius, coarse_radius = (np.concatenate(parts) for parts in zip(*made, strict=True))
    packed = centroids.view(np.uint8)
    codes = layout.fine_bytes + layout.coarse_bytes
    return Grouping(
        order,
        bounds,
        packed[:, : layout.fine_bytes].copy(),
        packed[:, layout.fine_bytes : codes].copy(),
        fine_radius,
        coarse_radius,
    )


def _centroids(words: Words, bucket_items: int) -> Words:
    """Of parts of a sample that stand for a bucket each; like ones are near each other."""
    items = len(words)
    wanted = math.ceil(items / bucket_items) * SAMPLED
    if wanted < items:
        words = words[np.sort(np.random.default_rng(_SEED).integers(0, items, wanted))]
    most = max(1, int(_FILL * bucket_items * len(words) / items))
    order = np.arange(len(words))
    bounds = np.array([0, len(words)])
    if len(words) > most:
        bounds = _bisected(words, order, bounds, len(words) - 1)  # two parts, one for each thread
    return middles(words, order, _bisected(words, order, bounds, most))


def _numbers(words: Words, centroids: Words) -> NDArray[np.int64]:
    """The number of the centroid that each item goes to, int64 (N,)."""
    size = math.ceil(math.sqrt(len(centroids)) / STEP) * STEP
    groups = np.append(np.arange(0, len(centroids), size), len(centroids))
    pivots = as_columns(middles(centroids, np.arange(len(centroids)), groups))
    columns = as_columns(centroids)
    number = np.empty(len(words), np.int64)
    parts = slices(len(words), compute_threads())
    in_threads(lambda part: nearest_in_groups(words[part], columns, pivots, groups, GROUPS_READ, number[part]), parts)
    return number


def _by_number(number: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The items' positions by the number of their centroid, and the bounds of those that have any."""
    bounds = np.concatenate([[0], np.cumsum(np.bincount(number))])
    order = np.empty(len(number), np.int64)
    sort_by_number(number, bounds.copy(), order)
    return order, np.unique(bounds)


def _bisected(words: Words, order: NDArray[np.int64], bounds: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """The bounds of the parts when all have been halved until none holds more than `most`; sorts `order` by part."""

    def cut(bounds: NDArray[np.int64]) -> NDArray[np.int64]:
        sizes = np.diff(bounds)
        inner = [bisect(words, order, bounds[n], bounds[n + 1], most) for n in np.flatnonzero(sizes > most)]
        return np.concatenate([bounds, *inner])

    return np.unique(np.concatenate(in_threads(cut, _halved(bounds))))


def _halved(bounds: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The bounds of the first parts and of the others, about as many items in either."""
    if len(bounds) < 3:
        return [bounds]
    middle = int(np.clip(np.searchsorted(bounds, bounds[-1] // 2), 1, len(bounds) - 2))
    return [bounds[: middle + 1], bounds[middle:]]
