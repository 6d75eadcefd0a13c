"""Centroids of codes: which is nearest, and how a bucket is split in two.

Both work by total Hamming distance over fine and coarse code, so each code is laid out as one row of 32-bit words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.hamming import hamming, popcount
from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.cores import compute_threads, in_threads, slices
from hashgrain.indexer.loops.words import Words, as_columns, as_words
from hashgrain.indexer.stored.partition import Partition

FARTHER = 2
"""Bits by which the centroid of an item's bucket may be farther than the nearest, so that no radius need grow."""

_PAIRS = 1 << 20  # of item and centroid that are compared at once: some MB

_WORTH_THREADS = 1 << 24  # pairs of item and centroid: some milliseconds


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
    fine: NDArray[np.uint8], packed_coarse: NDArray[np.uint8], partition: Partition, first: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Find the bucket whose centroid is nearest to every code, by fine plus coarse distance.

    Args:
        fine: uint8 (N, fine bytes), packed.
        packed_coarse: uint8 (N, coarse bytes).
        partition: the buckets.
        first: of equally near ones the first is taken, counting from this number on and around.

    Returns:
        The number of the bucket, the distance of the fine codes and that of the coarse codes, int64 (N,) each.
    """
    number, total = nearest_words(as_words(fine, packed_coarse), np.roll(partition.words, -first, axis=0))
    number = (number + first) % len(partition)
    near = popcount(packed_coarse ^ partition.packed_coarse[number]).sum(axis=1, dtype=np.int64)
    return number, total - near, near


def within_radii(
    fine: NDArray[np.uint8],
    packed_coarse: NDArray[np.uint8],
    partition: Partition,
    first: int,
    number: NDArray[np.int64],
    far: NDArray[np.int64],
    near: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Let items that lie beyond the radii of their nearest bucket go to the nearest one that need not grow for them.

    A radius that grows has all searchers read the partition anew, and buckets that they have just read. One or two of
    two hundred new codes lie beyond, and nearly all of these have a bucket that holds them a bit or two farther. Where
    none is within `FARTHER`, they go to the nearest.

    Args:
        fine, packed_coarse, partition, first: as `nearest_centroids` takes them.
        number, far, near: what it returns.

    Returns:
        As `nearest_centroids`.
    """
    beyond = np.flatnonzero((far > partition.fine_radius[number]) | (near > partition.coarse_radius[number]))
    if not len(beyond):
        return number, far, near
    number, far, near = number.copy(), far.copy(), near.copy()
    turn = np.arange(len(partition)) - first
    turn[:first] += len(partition)
    for begin in range(0, len(beyond), step := max(_PAIRS // len(partition), 1)):
        rows = beyond[begin : begin + step]
        fine_apart = hamming(fine[rows], partition.fine)
        coarse_apart = hamming(packed_coarse[rows], partition.packed_coarse)
        apart = fine_apart.astype(np.int64) + coarse_apart
        holds = (fine_apart <= partition.fine_radius) & (coarse_apart <= partition.coarse_radius)
        holds &= apart <= (far + near)[rows, None] + FARTHER
        best = np.where(holds, apart * len(partition) + turn, np.iinfo(np.int64).max).argmin(axis=1)
        some = np.flatnonzero(holds.any(axis=1))
        rows, best = rows[some], best[some]
        number[rows], far[rows], near[rows] = best, fine_apart[some, best], coarse_apart[some, best]
    return number, far, near


def two_majority(fine: NDArray[np.uint8], packed_coarse: NDArray[np.uint8], layout: CodeLayout) -> Halves:
    """Divide items in two: k-means with k = 2, whose centroids are bit by bit what the majority of the half has.

    It starts from the bit that divides the items most evenly, so equal items are divided equally. Items as near to one
    centroid as to the other, in order, make the halves as equal as they can; no half is smaller than an eighth.

    Args:
        fine: uint8 (N, fine bytes), packed; two items or more.
        packed_coarse: uint8 (N, coarse bytes).
        layout: the code lengths.
    """
    from hashgrain.indexer.loops.halving import halve  # loads the compiler: only for those who split

    words = as_words(fine, packed_coarse)
    first = np.empty(len(words), np.bool_)
    centroids = np.zeros((2, words.shape[1]), np.uint32)
    halve(np.ascontiguousarray(words.T), first, centroids)
    packed = centroids.view(np.uint8)
    coarse_end = layout.fine_bytes + layout.coarse_bytes
    return Halves(first, packed[:, : layout.fine_bytes].copy(), packed[:, layout.fine_bytes : coarse_end].copy())


def nearest_words(codes: Words, centroids: Words) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The number of the centroid nearest to every code, and its distance, int64 (N,) each."""
    from hashgrain.indexer.loops.nearest import nearest_of_all  # loads the compiler: only for those who write

    number, distance = np.empty((2, len(codes)), np.int64)
    columns = as_columns(centroids)
    parts = slices(len(codes), compute_threads() if len(codes) * len(centroids) >= _WORTH_THREADS else 1)
    in_threads(lambda part: nearest_of_all(codes[part], columns, number[part], distance[part]), parts)
    return number, distance
