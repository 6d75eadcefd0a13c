"""The nearest of the whole index, found in the background: bucket after bucket, in steps that hold nobody up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import StoreUnavailable
from hashgrain.codes.layout import CodeLayout, HashCodes
from hashgrain.indexer.request import SearchRequest
from hashgrain.indexer.searching.queries import Queries
from hashgrain.indexer.searching.ranking import rank_candidates
from hashgrain.indexer.searching.spans import Candidates, Span
from hashgrain.indexer.stored.fields import fields_of
from hashgrain.indexer.stored.records import Records
from hashgrain.indexer.stored.shard import Shard

_AT_ONCE = 64  # buckets: some hundred kilobytes, a fraction of a millisecond of the server's time
_ATTEMPTS = 20


def nearest_distances(
    shards: Sequence[Shard],
    layout: CodeLayout,
    asked: Sequence[tuple[HashCodes, SearchRequest]],
    stopped: Callable[[], bool] = lambda: False,
) -> list[NDArray[np.int64]]:
    """For each of some queries, the distances of its k nearest items of all that match its filter, ascending.

    Not of one moment: each step is. Everything is read once for all queries, in bounded memory.

    Args:
        shards, layout: of the index.
        asked: one query each, and what was asked; its budgets do not count.
        stopped: asked between steps; the answer is of no use once it says so.

    Raises:
        StoreUnavailable: writers changed the partition under every attempt, or it was stopped.
        IndexMissing, IndexCorrupt.
    """
    requests = [SearchRequest(request.k, request.rank, exact=True, filter=request.filter) for _, request in asked]
    queries = [Queries.of(codes, layout, request.rank) for (codes, _), request in zip(asked, requests, strict=True)]
    best = [np.empty(0, np.int64) for _ in asked]
    for shard in shards:
        of_shard = _of_shard(shard, layout, queries, requests, stopped)
        for n, request in enumerate(requests):
            best[n] = np.sort(np.concatenate([best[n], of_shard[n]]))[: request.k]
    return best


def _of_shard(
    shard: Shard,
    layout: CodeLayout,
    queries: Sequence[Queries],
    requests: Sequence[SearchRequest],
    stopped: Callable[[], bool],
) -> list[NDArray[np.int64]]:
    """The same for one shard, begun anew where its partition changes."""
    for _ in range(_ATTEMPTS):
        directory = shard.directory()
        best = [np.empty(0, np.int64) for _ in queries]
        for start in range(0, len(directory.partition), _AT_ONCE):
            if stopped():
                raise StoreUnavailable("the index was closed while it was read in the background")
            numbers = np.arange(start, min(start + _AT_ONCE, len(directory.partition)))
            stored = shard.read(directory, numbers)
            if stored is None:
                break
            widths = directory.partition.handle_bytes[numbers]
            records = Records.parse(stored, widths, numbers, layout, shard.keys)
            span = Span.of(np.arange(len(numbers)), records, layout)
            for n, (query, request) in enumerate(zip(queries, requests, strict=True)):
                best[n] = np.sort(np.concatenate([best[n], _of_span(span, layout, query, request)]))[: request.k]
        else:
            return best
    raise StoreUnavailable(
        f"writers changed the partition of index {shard.keys.name!r} under {_ATTEMPTS} attempts to read all of it"
    )


def _of_span(span: Span, layout: CodeLayout, query: Queries, request: SearchRequest) -> NDArray[np.int64]:
    if request.by is not None:
        span = span.filtered(span.buckets, partial(request.by.mask, fields=fields_of(layout)))
    whole = np.array([len(span.buckets)])
    winners = rank_candidates(Candidates.of(span.buckets, whole - whole, whole, [span]), query, request)
    return winners.distances[0, : int(winners.held[0])].astype(np.int64)
