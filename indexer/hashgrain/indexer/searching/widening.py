"""A search whose answers lie apart, continued until there are enough of them.

How many candidates are left out is not known before they are read: a crowd of equal codes may be all that the budget
brings. So where fewer than k are left, the search is done again with four times the budget `candidates`, until there
are k or all was read. Other budgets say where to look, and are kept to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import monotonic

import numpy as np

from hashgrain.codes.errors import StoreUnavailable
from hashgrain.codes.layout import HashCodes
from hashgrain.indexer.request import WIDENED, SearchRequest
from hashgrain.indexer.results import Hit


def widened(
    search: Callable[[HashCodes, SearchRequest], list[Hit]], codes: HashCodes, request: SearchRequest
) -> list[Hit]:
    """Answer every query, in order.

    Args:
        search: answers queries with the budget that it is given.
        codes: queries.
        request: what is asked. Of an answer that its deadline cuts short the best so far is given, marked partial.
    """
    over = None if request.deadline is None else monotonic() + request.deadline
    hits = search(codes, request)
    while request.collapse is not None and request.candidates is not None:
        short = [n for n, hit in enumerate(hits) if len(hit) < request.k and not hit.exact and not hit.partial]
        if not short:
            break
        request = replace(request, candidates=WIDENED * request.candidates)
        for n, hit in zip(short, _again(search, codes[np.array(short)], request, over), strict=True):
            hits[n] = replace(hits[n], partial=True) if hit is None else hit
    return hits


def _again(
    search: Callable[[HashCodes, SearchRequest], list[Hit]],
    codes: HashCodes,
    request: SearchRequest,
    over: float | None,
) -> list[Hit] | list[None]:
    """The answers, or nothing where the time is over."""
    if over is None:
        return search(codes, request)
    left = over - monotonic()
    if left > 0:
        try:
            return search(codes, replace(request, deadline=left))
        except StoreUnavailable:
            if monotonic() < over:
                raise
    return [None] * len(codes)
