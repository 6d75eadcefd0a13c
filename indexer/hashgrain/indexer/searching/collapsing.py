"""Stage two of a search whose answers are to lie apart: of items within some bits of each other the best is kept.

Candidates are gone through in the order of the ranking (see `ranking`), and one is left out if a better one that was
not left out lies within the radius, by the distance of the ranking. (The greedy choice of maximal marginal relevance,
Carbonell and Goldstein, SIGIR 1998, with a threshold in the place of a weight.) So what is kept of the first candidates
does not depend on the others, and more and more are ranked until enough of them are kept.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.loops import NOTHING_UNREAD
from hashgrain.indexer.request import SearchRequest
from hashgrain.indexer.searching.queries import Queries
from hashgrain.indexer.searching.ranked_codes import Words, ranked_words
from hashgrain.indexer.searching.ranking import Winners, rank_candidates
from hashgrain.indexer.searching.spans import Candidates

_MORE = 4
"""So many times as many candidates are ranked as are wanted, or as were not enough."""

_COLUMNS = ("distances", "handle", "shard", "row", "bucket")


def collapse_candidates(
    candidates: Candidates, queries: Queries, request: SearchRequest, layout: CodeLayout
) -> Winners:
    """Find, for every query, the `request.depth` best that are near enough and lie apart.

    Args:
        candidates: the rows to compare, by query.
        queries: the queries.
        request: how many, how near, and how far apart.
        layout: the code lengths.
    """
    ranked = _ranked(candidates, queries, request, _MORE * request.depth)
    shape = len(queries), min(request.depth, ranked.handle.shape[1])
    held, last = np.zeros((2, len(queries)), np.int64)
    found = {name: np.zeros(shape, getattr(ranked, name).dtype) for name in _COLUMNS}
    for query in range(len(queries)):
        best, row, kept = _apart(ranked, query, candidates, queries, request, layout)
        held[query] = len(kept)
        last[query] = best.distances[row, kept[-1]] if len(kept) == request.depth else _most(request)
        for name, values in found.items():
            values[query, : len(kept)] = getattr(best, name)[row, kept]
    return Winners(held, last, **found)


def _apart(
    ranked: Winners, query: int, candidates: Candidates, queries: Queries, request: SearchRequest, layout: CodeLayout
) -> tuple[Winners, int, NDArray[np.int64]]:
    """Which of one query's ranked candidates are kept, and in which row they are ranked; ranks more where need be."""
    from hashgrain.indexer.loops.spacing import keep_apart  # loads the compiler: only for those who search

    wanted, row = _MORE * request.depth, query
    kept = np.empty(min(request.depth, int(candidates.records[query])), np.int64)
    while True:
        held = keep_apart(_words(ranked, row, candidates, request, layout), request.collapse or 0, kept)
        if held == len(kept) or int(ranked.held[row]) < wanted:
            return ranked, row, kept[:held]
        wanted *= _MORE
        only = np.array([query], np.intp)
        ranked, row = _ranked(candidates[only], queries[only], request, wanted), 0


def _most(request: SearchRequest) -> int:
    """Up to which distance another item could change an answer that is not full."""
    return NOTHING_UNREAD - 1 if request.within is None else min(request.within, NOTHING_UNREAD - 1)


def _ranked(candidates: Candidates, queries: Queries, request: SearchRequest, depth: int) -> Winners:
    """The best of some queries by the ranking alone."""
    return rank_candidates(candidates, queries, replace(request, k=depth, refine=None))


def _words(ranked: Winners, row: int, candidates: Candidates, request: SearchRequest, layout: CodeLayout) -> Words:
    """The codes of one query's ranked candidates, uint64 (n, W)."""
    held = int(ranked.held[row])
    fine, coarse = np.empty((held, layout.fine_bytes), np.uint8), np.empty(held, np.uint32)
    for number, span in enumerate(candidates.spans):
        mine = np.flatnonzero(ranked.shard[row, :held] == number)
        rows = ranked.row[row, mine]
        fine[mine], coarse[mine] = span.fine[rows], span.coarse[rows]
    return ranked_words(fine, coarse, request.rank, layout)
