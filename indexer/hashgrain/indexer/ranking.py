"""Stage two: order the candidates.

A candidate's place is decided by its distance in the ranking asked for, then its fine distance, then its number, then
its shard. All four fit one int64, unlike for any two candidates, so the k best are found without a full sort and ties
cannot fall differently from run to run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.hamming import hamming
from hashgrain.indexer.records import Records
from hashgrain.indexer.request import SearchRequest

_SHARD_BITS = 10
_NUMBER_BITS = 31
_FINE_BITS = 9  # up to 256; 9 more for the distance (up to 280) make 59 bits


@dataclass(frozen=True, eq=False)
class Winners:
    """The best candidates of one query, nearest first.

    Attributes:
        row: intp (n,), where they stand among the records that were read.
        distances: uint16 (n,), in bits, of the ranking asked for.
        shard: int64 (n,).
        number: int64 (n,).
    """

    row: NDArray[np.intp]
    distances: NDArray[np.uint16]
    shard: NDArray[np.int64]
    number: NDArray[np.int64]

    def __getitem__(self, places: NDArray[np.intp]) -> Winners:
        """The winners at some places, in that order."""
        return Winners(self.row[places], self.distances[places], self.shard[places], self.number[places])

    def proven(self, request: SearchRequest, complete_radius: int) -> bool:
        """Whether reading every bucket would give the same winners, in the same order.

        An unread item differs in at least complete_radius + 1 coarse bits, and has at least that total distance; its
        fine distance alone may be anything. So it lies beyond the distance `within`, or behind all of the winners.
        """
        if request.rank == "fine":
            return False
        if request.within is not None and request.within <= complete_radius:
            return True
        return len(self.distances) == request.depth and int(self.distances[-1]) <= complete_radius


def rank_records(
    records: Records,
    rows: NDArray[np.intp],
    query: NDArray[np.uint8],
    coarse: NDArray[np.int64],
    request: SearchRequest,
) -> Winners:
    """Find the `request.depth` best among some records, of those that are near enough.

    Args:
        records: what was read.
        rows: which of them are this query's candidates, ascending.
        query: uint8 (fine bytes,), the packed fine code.
        coarse: int64 (buckets,), the coarse Hamming distance of each bucket that `records.bucket` points to.
        request: the ranking, how many, and how near.
    """
    every = len(rows) == len(records)  # then the arrays need not be copied
    fine = hamming(query[None, :], records.fine if every else records.fine[rows])[0]
    near = coarse.astype(np.uint16)[records.bucket if every else records.bucket[rows]]
    distance = {"total": fine + near, "fine": fine, "coarse": near}[request.rank]
    kept = np.flatnonzero(distance <= _farthest(distance, request))
    rows, fine, distance = rows[kept], fine[kept].astype(np.int64), distance[kept].astype(np.int64)
    place = (distance << _FINE_BITS) | fine
    place = (place << _NUMBER_BITS) | records.number[rows]
    place = (place << _SHARD_BITS) | records.shard[rows]
    depth = request.depth
    best = np.argpartition(place, depth - 1)[:depth] if depth < len(place) else np.arange(len(place))
    best = best[np.argsort(place[best])]
    row = rows[best]
    return Winners(row, distance[best].astype(np.uint16), records.shard[row], records.number[row])


def _farthest(distance: NDArray[np.uint16], request: SearchRequest) -> int:
    """A distance that no winner exceeds, and few others keep to: that of the last place, and of `within`."""
    places = np.cumsum(np.bincount(distance))
    last = int(np.searchsorted(places, request.depth))
    return last if request.within is None else min(last, request.within)
