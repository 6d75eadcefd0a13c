"""How an answer came about: which buckets were read and why, what each step cost, and what is proven of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.hamming import popcount
from hashgrain.indexer.request import SearchRequest
from hashgrain.indexer.results import Hit
from hashgrain.indexer.searching.queries import Queries
from hashgrain.indexer.searching.selection import Selection
from hashgrain.indexer.searching.spans import Candidates
from hashgrain.indexer.stored.directories import Directories

SHOWN = 20
"""Buckets that `Explanation.lines` tells one by one."""

ANSWERED, SHORT, CHANGED = "answered", "too few items", "changed by a writer meanwhile"


@dataclass(frozen=True)
class Step:
    """One reading of buckets. Queries that were asked together share it, and its costs are those of all of them.

    Attributes:
        source: `kept` where the searcher went by buckets that it keeps, else `redis`.
        buckets: how many were gone by.
        fetched: how many of them came from Redis.
        plan_ms, read_ms, rank_ms, name_ms: milliseconds spent on choosing buckets (reading the partition included),
            on having their records, on comparing codes, and on ids and payloads (with kept buckets: on knowing that
            they are true).
        outcome: `answered`; `too few items` where more buckets were then read, since these held fewer items than the
            budget; or `changed by a writer meanwhile`, so that it was done again.
    """

    source: str
    buckets: int = 0
    fetched: int = 0
    plan_ms: float = 0.0
    read_ms: float = 0.0
    rank_ms: float = 0.0
    name_ms: float = 0.0
    outcome: str = CHANGED


@dataclass(frozen=True)
class Probe:
    """One bucket that a query was compared with, in the query's order.

    Attributes:
        shard, bucket: which.
        distance: of its centroid from the query, in bits of the ranking: what decides the order.
        at_least: no item of it is nearer than that, by its radii.
        items: how many it holds.
        winners: how many of the answer came from it.
    """

    shard: int
    bucket: int
    distance: int
    at_least: int
    items: int
    winners: int


@dataclass(frozen=True)
class Explanation:
    """How one query's answer came about.

    Attributes:
        budget: what said how far to look, `candidates=4096`.
        steps: the readings, in order.
        probes: the buckets that were compared, nearest first (of a search that took all, in order of position).
        unread: how many buckets of the index were not.
        unread_at_least: no item in these is nearer, in bits of the ranking; None where all were read.
        farthest: distance of the last neighbour; None where there is none.
        exact, complete_radius: see `Hit`.
    """

    budget: str
    steps: tuple[Step, ...]
    probes: tuple[Probe, ...]
    unread: int
    unread_at_least: int | None
    farthest: int | None
    exact: bool
    complete_radius: int

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"budget {self.budget}"
        for number, step in enumerate(self.steps, 1):
            yield (
                f"step {number}: {step.buckets:,} buckets, {step.fetched:,} of them from Redis, the others kept; plan "
                f"{step.plan_ms:.2f} ms, read {step.read_ms:.2f} ms, rank {step.rank_ms:.2f} ms, names "
                f"{step.name_ms:.2f} ms: {step.outcome}"
            )
        yield "bucket (shard:number)  centroid at  no item nearer than  items  neighbours"
        for probe in self.probes[:SHOWN]:
            place = f"{probe.shard}:{probe.bucket}"
            yield f"{place:>21}{probe.distance:13}{probe.at_least:21}{probe.items:7,}{probe.winners:12}"
        if len(self.probes) > SHOWN:
            rest = self.probes[SHOWN:]
            items, winners = sum(probe.items for probe in rest), sum(probe.winners for probe in rest)
            yield f"{f'{len(rest):,} more':>21}{'':34}{items:7,}{winners:12}"
        yield self._guarantee()

    def _guarantee(self) -> str:
        if self.unread_at_least is None:
            return "exact: every bucket was compared"
        last = "there is no neighbour" if self.farthest is None else f"the last neighbour is at {self.farthest}"
        bound = f"{self.unread:,} buckets were not read, none of their items is nearer than {self.unread_at_least}"
        return f"{'exact' if self.exact else 'not proven exact'}: {last}, {bound}"


class Trace:
    """Takes note of what a search does; one for each group of queries.

    Args:
        request: what is asked.
    """

    def __init__(self, request: SearchRequest) -> None:
        self._request = request
        self._steps: list[Step] = []
        self._last = time.perf_counter()

    def begin(self, *, kept: bool) -> None:
        """A reading begins."""
        self._steps.append(Step("kept" if kept else "redis"))
        self._last = time.perf_counter()

    def planned(self, buckets: int) -> None:
        """It is decided which buckets are gone by."""
        self._note(buckets=buckets, plan_ms=self._since())

    def read(self, fetched: int) -> None:
        """Their records are there."""
        self._note(fetched=fetched, read_ms=self._since())

    def ranked(self) -> None:
        """They have been compared."""
        self._note(rank_ms=self._since())

    def named(self, outcome: str) -> None:
        """Ids and payloads are there, or the reading turned out not to hold."""
        self._note(name_ms=self._since(), outcome=outcome)

    def explained(self, hit: Hit, query: int, whole: Directories, queries: Queries, selection: Selection) -> Hit:
        """The answer to a query of a selection, with how it came about."""
        return replace(hit, explanation=self._explain(hit, query, whole, queries, selection))

    def _since(self) -> float:
        last, self._last = self._last, time.perf_counter()
        return 1000 * (self._last - last)

    def _note(self, **known: int | float | str) -> None:
        self._steps[-1] = replace(self._steps[-1], **known)  # type: ignore[arg-type]

    def _explain(self, hit: Hit, query: int, whole: Directories, queries: Queries, selection: Selection) -> Explanation:
        candidates, winners = selection.candidates, selection.winners
        part = slice(int(candidates.begin[query]), int(candidates.end[query]))
        far, least = _distances(whole, queries, query)
        won = np.bincount(winners.bucket[query, : len(hit.ids)], minlength=len(candidates.buckets))[part]
        read = candidates.buckets[part]
        shard = np.searchsorted(whole.first, read, side="right") - 1
        sizes = _sizes(candidates)[part]
        columns = (shard, read - whole.first[shard], far[read], least[read], sizes, won)
        unread = np.delete(least, read)
        return Explanation(
            _budget(self._request),
            tuple(self._steps),
            tuple(Probe(*row) for row in zip(*(column.tolist() for column in columns), strict=True)),
            len(unread),
            int(unread.min()) if len(unread) else None,
            int(hit.distances.max()) if len(hit.ids) else None,
            hit.exact,
            hit.complete_radius,
        )


def _distances(whole: Directories, queries: Queries, query: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distance of every centroid from a query, and how near an item of its bucket can be, int64 (B,) each."""
    codes = queries.codes
    fine = popcount(whole.fine ^ codes.fine[query]).sum(axis=1, dtype=np.int64)
    coarse = popcount(_packed_coarse(whole) ^ codes.coarse[query]).sum(axis=1, dtype=np.int64)
    times_fine, times_coarse = queries.times
    least_fine = np.maximum(fine - whole.fine_radius, 0)
    least_coarse = np.maximum(coarse - whole.coarse_radius, 0)
    return times_fine * fine + times_coarse * coarse, times_fine * least_fine + times_coarse * least_coarse


def _packed_coarse(whole: Directories) -> NDArray[np.uint8]:
    return np.concatenate([shard.partition.packed_coarse for shard in whole.shards])


def _sizes(candidates: Candidates) -> NDArray[np.int64]:
    sizes = np.zeros(len(candidates.buckets), np.int64)
    for _, count in candidates.rows:  # a bucket lies in one shard
        sizes += count
    return sizes


def _budget(request: SearchRequest) -> str:
    for name in ("probes", "radius", "within", "candidates"):
        if (value := getattr(request, name)) is not None:
            return f"{name}={value}"
    return "exact"
