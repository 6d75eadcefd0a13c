"""Stage two: order the candidates.

A candidate's place is decided by its distance in the ranking asked for, then its fine distance, then its number, then
its shard. All four fit one int64, unlike for any two candidates, so ties cannot fall differently from run to run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.hamming import word_type
from hashgrain.indexer.request import SearchRequest
from hashgrain.indexer.spans import Candidates

_COUNTS = {"total": (1, 1), "fine": (1, 0), "coarse": (0, 1)}
"""By ranking, how often the fine and the coarse distance count in the distance."""


@dataclass(frozen=True, eq=False)
class Winners:
    """The best candidates of one query, nearest first.

    Attributes:
        distances: uint16 (n,), in bits, of the ranking asked for.
        shard: int64 (n,).
        number: int64 (n,).
        row: int64 (n,), where they stand among the rows of their shard's span.
        bucket: int64 (n,), where their bucket stands among those of the candidates.
    """

    distances: NDArray[np.uint16]
    shard: NDArray[np.int64]
    number: NDArray[np.int64]
    row: NDArray[np.int64]
    bucket: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.distances)

    def __getitem__(self, places: NDArray[np.intp]) -> Winners:
        """The winners at some places, in that order."""
        return Winners(
            self.distances[places], self.shard[places], self.number[places], self.row[places], self.bucket[places]
        )

    def proven(self, request: SearchRequest, complete_radius: int) -> bool:
        """Whether reading every bucket would give the same winners, in the same order.

        An unread item differs in at least complete_radius + 1 coarse bits, and has at least that total distance; its
        fine distance alone may be anything. So it lies beyond the distance `within`, or behind all of the winners.
        """
        if request.rank == "fine":
            return False
        if request.within is not None and request.within <= complete_radius:
            return True
        return len(self) == request.depth and int(self.distances[-1]) <= complete_radius


def rank_candidates(
    candidates: Candidates, codes: NDArray[np.uint32], fine: NDArray[np.uint8], coarse: int, request: SearchRequest
) -> Winners:
    """Find the `request.depth` best of those that are near enough.

    Args:
        candidates: the rows to compare.
        codes: uint32 (B,), the coarse codes that the candidates' buckets point to.
        fine: uint8 (fine bytes,), the query's packed fine code.
        coarse: its coarse code, as a number.
        request: the ranking, how many, and how near.
    """
    from hashgrain.indexer import scanning  # loads the compiler: only for those who search

    depth = min(request.depth, len(candidates))
    place, row, bucket, number, shards = np.empty((5, depth), np.int64)
    bound = 1 << 62 if request.within is None else request.within + 1 << scanning.DISTANCE_SHIFT
    query = np.array(fine).view(word_type(len(fine)))  # a copy: Numba compiles anew for what is read-only
    times = _COUNTS[request.rank]
    held = 0
    for shard, (span, rows) in enumerate(zip(candidates.spans, candidates.rows, strict=True)):
        where = (span.words, span.number, *rows, candidates.buckets, codes, shard)
        held = scanning.scan(*where, query, coarse, *times, bound, place, row, bucket, held)
    winners = Winners(np.empty(held, np.uint16), shards[:held], number[:held], row[:held], bucket[:held])
    scanning.settle(place[:held], winners.row, winners.bucket, winners.distances, winners.number, winners.shard)
    return winners
