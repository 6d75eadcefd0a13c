"""Which buckets one reading takes for some queries, and how far their budget goes in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.request import SearchRequest
from hashgrain.indexer.searching.probing import Probing
from hashgrain.indexer.searching.spans import Candidates
from hashgrain.indexer.stored.keys import MOST_BUCKETS

FIRST_STEP = 1024
"""Candidates that the first reading is to bring where a deadline is given, so that there is a best so far."""

_STEP_GROWTH = 4  # what one reading gave is read again by the next: in all, a third more than without a deadline
_PREFETCH = 1.1  # buckets read at first, as a multiple of what the mean bucket size suggests
_MOST_AHEAD = 128  # times as many buckets as without a filter may be read before it is known how many items match
_EVERY = MOST_BUCKETS * 1024  # in all shards


def reach_of(step: int, items: int, buckets: int, request: SearchRequest, share: float = 1.0) -> int:
    """How many buckets a reading may take for a query, in an index of some items in some buckets.

    Args:
        step: how many readings before did not meet the budget.
        items, buckets: of the index.
        request: what is asked.
        share: of the items that match the filter, as far as is known: for the first reading by other searches, which
            it trusts up to a point, since theirs may be another region; then by this one.
    """
    if request.deadline is None and request.candidates is None:
        return _EVERY
    wanted = request.candidates or FIRST_STEP
    if request.deadline is not None:
        wanted = min(wanted, FIRST_STEP)
    first = int(_PREFETCH * wanted / max(items / max(buckets, 1), 1.0)) + 2
    growth: int = (2 if request.deadline is None and request.filter is None else _STEP_GROWTH) ** min(step, 32)
    reach = first * growth
    if request.filter is not None and request.deadline is None:
        more = _PREFETCH / max(share, 1 / _EVERY)
        reach = int(max(reach, first * (more * growth / _STEP_GROWTH if step else min(more, _MOST_AHEAD))))
        if share * items < wanted:
            reach = _EVERY  # there may be no more of them than that
    return min(reach, _EVERY)


@dataclass(eq=False)
class Plan:
    """The buckets that one reading takes for some queries.

    Attributes:
        buckets: int64 (P,), positions in the directories: those of one query after another; nearest first wherever
            not all that a query may ask for is taken. Queries that take the same may share a part of it.
        begin, end: int64 (Q,), which part of `buckets` is that of each query.
        whole: whether each query cannot ask for any bucket beyond these.
    """

    buckets: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    whole: list[bool]

    @classmethod
    def of(cls, probing: Probing, reach: int, request: SearchRequest) -> Plan:
        """Plan to read at most `reach` buckets for each query."""
        if request.radius is not None or request.within is not None:
            return cls._of_near(probing, reach, request)
        asked = len(probing) if request.probes is None else min(request.probes, len(probing))
        if request.exact and asked <= reach:
            return cls._of_all(probing)
        nearest = probing.nearest(min(asked, reach))
        queries, each = nearest.shape
        ends = np.arange(0, (queries + 1) * each, each)
        return cls(nearest.ravel(), ends[:-1], ends[1:], [asked <= reach] * queries)

    @classmethod
    def _of_all(cls, probing: Probing) -> Plan:
        """All buckets, once for all queries."""
        none = np.zeros(probing.queries, np.int64)
        return cls(probing.everywhere, none, none + len(probing), [True] * probing.queries)

    @classmethod
    def _of_near(cls, probing: Probing, reach: int, request: SearchRequest) -> Plan:
        """The buckets that can hold an item as near as is asked; the nearest of them where they are too many."""
        if request.within is None:
            asked = probing.within(request.radius or 0, coarse=True)
        else:
            asked = probing.within(request.within, coarse=False)
        whole = [len(buckets) <= reach for buckets in asked]
        if not all(whole):
            order = probing.nearest(len(probing))
            for n, buckets in enumerate(asked):
                if not whole[n]:
                    asked[n] = order[n][np.isin(order[n], buckets, assume_unique=True)][:reach]
        end = np.cumsum([len(buckets) for buckets in asked])
        return cls(np.concatenate(asked), end - [len(buckets) for buckets in asked], end, whole)

    def union(self, probing: Probing) -> NDArray[np.int64]:
        """The positions of buckets that any query takes, ascending; the very array of all where it is all."""
        if len(self.begin) == 1:  # quicker: a single query has no time for what serves many
            if len(self.buckets) == len(probing):
                return probing.everywhere
            ascending = self.buckets.copy()
            ascending.sort()
            return ascending
        if len(self.buckets) >= len(probing) and np.any(self.end - self.begin == len(probing)):
            return probing.everywhere
        flags = np.zeros(len(probing), np.bool_)
        flags[self.buckets] = True
        return np.flatnonzero(flags)

    def met(self, candidates: Candidates, request: SearchRequest) -> list[bool]:
        """Whether the candidates of each query are all that it asks for."""
        if request.candidates is None or all(self.whole):
            return self.whole
        records = candidates.records.tolist()
        return [whole or held >= request.candidates for whole, held in zip(self.whole, records, strict=True)]
