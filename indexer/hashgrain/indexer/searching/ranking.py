"""Stage two: order the candidates.

A candidate's place is decided by its distance in the ranking asked for, then its fine distance, then its handle, which
no other item has: so ties cannot fall differently from run to run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.loops import BUCKET, COLUMNS, FINE_BITS, HANDLE, NOTHING_UNREAD, ROW, SHARD, loops
from hashgrain.indexer.request import SearchRequest
from hashgrain.indexer.searching.queries import Queries
from hashgrain.indexer.searching.spans import Candidates

_FARTHEST = NOTHING_UNREAD - 1
_MANY = 1 << 62


@dataclass(eq=False)
class Winners:
    """The best candidates of some queries, nearest first: entry [q, n] of every array is the n-th of query q.

    Attributes:
        held: int64 (Q,), how many each query has; what stands behind them in the other arrays means nothing.
        last: int64 (Q,), up to which distance another item could change the query's winners. It could not beyond the
            distance `within`, nor behind all of the winners if they are as many as is asked for; at the distance of
            the last one it could win the tie.
        distances: uint16 (Q, depth), in bits, of the ranking asked for.
        handle: int64 (Q, depth).
        shard: int64 (Q, depth).
        row: int64 (Q, depth), where they stand among the rows of their shard's span.
        bucket: int64 (Q, depth), where their bucket stands among those of the candidates.
    """

    held: NDArray[np.int64]
    last: NDArray[np.int64]
    distances: NDArray[np.uint16]
    handle: NDArray[np.int64]
    shard: NDArray[np.int64]
    row: NDArray[np.int64]
    bucket: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.held)


def rank_candidates(candidates: Candidates, queries: Queries, request: SearchRequest) -> Winners:
    """Find, for every query, the `request.depth` best of those that are near enough.

    Args:
        candidates: the rows to compare, by query.
        queries: the queries.
        request: how many, and how near.
    """
    depth = min(request.depth, max(candidates.records.tolist(), default=0))
    best = np.empty((len(queries), depth, COLUMNS), np.int64)
    held, last = np.zeros((2, len(queries)), np.int64)
    most = _FARTHEST if request.within is None else min(request.within, _FARTHEST)
    for shard, (span, (start, count)) in enumerate(zip(candidates.spans, candidates.rows, strict=True)):
        loops().scan_each(
            span.words,
            span.coarse,
            span.handle,
            start,
            count,
            shard,
            candidates.begin,
            candidates.end,
            queries.words,
            queries.coarse,
            *queries.times,
            most + 1 << FINE_BITS,
            best,
            held,
        )
    distances = np.empty((len(queries), depth), np.uint16)
    loops().settle_each(best, held, min(request.depth, _MANY), most, distances, last)
    return Winners(held, last, distances, best[..., HANDLE], best[..., SHARD], best[..., ROW], best[..., BUCKET])
