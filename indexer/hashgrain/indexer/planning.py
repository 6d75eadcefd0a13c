"""Which buckets one reading takes for a query, and how far its budget goes in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.probing import KEY_BITS, Probing
from hashgrain.indexer.request import SearchRequest

FIRST_STEP = 1024
"""Candidates that the first reading is to bring where a deadline is given, so that there is a best so far."""

_STEP_GROWTH = 4  # what one reading gave is read again by the next: in all, a third more than without a deadline
_PREFETCH = 1.5  # buckets read at first, as a multiple of what the mean bucket size suggests
_EVERY = 1 << KEY_BITS


def first_reach(items: int, buckets: int, request: SearchRequest) -> int:
    """How many buckets the first reading may take for a query, in an index of some items in some buckets."""
    if request.deadline is None and request.candidates is None:
        return _EVERY
    wanted = request.candidates or FIRST_STEP
    if request.deadline is not None:
        wanted = min(wanted, FIRST_STEP)
    return int(_PREFETCH * wanted / max(items / max(buckets, 1), 1.0)) + 4


def next_reach(reach: int, request: SearchRequest) -> int:
    """How many the next reading may take, where `reach` did not meet the budget."""
    return reach * (2 if request.deadline is None else _STEP_GROWTH)


@dataclass(frozen=True, eq=False)
class Plan:
    """The buckets that one reading takes for one query.

    Attributes:
        buckets: intp (P,), positions in the order of the occupied buckets; nearest first wherever not all that the
            query may ask for is taken.
        whole: whether the query cannot ask for any bucket beyond these.
    """

    buckets: NDArray[np.intp]
    whole: bool

    @classmethod
    def of(cls, probing: Probing, reach: int, request: SearchRequest) -> Plan:
        """Plan to read at most `reach` buckets."""
        occupied = len(probing)
        if request.candidates is not None:
            return cls(probing.nearest(reach), reach >= occupied)
        if request.probes is not None:
            return cls(probing.nearest(min(request.probes, reach)), min(request.probes, occupied) <= reach)
        radius = request.coarse_radius
        asked = probing.everywhere if radius is None else probing.within(radius)
        if len(asked) <= reach:
            return cls(asked, True)
        return cls(probing.ordered(asked)[:reach], False)

    def spend(self, sizes: NDArray[np.int64], request: SearchRequest) -> tuple[int, bool]:
        """How many of the buckets the budget takes, the first ones, and whether that meets it.

        Args:
            sizes: int64 (P,), live records of each.
            request: what is asked.
        """
        if request.candidates is not None and len(sizes):
            held = sizes.cumsum()
            if held[-1] >= request.candidates:
                return int(held.searchsorted(request.candidates)) + 1, True
        return len(sizes), self.whole
