"""The two-stage search over the shards of an index.

Each shard is read in one atomic step (the buckets together with the version of the occupancy map), so a query sees
every write that was acknowledged before it began, and none of a batch or all of it within a shard. Where the map has
changed, or a winner was deleted or replaced between reading its record and its id, the query starts afresh.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import InvalidInput, StoreUnavailable
from hashgrain.codes.layout import CodeLayout, HashCodes
from hashgrain.codes.packing import coarse_keys
from hashgrain.indexer.identifiers import ItemId
from hashgrain.indexer.payloads import Payload
from hashgrain.indexer.probing import Probing, margin_weights
from hashgrain.indexer.ranking import Winners, rank_records
from hashgrain.indexer.records import Records
from hashgrain.indexer.request import SearchRequest
from hashgrain.indexer.results import Hit
from hashgrain.indexer.shard import Directory, Shard

GROUP = 32
"""Queries that share one reading of buckets."""

ATTEMPTS = 100
"""How often a query starts afresh while writers change the index under it."""

_PREFETCH = 1.5  # buckets read at first, as a multiple of what the mean bucket size suggests


class Searcher:
    """Searches the shards of one index; keeps their directories between searches, and is safe to share by threads."""

    def __init__(self, shards: Sequence[Shard], layout: CodeLayout) -> None:
        self._shards = shards
        self._layout = layout
        self._map: _Map | None = None

    def search(self, codes: HashCodes, request: SearchRequest) -> list[Hit]:
        """Answer every query, in order; a query's answer does not depend on the others.

        Raises:
            InvalidInput: coarse logits are not finite.
            StoreUnavailable: writers changed the index faster than it could be read.
        """
        logits = codes.coarse_logits
        if logits is not None and not np.isfinite(logits).all():
            row = int((~np.isfinite(logits)).any(axis=1).argmax())
            raise InvalidInput(f"the coarse logits of query {row} are not finite; check the model, or leave them out")
        hits: list[Hit] = []
        for start in range(0, len(codes), GROUP):
            hits += self._search_group(codes[start : start + GROUP], request)
        return hits

    def _search_group(self, codes: HashCodes, request: SearchRequest) -> list[Hit]:
        hits: dict[int, Hit] = {}
        reach: dict[int, int] = {}
        lost = 0
        while len(hits) < len(codes):
            waiting = [row for row in range(len(codes)) if row not in hits]
            taken = self._take(codes, waiting, reach, request)
            named = {} if taken is None else self._name(taken, request)
            hits |= named
            if taken is None or len(named) < len(taken):
                lost += 1
                _wait(lost)
        return [hits[row] for row in range(len(codes))]

    def _take(
        self, codes: HashCodes, waiting: list[int], reach: dict[int, int], request: SearchRequest
    ) -> dict[int, _Selection] | None:
        """Rank what one reading gives; None where the directories were out of date.

        A query whose budget this reading does not meet is left out, and its `reach` is doubled.
        """
        whole = self._directories()
        keys = coarse_keys(codes.coarse, self._layout.coarse_bits)
        probings, plans = {}, {}
        for row in waiting:
            logits = None if codes.coarse_logits is None else codes.coarse_logits[row]
            weights = margin_weights(logits, self._layout.coarse_bits)
            probings[row] = Probing(whole.occupied, int(keys[row]), weights)
            reach.setdefault(row, whole.first_reach(request))
            plans[row] = _plan(probings[row], reach[row], request)
        wanted = np.unique(np.concatenate(list(plans.values())))
        records = self._read(whole, wanted)
        if records is None:
            self._map = None
            return None
        sizes = np.bincount(records.bucket, minlength=len(whole.occupied))
        taken = {}
        for row in waiting:
            buckets = _within_budget(plans[row], sizes, len(whole.occupied), request)
            if buckets is None:
                reach[row] *= 2
                continue
            taken[row] = self._select(records, buckets, probings[row], codes.fine[row], request)
        return taken

    def _select(
        self,
        records: Records,
        buckets: NDArray[np.intp],
        probing: Probing,
        fine: NDArray[np.uint8],
        request: SearchRequest,
    ) -> _Selection:
        chosen = np.zeros(len(probing.hamming), np.bool_)
        chosen[buckets] = True
        rows = np.flatnonzero(chosen[records.bucket])
        winners = rank_records(records, rows, fine, probing.hamming, request.rank, request.k)
        radius = probing.complete_radius(buckets, self._layout.coarse_bits)
        return _Selection(
            winners,
            candidates=len(rows),
            buckets=len(buckets),
            complete_radius=radius,
            exact=len(buckets) == len(probing.hamming) or winners.proven(request.k, request.rank, radius),
        )

    def _directories(self) -> _Map:
        found = self._map
        if found is None:
            found = self._map = _Map([shard.directory() for shard in self._shards])
        return found

    def _read(self, whole: _Map, wanted: NDArray[np.intp]) -> Records | None:
        """Read buckets, given as positions in the map, from every shard that has them."""
        parts = []
        for shard, directory in zip(self._shards, whole.shards, strict=True):
            mine = wanted[np.isin(whole.occupied[wanted], directory.occupied, assume_unique=True)]
            coarse = whole.occupied[mine]
            logs = shard.read(directory, coarse)
            if logs is None:
                return None
            parts.append(Records.parse(logs, mine.astype(np.int64), self._layout, shard.keys, coarse))
        return Records.concatenate(parts)

    def _name(self, taken: dict[int, _Selection], request: SearchRequest) -> dict[int, Hit]:
        """Look up the winners' ids; a query of which one is no longer there is left out."""
        if not taken:
            return {}
        shards = np.concatenate([selection.winners.shard for selection in taken.values()])
        numbers = np.concatenate([selection.winners.number for selection in taken.values()])
        names: dict[tuple[int, int], tuple[ItemId | None, Payload | None]] = {}
        for position, shard in enumerate(self._shards):
            mine = np.unique(numbers[shards == position])
            for number, item, payload in zip(mine.tolist(), *shard.names(mine, request.payloads), strict=True):
                names[position, number] = (item, payload)
        hits = {}
        for row, selection in taken.items():
            places = zip(selection.winners.shard.tolist(), selection.winners.number.tolist(), strict=True)
            found = [names[place] for place in places]
            ids = [item for item, _ in found if item is not None]
            if len(ids) == len(found):
                hits[row] = selection.hit(ids, [payload for _, payload in found] if request.payloads else None)
        return hits


class _Map:
    """The directories of all shards, and the coarse codes that are occupied in any of them, ascending."""

    def __init__(self, shards: list[Directory]) -> None:
        self.shards = shards
        self.occupied = np.unique(np.concatenate([shard.occupied for shard in shards]))
        self.live = sum(shard.live for shard in shards)

    def first_reach(self, request: SearchRequest) -> int:
        """How many buckets to read at first for a budget of candidates."""
        mean = max(self.live / max(len(self.occupied), 1), 1.0)
        return int(_PREFETCH * (request.candidates or 0) / mean) + 4


@dataclass(frozen=True, eq=False)
class _Selection:
    winners: Winners
    candidates: int
    buckets: int
    complete_radius: int
    exact: bool

    def hit(self, ids: list[ItemId], payloads: list[Payload | None] | None) -> Hit:
        return Hit(
            ids, self.winners.distances, payloads, self.candidates, self.buckets, self.complete_radius, self.exact
        )


def _plan(probing: Probing, reach: int, request: SearchRequest) -> NDArray[np.intp]:
    """Positions of the buckets to read for one query."""
    if request.exact:
        return np.arange(len(probing.hamming))
    if request.radius is not None:
        return probing.within(request.radius)
    return probing.nearest(reach if request.probes is None else request.probes)


def _within_budget(
    plan: NDArray[np.intp], sizes: NDArray[np.intp], occupied: int, request: SearchRequest
) -> NDArray[np.intp] | None:
    """The part of the plan that the budget takes, or None where the plan does not reach far enough."""
    if request.candidates is None:
        return plan
    held = np.cumsum(sizes[plan])
    if len(plan) and held[-1] >= request.candidates:
        return plan[: int(np.searchsorted(held, request.candidates)) + 1]
    return plan if len(plan) == occupied else None


def _wait(lost: int) -> None:
    if lost >= ATTEMPTS:
        raise StoreUnavailable(
            f"the index changed under {lost} attempts to search it; "
            "search with a smaller budget, or write in smaller batches"
        )
    if lost > 2:
        time.sleep(random.uniform(0, min(0.001 * lost, 0.02)))
