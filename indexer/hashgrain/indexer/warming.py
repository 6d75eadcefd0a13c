"""Compile, or load from where compiled code is kept, all that a search calls: once for each process and fine code."""

from __future__ import annotations

from functools import cache

import numpy as np

from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.occupancy import Occupancy
from hashgrain.indexer.probing import Probing, unit_weights
from hashgrain.indexer.ranking import rank_candidates
from hashgrain.indexer.records import Records
from hashgrain.indexer.request import SearchRequest
from hashgrain.indexer.spans import Candidates, Span


@cache
def warm_up(layout: CodeLayout) -> None:
    """Answer a query by hand from two buckets, so that no later one of this layout has to wait for the compiler."""
    occupancy = Occupancy(np.arange(2, dtype=np.uint32), layout.coarse_bits)
    probing = Probing(occupancy, 0, unit_weights(layout.coarse_bits))
    nearest = probing.nearest(1)
    probing.complete_radius(nearest)
    none = np.empty(0, np.int64)
    span = Span.of(occupancy.everywhere, Records(none, none, np.empty((0, layout.fine_bytes), np.uint8)))
    query = np.zeros(layout.fine_bytes, np.uint8)
    rank_candidates(Candidates.of(nearest, [span]), occupancy.codes, query, 0, SearchRequest(1))
