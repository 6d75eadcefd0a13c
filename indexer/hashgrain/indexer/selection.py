"""What one reading gives for some queries: their nearest items, what they cost, and what is proven of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.identifiers import ItemId
from hashgrain.indexer.payloads import Payload
from hashgrain.indexer.probing import NOTHING_UNREAD, Probing
from hashgrain.indexer.queries import Queries
from hashgrain.indexer.ranking import Winners, rank_candidates
from hashgrain.indexer.refining import refine
from hashgrain.indexer.request import SearchRequest
from hashgrain.indexer.results import Hit
from hashgrain.indexer.spans import Candidates


@dataclass(frozen=True, eq=False)
class Selection:
    """The answers to some queries, whose items have no names yet; see `Hit` for what the fields mean.

    Attributes:
        winners: the items of the answers.
        candidates: where they were found.
        records, buckets: how many of each were compared with each query.
        complete_radius, exact: of each query.
    """

    winners: Winners
    candidates: Candidates
    records: list[int]
    buckets: list[int]
    complete_radius: list[int]
    exact: list[bool]

    @classmethod
    def of(
        cls,
        candidates: Candidates,
        probing: Probing,
        queries: Queries,
        request: SearchRequest,
        layout: CodeLayout,
    ) -> Selection:
        """Rank what some queries read.

        Args:
            candidates: what they read.
            probing: how they read it.
            queries: the queries.
            request: what is asked.
            layout: the code lengths.
        """
        winners = rank_candidates(candidates, queries, request)
        last = last_places(winners, request)
        coarse, ranked = probing.unread(candidates.buckets, candidates.begin, candidates.end, last).tolist()
        exact = [bound > place for bound, place in zip(ranked, last, strict=True)]
        if request.refine is not None:
            winners = refine(winners, candidates, queries, request, layout)
        radius = [min(bound - 1, layout.coarse_bits) for bound in coarse]
        buckets = (candidates.end - candidates.begin).tolist()
        return cls(winners, candidates, candidates.records.tolist(), buckets, radius, exact)

    def hit(self, query: int, ids: list[ItemId], payloads: list[Payload | None] | None, *, partial: bool) -> Hit:
        """The answer to a query, with the names of its winners."""
        return Hit(
            ids,
            self.winners.distances[query, : len(ids)],
            payloads,
            self.records[query],
            self.buckets[query],
            self.complete_radius[query],
            self.exact[query],
            partial,
        )


def last_places(winners: Winners, request: SearchRequest) -> list[int]:
    """Up to which distance an item that was not read could change each answer.

    It could not where it lies beyond the distance `within`, or behind all of the winners if they are as many as is
    asked for; at the distance of the last one it could win the tie. Else any item could.

    Args:
        winners: the `request.depth` best of what was read.
        request: what is asked.
    """
    most = NOTHING_UNREAD - 1 if request.within is None else min(request.within, NOTHING_UNREAD - 1)
    if winners.distances.shape[1] < request.depth:
        return [most] * len(winners)
    last = winners.distances[:, -1].tolist()
    return [
        min(place, most) if held == request.depth else most
        for held, place in zip(winners.held.tolist(), last, strict=True)
    ]


def nothing_read(request: SearchRequest) -> Hit:
    """The answer to a query that nothing was read for before the deadline passed."""
    payloads: list[Payload | None] | None = [] if request.payloads else None
    return Hit([], np.empty(0, np.uint16), payloads, 0, 0, complete_radius=-1, exact=False, partial=True)
