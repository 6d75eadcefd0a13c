"""Which rows of a span are those of a query's buckets, and how many of the buckets its budget takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.loops.compiled import compiled


@compiled
def locate(
    buckets: NDArray[np.int64],
    start: NDArray[np.int64],
    count: NDArray[np.int64],
    wanted: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> None:
    """Find some buckets among those of a span.

    Args:
        buckets, start, count: int64 (P,), see `Span`.
        wanted: int64 (n,), buckets in any order.
        rows: int64 (2, n), takes the first row and the number of rows of each, 0 rows of one that is not there.
    """
    for n in range(len(wanted)):
        at = wanted[n] - buckets[0] if len(buckets) else 0  # where no bucket between is left out
        if at < 0 or at >= len(buckets) or buckets[at] != wanted[n]:
            at, left = 0, len(buckets)
            while left > 1:  # a binary search whose steps the processor need not guess
                half = left // 2
                at += half if buckets[at + half - 1] < wanted[n] else 0
                left -= half
        there = at < len(buckets) and buckets[at] == wanted[n]
        rows[0, n] = start[at] if there else 0
        rows[1, n] = count[at] if there else 0


@compiled
def spend_each(
    sizes: NDArray[np.int64],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    budget: int,
    taken: NDArray[np.int64],
    records: NDArray[np.int64],
) -> None:
    """Take of each query's buckets the first that hold as many records as the budget, or all.

    Args:
        sizes: int64 (P,), how many records each bucket has.
        begin, end: int64 (Q,), which of the buckets are those of each query.
        budget: how many records are enough.
        taken: int64 (Q,), takes where the buckets end that are taken.
        records: int64 (Q,), takes how many records these have.
    """
    for q in range(len(begin)):
        held, at = 0, begin[q]
        while at < end[q] and held < budget:
            held += sizes[at]
            at += 1
        taken[q], records[q] = at, held
