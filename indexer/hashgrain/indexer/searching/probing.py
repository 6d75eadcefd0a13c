"""Stage one: in which order to read the buckets, and what the buckets that are not read cannot hold.

Buckets are read by the distance of their centroid from the query in the ranking asked for, then by its fine distance,
then by their position: the order of an inverted file (Jegou, Douze, Schmid, TPAMI 2011; see `loops.centroids`). What a
bucket cannot hold follows from its radii (see `loops.bounding`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.loops import loops
from hashgrain.indexer.searching.queries import Queries
from hashgrain.indexer.stored.directories import Directories


class Probing:
    """How some queries read the buckets of an index.

    Args:
        whole: the buckets, B of them.
        queries: the queries, Q of them.
    """

    def __init__(self, whole: Directories, queries: Queries) -> None:
        self._whole = whole
        self._queries = queries

    def __len__(self) -> int:
        return len(self._whole)

    @property
    def queries(self) -> int:
        """How many queries there are."""
        return len(self._queries)

    @property
    def everywhere(self) -> NDArray[np.int64]:
        """int64 (B,), the positions of all buckets, ascending."""
        return self._whole.everywhere

    def nearest(self, count: int) -> NDArray[np.int64]:
        """The positions of each query's first `count` buckets (or all) in order, int64 (Q, min(count, B))."""
        whole, queries = self._whole, self._queries
        found = np.empty((len(queries), min(count, len(whole))), np.int64)
        loops().nearest_each(whole.words, whole.coarse, queries.words, queries.coarse, *queries.times, found)
        return found

    def within(self, distance: int, *, coarse: bool) -> list[NDArray[np.int64]]:
        """The positions of the buckets that can hold an item so near, ascending, for every query.

        Args:
            distance: in bits.
            coarse: whether by the coarse distance, or by that of the ranking.
        """
        near, both = np.empty((2, len(self._whole)), np.uint16)
        found = []
        for n in range(len(self._queries)):
            loops().bounds_of(
                *self._centroids, self._queries.words[n], self._queries.coarse[n], *self._queries.times, near, both
            )
            found.append(np.flatnonzero((near if coarse else both) <= distance))
        return found

    def unread(
        self,
        buckets: NDArray[np.int64],
        begin: NDArray[np.int64],
        end: NDArray[np.int64],
        enough: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """How near an item can be in a bucket that is not read: by coarse distance, and by that of the ranking.

        Args:
            buckets: int64 (P,), the positions of those that are read.
            begin, end: int64 (Q,), which part of `buckets` is that of each query.
            enough: int64 (Q,), of the ranking's distances those which need not be told from smaller ones.

        Returns:
            int64 (2, Q), in bits: the smallest of all unread buckets (of the ranking's distances perhaps another one
            that is not above `enough`); `NOTHING_UNREAD` where every bucket is read.
        """
        queries = self._queries
        bounds = np.empty((2, len(queries)), np.int64)
        loops().unread_bounds_each(
            *self._centroids,
            queries.words,
            queries.coarse,
            *queries.times,
            buckets,
            begin,
            end,
            enough,
            bounds,
        )
        return bounds

    @property
    def _centroids(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
        whole = self._whole
        return whole.words, whole.coarse, whole.fine_radius, whole.coarse_radius
