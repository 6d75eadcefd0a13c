"""What one reading gives for some queries: their nearest items, what they cost, and what is proven of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.request import SearchRequest
from hashgrain.indexer.results import Hit
from hashgrain.indexer.searching.collapsing import collapse_candidates
from hashgrain.indexer.searching.probing import Probing
from hashgrain.indexer.searching.queries import Queries
from hashgrain.indexer.searching.ranking import Winners, rank_candidates
from hashgrain.indexer.searching.refining import refine
from hashgrain.indexer.searching.spans import Candidates
from hashgrain.indexer.stored.identifiers import ItemId
from hashgrain.indexer.stored.payloads import Payload


@dataclass(eq=False)
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
        if request.collapse is None:
            winners = rank_candidates(candidates, queries, request)
        else:
            winners = collapse_candidates(candidates, queries, request, layout)
        unread = probing.unread(candidates.buckets, candidates.begin, candidates.end, winners.last)
        exact = (unread[1] > winners.last).tolist()
        if request.refine is not None:
            winners = refine(winners, candidates, queries, request, layout)
        radius = [min(bound - 1, layout.coarse_bits) for bound in unread[0].tolist()]
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


def nothing_read(request: SearchRequest) -> Hit:
    """The answer to a query that nothing was read for before the deadline passed."""
    payloads: list[Payload | None] | None = [] if request.payloads else None
    return Hit([], np.empty(0, np.uint16), payloads, 0, 0, complete_radius=-1, exact=False, partial=True)
