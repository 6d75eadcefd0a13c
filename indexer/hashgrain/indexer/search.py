"""The two-stage search over the shards of an index.

Each shard is read in one atomic step (the buckets together with the version of the occupancy map), so a query sees
every write that was acknowledged before it began, and none of a batch or all of it within a shard. Where the map has
changed, or a winner was deleted or replaced between reading its record and its id, the query starts afresh.

A searcher may keep buckets (see `hot_buckets`). Then a query that would start afresh for the second time reads all
that it needs in one atomic step, as one without them does, so that writers hold up neither more than the other.

With a deadline, a query is answered in growing steps, each a reading of its own with names and all, so that there is
always a whole answer to fall back on.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import StoreUnavailable
from hashgrain.codes.layout import CodeLayout, HashCodes
from hashgrain.indexer.deadline import Deadline
from hashgrain.indexer.directories import Directories
from hashgrain.indexer.hot_buckets import HotBuckets
from hashgrain.indexer.occupancy import Occupancy
from hashgrain.indexer.planning import Plan, first_reach, next_reach
from hashgrain.indexer.queries import Query, require_logits
from hashgrain.indexer.reading import FreshReading, Reading
from hashgrain.indexer.request import SearchRequest
from hashgrain.indexer.results import Hit
from hashgrain.indexer.selection import Selection, unread
from hashgrain.indexer.shard import Shard
from hashgrain.indexer.spans import Candidates
from hashgrain.indexer.warming import warm_up

GROUP = 32
"""Queries that share one reading of buckets."""

HOT_ATTEMPTS = 2
"""How often a query goes by buckets that were kept before it reads them all."""

ATTEMPTS = 100
"""How often a query starts afresh while writers change the index under it."""


class Searcher:
    """Searches the shards of one index; keeps their directories between searches, and is safe to share by threads."""

    def __init__(self, shards: Sequence[Shard], layout: CodeLayout, hot: HotBuckets | None = None) -> None:
        self._shards = shards
        self._layout = layout
        self._hot = hot
        self._known: Directories | None = None

    def search(self, codes: HashCodes, request: SearchRequest) -> list[Hit]:
        """Answer every query, in order; but for a deadline, a query's answer does not depend on the others.

        Raises:
            InvalidInput: logits are missing that the request needs, or are not finite.
            StoreUnavailable: writers changed the index faster than it could be read, or the deadline passed before
                anything was.
        """
        require_logits(codes, request)
        warm_up(self._layout)  # before the deadline runs
        deadline = Deadline(request.deadline)
        hits: dict[int, Hit] = {}
        with deadline.enforced():
            for start in range(0, len(codes), GROUP):
                if hits and deadline.passed:
                    break
                group = codes[start : start + GROUP] if len(codes) > GROUP else codes
                found = self._search_group(group, request, deadline, may_be_empty=bool(hits))
                hits |= {start + row: hit for row, hit in found.items()}
        return [hits[row] if row in hits else unread(request) for row in range(len(codes))]

    def _search_group(
        self, codes: HashCodes, request: SearchRequest, deadline: Deadline, may_be_empty: bool
    ) -> dict[int, Hit]:
        """Answers by row: final ones of all, or what there is when the deadline passes."""
        hits: dict[int, Hit] = {}
        reach: dict[int, int] = {}
        lost = 0
        while waiting := [row for row in range(len(codes)) if row not in hits or hits[row].partial]:
            try:
                taken = self._take(codes, waiting, reach, request, self._hot if lost < HOT_ATTEMPTS else None)
                named = {} if taken is None else taken.hits(request)
            except StoreUnavailable as exc:
                if not deadline.passed:
                    raise
                if not hits and not may_be_empty:
                    raise StoreUnavailable(
                        f"nothing could be read within the deadline of {request.deadline} s; allow more, or see to "
                        "the load of Redis"
                    ) from exc
                break
            hits |= named
            if deadline.passed and (hits or may_be_empty):
                break
            if taken is None or len(named) < len(taken.selections):
                lost += 1
                _wait(lost)
        return hits

    def _take(
        self,
        codes: HashCodes,
        waiting: list[int],
        reach: dict[int, int],
        request: SearchRequest,
        hot: HotBuckets | None,
    ) -> Taken | None:
        """Rank what one reading gives, of kept buckets if `hot` is given; None where there is none to rely on.

        A query whose budget this reading does not meet gets a longer `reach`, and is left out unless a deadline may
        make this its answer.
        """
        whole = self._directories()
        queries = Query.each(codes, waiting, whole.occupancy)
        plans = {}
        for row, query in queries.items():
            reach.setdefault(row, first_reach(whole.live, len(whole.occupied), request))
            plans[row] = Plan.of(query.probing, reach[row], request)
        wanted = _union([plan.buckets for plan in plans.values()], whole.occupancy)
        reading: Reading | None
        reading = hot.read(whole, wanted) if hot else FreshReading.of(self._shards, whole, wanted, self._layout)
        if reading is None:
            self._known = None
            return None
        taken = {}
        for row, plan in plans.items():
            candidates = Candidates.of(plan.buckets, reading.spans)
            spent, met = plan.spend(candidates.sizes, request)
            if not met:
                reach[row] = next_reach(reach[row], request)
            if met or request.deadline is not None:
                mine = candidates.first(spent)
                taken[row] = Selection.of(mine, whole.occupied, queries[row], request, self._layout, met=met)
        return Taken(reading, taken, len(self._shards))

    def _directories(self) -> Directories:
        found = self._known
        if found is None:
            found = self._known = Directories([shard.directory() for shard in self._shards], self._layout.coarse_bits)
        return found


@dataclass(frozen=True, eq=False)
class Taken:
    """The selections of some queries, by row, out of one reading of so many shards."""

    reading: Reading
    selections: dict[int, Selection]
    shards: int

    def hits(self, request: SearchRequest) -> dict[int, Hit]:
        """Look up the winners' ids; a query of which one is no longer there is left out."""
        if not self.selections:
            return {}
        shards = np.concatenate([selection.winners.shard for selection in self.selections.values()])
        numbers = np.concatenate([selection.winners.number for selection in self.selections.values()])
        mine = {shard: np.unique(numbers[shards == shard]) for shard in range(self.shards)}
        names = self.reading.names(mine, request.payloads)
        if names is None:
            return {}
        hits = {}
        for row, selection in self.selections.items():
            places = zip(selection.winners.shard.tolist(), selection.winners.number.tolist(), strict=True)
            found = [names[place] for place in places]
            ids = [item for item, _ in found if item is not None]
            if len(ids) == len(found):
                hits[row] = selection.hit(ids, [payload for _, payload in found] if request.payloads else None)
        return hits


def _union(asked: Sequence[NDArray[np.intp]], occupancy: Occupancy) -> NDArray[np.intp]:
    """The positions of buckets that any query asks for, ascending; the very array of all where it is all."""
    if any(len(buckets) == len(occupancy) for buckets in asked):
        return occupancy.everywhere
    if len(asked) == 1:
        return np.sort(asked[0])
    flags = np.zeros(len(occupancy), np.bool_)
    for buckets in asked:
        flags[buckets] = True
    return np.flatnonzero(flags)


def _wait(lost: int) -> None:
    if lost >= ATTEMPTS:
        raise StoreUnavailable(
            f"the index changed under {lost} attempts to search it; "
            "search with a smaller budget, or write in smaller batches"
        )
    if lost > 2:
        time.sleep(random.uniform(0, min(0.001 * lost, 0.02)))
