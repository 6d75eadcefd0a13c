"""What one reading gives for one query: its nearest items, what they cost, and what is proven of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.identifiers import ItemId
from hashgrain.indexer.payloads import Payload
from hashgrain.indexer.queries import Query
from hashgrain.indexer.ranking import Winners, rank_candidates
from hashgrain.indexer.refining import refine
from hashgrain.indexer.request import SearchRequest
from hashgrain.indexer.results import Hit
from hashgrain.indexer.spans import Candidates


@dataclass(frozen=True, eq=False)
class Selection:
    """An answer whose items have no names yet; see `Hit` for what the fields mean."""

    winners: Winners
    candidates: int
    buckets: int
    complete_radius: int
    exact: bool
    partial: bool

    @classmethod
    def of(
        cls,
        candidates: Candidates,
        occupied: NDArray[np.uint32],
        query: Query,
        request: SearchRequest,
        layout: CodeLayout,
        *,
        met: bool,
    ) -> Selection:
        """Rank the records of some buckets.

        Args:
            candidates: what the query reads.
            occupied: uint32 (B,), the coarse codes of the occupied buckets.
            query: the query.
            request: what is asked.
            layout: the code lengths.
            met: whether these are all the buckets that the request asks for.
        """
        buckets = candidates.buckets
        winners = rank_candidates(candidates, occupied, query.fine, query.coarse, request)
        radius = query.probing.complete_radius(buckets)
        exact = len(buckets) == len(occupied) or winners.proven(request, radius)
        if request.refine is not None:
            winners = refine(winners, candidates, occupied, query, request, layout)
        return cls(winners, len(candidates), len(buckets), radius, exact, partial=not met)

    def hit(self, ids: list[ItemId], payloads: list[Payload | None] | None) -> Hit:
        """The answer, with the names of its winners."""
        return Hit(
            ids,
            self.winners.distances,
            payloads,
            self.candidates,
            self.buckets,
            self.complete_radius,
            self.exact,
            self.partial,
        )


def unread(request: SearchRequest) -> Hit:
    """The answer to a query that nothing was read for before the deadline passed."""
    nothing: list[Payload | None] | None = [] if request.payloads else None
    return Hit([], np.empty(0, np.uint16), nothing, 0, 0, complete_radius=-1, exact=False, partial=True)
