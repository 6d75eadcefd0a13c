"""Which rows of a span a filter leaves, bucket by bucket."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.loops.compiled import compiled


@compiled
def gather(
    attributes: NDArray[np.uint8], start: NDArray[np.int64], count: NDArray[np.int64], found: NDArray[np.uint8]
) -> None:
    """Copy the rows of some buckets, one bucket after another.

    Args:
        attributes: uint8 (rows, bytes), see `Span`.
        start, count: int64 (P,), the rows of each bucket.
        found: uint8 (sum of count, bytes), takes them.
    """
    at = 0
    for n in range(len(start)):
        for row in range(start[n], start[n] + count[n]):
            for byte in range(found.shape[1]):
                found[at, byte] = attributes[row, byte]
            at += 1


@compiled
def pick(
    kept: NDArray[np.bool_],
    at: NDArray[np.int64],
    start: NDArray[np.int64],
    count: NDArray[np.int64],
    rows: NDArray[np.int64],
    left: NDArray[np.int64],
) -> int:
    """Note the rows that are kept; returns how many these are.

    Args:
        kept: bool, which rows are.
        at: int64 (P,), where in `kept` the rows of each bucket begin.
        start, count: int64 (P,), the rows of each bucket.
        rows: int64 (sum of count,), takes the rows that are kept.
        left: int64 (P,), takes how many of each bucket are.
    """
    held = 0
    for n in range(len(start)):
        first = held
        for row in range(count[n]):
            rows[held] = start[n] + row  # overwritten by the next where it is not kept: no branch to guess
            held += kept[at[n] + row]
        left[n] = held - first
    return held
