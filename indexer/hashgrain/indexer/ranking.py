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
from hashgrain.indexer.request import Rank

_SHARD_BITS = 10
_NUMBER_BITS = 31
_FINE_BITS = 9  # up to 256; 9 more for the distance (up to 280) make 59 bits


@dataclass(frozen=True, eq=False)
class Winners:
    """The k best candidates of one query, nearest first.

    Attributes:
        distances: uint16 (k,), in bits.
        shard: int64 (k,).
        number: int64 (k,).
    """

    distances: NDArray[np.uint16]
    shard: NDArray[np.int64]
    number: NDArray[np.int64]

    def proven(self, k: int, rank: Rank, complete_radius: int) -> bool:
        """Whether no unread item can stand among the k best.

        An unread item differs in at least complete_radius + 1 coarse bits, and has at least that total distance; its
        fine distance alone may be anything.
        """
        return rank != "fine" and len(self.distances) == k and int(self.distances[-1]) <= complete_radius


def rank_records(
    records: Records, rows: NDArray[np.intp], query: NDArray[np.uint8], coarse: NDArray[np.int64], rank: Rank, k: int
) -> Winners:
    """Find the k best among some records.

    Args:
        records: what was read.
        rows: which of them are this query's candidates.
        query: uint8 (fine bytes,), the packed fine code.
        coarse: int64 (buckets,), the coarse Hamming distance of each bucket that `records.bucket` points to.
        rank: the ranking.
        k: how many.
    """
    fine = hamming(query[None, :], records.fine[rows])[0].astype(np.int64)
    near = coarse[records.bucket[rows]]
    distance = {"total": fine + near, "fine": fine, "coarse": near}[rank]
    place = (distance << _FINE_BITS) | fine
    place = (place << _NUMBER_BITS) | records.number[rows]
    place = (place << _SHARD_BITS) | records.shard[rows]
    best = np.argpartition(place, k - 1)[:k] if k < len(place) else np.arange(len(place))
    best = best[np.argsort(place[best])]
    return Winners(distance[best].astype(np.uint16), records.shard[rows][best], records.number[rows][best])
