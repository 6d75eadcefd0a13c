"""The two-stage search over the shards of an index.

Each shard is read in one atomic step (the buckets together with the stamp of the partition), so a query sees every
write that was acknowledged before it began, and none of a batch or all of it within a shard. Where the partition has
changed, or a winner was deleted between reading its record and its name, the query starts afresh; and so it does where
a winner was replaced before its payload was read.

A searcher may keep buckets (see `hot_buckets`). Then a query that has to start afresh reads all that it needs in one
atomic step, as one without them does, and so do some that follow, so that writers hold up neither more than the other
(see `patience`).

With a deadline, a query is answered in growing steps, each a reading of its own with names and all, so that there is
always a whole answer to fall back on.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import StoreUnavailable
from hashgrain.codes.layout import CodeLayout, HashCodes
from hashgrain.indexer.cores import compute_threads, in_threads
from hashgrain.indexer.request import SearchRequest
from hashgrain.indexer.results import Hit
from hashgrain.indexer.searching.explaining import ANSWERED, CHANGED, SHORT, Trace
from hashgrain.indexer.searching.fresh_reading import FreshReading
from hashgrain.indexer.searching.matching import Matching
from hashgrain.indexer.searching.patience import Patience
from hashgrain.indexer.searching.planning import Plan, reach_of
from hashgrain.indexer.searching.probing import Probing
from hashgrain.indexer.searching.queries import Queries
from hashgrain.indexer.searching.reading import Asked, Reading
from hashgrain.indexer.searching.selection import Selection, nothing_read
from hashgrain.indexer.searching.spans import Candidates, Span
from hashgrain.indexer.searching.warming import warm_up
from hashgrain.indexer.searching.widening import widened
from hashgrain.indexer.stored.directories import Directories
from hashgrain.indexer.stored.fields import fields_of
from hashgrain.indexer.stored.filters import Filter
from hashgrain.indexer.stored.handles import FIRST_HASHED
from hashgrain.indexer.stored.keys import WIDE
from hashgrain.indexer.stored.scatter import read_directories
from hashgrain.indexer.stored.shard import Shard
from hashgrain.indexer.wire.deadline import Deadline

if TYPE_CHECKING:
    from hashgrain.indexer.keeping.hot_buckets import HotBuckets

_NEVER = Deadline(None)

GROUP = 64
"""Queries that share one reading of buckets at most."""

KEPT_GROUP = 256
"""The same, where buckets are kept, and little is read."""

ATTEMPTS = 100
"""How often a query starts afresh while writers change the index under it."""


class Searcher:
    """Searches the shards of one index; keeps their directories between searches, and is safe to share by threads."""

    def __init__(self, shards: Sequence[Shard], layout: CodeLayout, hot: HotBuckets | None = None) -> None:
        self._shards = shards
        self._layout = layout
        self._hot = hot
        self._patience = Patience()
        self._known: Directories | None = None
        self._matching = Matching()

    def search(self, codes: HashCodes, request: SearchRequest) -> list[Hit]:
        """Answer every query, in order; but for a deadline, a query's answer does not depend on the others.

        Raises:
            StoreUnavailable: writers changed the index faster than it could be read, or the deadline passed before
                anything was.
        """
        warm_up(self._layout, request.collapse is not None)  # before the deadline runs
        if request.collapse is not None:
            return widened(self._search, codes, request)
        return self._search(codes, request)

    def _search(self, codes: HashCodes, request: SearchRequest) -> list[Hit]:
        """Answer every query with the budget that is given."""
        if request.deadline is None and len(codes) <= GROUP:  # a single query, mostly: to cut it out again takes time
            return self._search_group(codes, request, _NEVER)
        groups = [codes[part] for part in self._parts(len(codes), request)]
        if request.deadline is not None:
            found = self._search_in_turn(groups, request)
        else:
            found = in_threads(partial(self._search_group, request=request, deadline=_NEVER), groups)
        return [hit for hits in found for hit in hits]

    def _parts(self, queries: int, request: SearchRequest) -> list[slice]:
        """Which queries are to share a reading: of kept buckets more, as many for each thread."""
        size = GROUP
        if self._hot and request.deadline is None:
            threads = min(compute_threads(), -(-queries // GROUP))
            for_each = -(-queries // (KEPT_GROUP * threads))
            size = -(-queries // (for_each * threads))
        return [slice(start, start + size) for start in range(0, queries, size)]

    def _search_in_turn(self, groups: Sequence[HashCodes], request: SearchRequest) -> list[list[Hit]]:
        """Answer one group after another, all within the deadline."""
        deadline = Deadline(request.deadline)
        found: list[list[Hit]] = []
        with deadline.enforced():
            for group in groups:
                if found and deadline.passed:
                    found.append([nothing_read(request)] * len(group))
                else:
                    found.append(self._search_group(group, request, deadline, may_be_empty=bool(found)))
        return found

    def _search_group(
        self, codes: HashCodes, request: SearchRequest, deadline: Deadline, may_be_empty: bool = False
    ) -> list[Hit]:
        """Answers to all, final ones or what there is when the deadline passes."""
        hits: dict[int, Hit] = {}
        step = lost = 0
        share: float | None = None  # of the items that were compared for these queries, those that match
        trace = Trace(request) if request.explain else None
        waiting: Sequence[int] = range(len(codes))
        while waiting:
            try:
                asked = codes if len(waiting) == len(codes) else codes[np.array(waiting)]
                queries = Queries.of(asked, self._layout, request.rank)
                hot = self._hot if self._hot and self._patience.allows() else None
                taken = self._take(queries, step, request, hot, trace, share)
                named = None if taken is None else taken.hits(request)
                if trace and taken:
                    named = taken.explained(named, trace)
                if hot:
                    self._patience.learn(held=named is not None)
            except StoreUnavailable as exc:
                if not deadline.passed:
                    raise
                if not hits and not may_be_empty:
                    raise StoreUnavailable(
                        f"nothing could be read within the deadline of {request.deadline} s; allow more, or see to "
                        "the load of Redis"
                    ) from exc
                break
            for query, hit in (named or {}).items():
                hits[waiting[query]] = hit
            if deadline.passed and (hits or may_be_empty):
                break
            if taken is None or named is None or len(named) < len(taken.queries):
                if named is not None:
                    self._known = None  # names may be missing because there are more pages of them
                lost += 1
                _wait(lost)
            elif not all(taken.met):
                step += 1
                share = taken.share
            waiting = [row for row in waiting if row not in hits or hits[row].partial]
        return [hits[row] if row in hits else nothing_read(request) for row in range(len(codes))]

    def _take(
        self,
        queries: Queries,
        step: int,
        request: SearchRequest,
        hot: HotBuckets | None,
        trace: Trace | None,
        share: float | None,
    ) -> Taken | None:
        """Rank what one reading gives, of kept buckets if `hot` is given; None where there is none to rely on.

        Queries whose budget this reading does not meet are left out unless a deadline may make this their answer.
        """
        if trace:
            trace.begin(kept=hot is not None)
        whole = self._directories()
        probing = Probing(whole, queries)
        reckoned = self._matching.share(request.by) if share is None else share
        plan = Plan.of(probing, reach_of(step, whole.live, len(whole), request, reckoned), request)
        wanted = plan.union(probing)
        if trace:
            trace.planned(len(wanted))
        reading: Reading | None = hot.read(whole, wanted) if hot else FreshReading.of(self._shards, whole, wanted)
        if reading is None:
            self._known = None
            return None
        if trace:
            trace.read(reading.fetched)
        spans = reading.spans
        if request.by is not None:
            spans, share = self._filtered(reading, whole, wanted, request.by)
        candidates = Candidates.of(plan.buckets, plan.begin, plan.end, spans, request.candidates)
        met = plan.met(candidates, request)
        rows: Sequence[int] = range(len(queries))
        if request.deadline is None and not all(met):
            rows = [row for row in rows if met[row]]
            queries, candidates = queries[np.array(rows, np.intp)], candidates[np.array(rows, np.intp)]
            probing = Probing(whole, queries)
        selection = Selection.of(candidates, probing, queries, request, self._layout)
        if trace:
            trace.ranked()
        return Taken(reading, rows, met, selection, whole, queries, share)

    def _filtered(
        self, reading: Reading, whole: Directories, wanted: NDArray[np.int64], by: Filter
    ) -> tuple[list[Span], float]:
        """What a filter leaves of the buckets that are wanted, and which share of their items that is."""
        keep = partial(by.mask, fields=fields_of(self._layout))
        positions = [whole.shard_positions(wanted, number)[0] for number in range(len(reading.spans))]
        left = [span.filtered(mine, keep) for span, mine in zip(reading.spans, positions, strict=True)]
        looked = sum(int(span.locate(mine)[1].sum()) for span, mine in zip(reading.spans, positions, strict=True))
        share = max(sum(len(span.handle) for span in left), 0.5) / max(looked, 1)
        self._matching.note(by, share)
        return left, share

    def _directories(self) -> Directories:
        found = self._known
        if found is None:
            found = self._known = Directories(read_directories(self._shards), self._layout)
        return found


@dataclass(eq=False)
class Taken:
    """What one reading gives for some queries.

    Attributes:
        reading: the reading.
        queries: which of them have an answer in `selection`, in its order.
        met: of all queries, whether their budget was met.
        selection: the answers.
        whole: the directories that they go by.
        asked: the queries that have an answer.
        share: of the items that were read, those that match the filter; None without one.
    """

    reading: Reading
    queries: Sequence[int]
    met: list[bool]
    selection: Selection
    whole: Directories
    asked: Queries
    share: float | None

    def hits(self, request: SearchRequest) -> dict[int, Hit] | None:
        """Look up the winners' names; a query of which one is no longer there is left out.

        Returns None where the reading turns out not to hold.
        """
        winners = self.selection.winners
        handles = [mine[:held] for mine, held in zip(winners.handle.tolist(), winners.held.tolist(), strict=True)]
        known = None if request.payloads else self.reading.known(self._hashed(handles))
        asked = self._asked(request.payloads) if known is None else {}
        found = self.reading.names(asked, request.payloads)
        if found is None:
            return None
        names = known or found
        hits = {}
        for n, query in enumerate(self.queries):
            ids: list[Any] = handles[n]
            payloads = None
            if request.payloads:
                payloads = [names[handle][1] for handle in ids]
            if names:
                ids = [names[handle][0] if handle in names else handle for handle in ids]
            if None not in ids:
                hits[query] = self.selection.hit(n, ids, payloads, partial=not self.met[query])
        return hits

    def _hashed(self, handles: list[list[int]]) -> list[int]:
        """Those handles of items whose ids are stored; handles of 4 bytes are ids."""
        if all(span.handle.itemsize < WIDE for span in self.reading.spans):
            return []
        return [handle for mine in handles for handle in mine if handle >= FIRST_HASHED]

    def explained(self, named: dict[int, Hit] | None, trace: Trace) -> dict[int, Hit] | None:
        """The same answers, each with how it came about."""
        short = named is not None and not all(self.met)
        trace.named(CHANGED if named is None or len(named) < len(self.queries) else SHORT if short else ANSWERED)
        if named is None:
            return None
        place = {query: n for n, query in enumerate(self.queries)}
        return {
            query: trace.explained(hit, place[query], self.whole, self.asked, self.selection)
            for query, hit in named.items()
        }

    def _asked(self, payloads: bool) -> dict[int, Asked]:
        """By shard, those winners whose names are stored; all of them where their payloads are asked for."""
        winners, candidates = self.selection.winners, self.selection.candidates
        wanted = np.arange(winners.handle.shape[1]) < winners.held[:, None]
        if not payloads:
            wanted &= winners.handle >= FIRST_HASHED
        query, place = np.nonzero(wanted)
        handle, shard, row = (part[query, place] for part in (winners.handle, winners.shard, winners.row))
        bucket = candidates.buckets[winners.bucket[query, place]]
        found = {}
        for number in np.unique(shard).tolist():
            mine = np.flatnonzero(shard == number)
            handles, first = np.unique(handle[mine], return_index=True)
            rows, origin = row[mine[first]], candidates.spans[number].origin
            found[number] = Asked(handles, rows if origin is None else origin[rows], bucket[mine[first]])
        return found


def _wait(lost: int) -> None:
    if lost >= ATTEMPTS:
        raise StoreUnavailable(
            f"the index changed under {lost} attempts to search it; "
            "search with a smaller budget, or write in smaller batches"
        )
    if lost > 2:
        time.sleep(random.uniform(0, min(0.001 * lost, 0.02)))
