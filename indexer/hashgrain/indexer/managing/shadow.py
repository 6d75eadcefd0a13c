"""A shadow of the searches: a sample of them is searched for exhaustively in the background, to know their recall.

What a budget finds depends on the queries that come, and on what has been written since it was chosen; so it is
measured by these. A sampled query waits in a bounded queue for a thread that reads the whole index in small steps;
where that is not quick enough, queries are let go, and counted. Kept buckets are neither used nor disturbed.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.layout import CodeLayout, HashCodes
from hashgrain.indexer.request import SearchRequest
from hashgrain.indexer.results import Hit
from hashgrain.indexer.searching.exhaustive import nearest_distances
from hashgrain.indexer.searching.search import Searcher
from hashgrain.indexer.stored.shard import Shard

WAITING = 64
"""Sampled queries that may wait at a time; they are searched for together."""

REST = 9
"""Times as long as the thread has worked does it rest: it takes a tenth of a core's time at most."""

_Z = 1.959964  # of a standard normal distribution, 95 % lies within so many deviations


@dataclass(frozen=True)
class ShadowStats:
    """What the sample says, since the index was opened.

    Attributes:
        share: of the queries that is sampled.
        queries: how many were asked of which some are sampled (not those of an exhaustive search, or of all within a
            distance).
        sampled: how many were drawn.
        compared: how many of these were searched for exhaustively.
        dropped: how many were not, as others waited.
        failed: how many could not be: the index was switched, dropped or out of reach.
        recall: mean over those compared of the share of their answers that is as near as the k nearest of all, ties as
            right; None before there is one.
        low, high: 95 % confidence interval of it (Wilson's for so many yes-or-no answers of the same mean; the recalls
            of queries vary less).
        recalls: the sum of the recalls, for who adds up the figures of several searchers.
        error: why the last one failed.
    """

    share: float
    queries: int = 0
    sampled: int = 0
    compared: int = 0
    dropped: int = 0
    failed: int = 0
    recalls: float = 0.0
    error: str | None = None

    @property
    def recall(self) -> float | None:
        """See above."""
        return self.recalls / self.compared if self.compared else None

    @property
    def low(self) -> float | None:
        """See above."""
        return self._bound(-1)

    @property
    def high(self) -> float | None:
        """See above."""
        return self._bound(+1)

    def _bound(self, side: int) -> float | None:
        """E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 1927."""
        if self.recall is None:
            return None
        n, mean, square = self.compared, self.recall, _Z * _Z
        half = _Z * math.sqrt(mean * (1 - mean) / n + square / (4 * n * n))
        return min(max((mean + square / (2 * n) + side * half) / (1 + square / n), 0.0), 1.0)


@dataclass(frozen=True, eq=False)
class _Sampled:
    """A query that waits: what was asked, and what was answered; None where that is to be found out."""

    shards: Sequence[Shard]
    codes: HashCodes
    request: SearchRequest
    distances: NDArray[np.uint16] | None


class Shadow:
    """Samples searches, and searches again; threads may share it.

    Args:
        share: of the queries, more than 0, 1 at most.

    Raises:
        InvalidInput: `share` is something else.
    """

    def __init__(self, share: float) -> None:
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
            raise InvalidInput(f"shadow is the share of searches to sample, above 0 and 1 at most, got {share!r}")
        self._stats = ShadowStats(float(share))
        self._random = random.Random()
        self._waiting: deque[_Sampled] = deque()
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        self._closed = False

    def offer(self, shards: Sequence[Shard], codes: HashCodes, request: SearchRequest, hits: Sequence[Hit]) -> None:
        """Draw some of the queries that were just answered; does not wait."""
        if request.exact or request.within is not None or request.collapse is not None:  # its k are not the nearest
            return
        share = self._stats.share
        drawn = [n for n in range(len(hits)) if self._random.random() < share]
        with self._changed:
            room = max(WAITING - len(self._waiting), 0)
            for n in drawn[:room]:
                distances = hits[n].distances if request.refine is None else None
                self._waiting.append(_Sampled(shards, codes[n : n + 1], request, distances))
            self._count(queries=len(hits), sampled=len(drawn), dropped=max(len(drawn) - room, 0))
            if self._waiting and self._worker is None:
                self._closed = False
                self._worker = threading.Thread(target=self._work, name="hashgrain-shadow", daemon=True)
                self._worker.start()
            self._changed.notify()

    def stats(self) -> ShadowStats:
        """What is known now."""
        with self._changed:
            return self._stats

    def close(self) -> None:
        """End the thread; queries that wait are let go."""
        with self._changed:
            self._closed = True
            worker = self._worker
            self._changed.notify()
        if worker is not None:
            worker.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    self._count(dropped=len(self._waiting))
                    self._waiting.clear()
                    self._worker = None
                    return
                shards = self._waiting[0].shards
                some = [one for one in self._waiting if one.shards is shards]
                self._waiting = deque(one for one in self._waiting if one.shards is not shards)
            begun = time.monotonic()
            try:
                recalls = self._recalls(shards, some)
            except Exception as exc:  # whatever it is: searches go on, and so does the next sample
                with self._changed:
                    self._count(failed=len(some))
                    self._stats = replace(self._stats, error=str(exc))
            else:
                with self._changed:
                    self._count(compared=len(some), recalls=sum(recalls))
            with self._changed:
                self._changed.wait_for(lambda: self._closed, REST * (time.monotonic() - begun))

    def _recalls(self, shards: Sequence[Shard], some: Sequence[_Sampled]) -> list[float]:
        layout = shards[0].header.layout
        found = [_distances(one, shards, layout) for one in some]
        asked = [(one.codes, one.request) for one in some]
        best = nearest_distances(shards, layout, asked, lambda: self._closed)
        return [tie_aware_recall(mine, nearest) for mine, nearest in zip(found, best, strict=True)]

    def _count(self, **more: float) -> None:
        now = {name: getattr(self._stats, name) + value for name, value in more.items()}
        self._stats = replace(self._stats, **now)


def tie_aware_recall(found: NDArray[np.integer], nearest: NDArray[np.integer]) -> float:
    """The share of an answer that is as near as the k nearest of all: any item at the k-th distance is right.

    Args:
        found: distances of the answer.
        nearest: of the k nearest of all (or of as many as there are). An item that has come meanwhile may be nearer.
    """
    if not len(nearest):
        return 1.0
    return min(int((found <= nearest.max()).sum()) / len(nearest), 1.0)


def _distances(one: _Sampled, shards: Sequence[Shard], layout: CodeLayout) -> NDArray[np.uint16]:
    """Of the answer; of a refined one, of the same without that: the best by margins need not be the nearest."""
    if one.distances is not None:
        return one.distances
    request = replace(one.request, refine=None, payloads=False, explain=False, deadline=None)
    return Searcher(shards, layout).search(one.codes, request)[0].distances
