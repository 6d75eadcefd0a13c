"""What an answer proves, and what it says of its price."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgrain.codes import CodeLayout
from hashgrain.indexer import SearchRequest
from hashgrain.indexer.request import RANKS
from hashgrain.indexer.searching.planning import Plan
from hashgrain.indexer.searching.probing import Probing
from hashgrain.indexer.searching.queries import Queries
from hashgrain.indexer.searching.selection import Selection
from hashgrain.indexer.searching.spans import Candidates
from made_buckets import MadeBuckets, made_buckets
from random_codes import random_codes


def selected(made: MadeBuckets, seed: int, request: SearchRequest) -> Selection:
    queries = Queries.of(random_codes(4, made.layout, seed, flips=0.02), made.layout, request.rank)
    probing = Probing(made.whole, queries)
    plan = Plan.of(probing, 1 << 40, request)
    spans = made.spans(plan.union(probing))
    candidates = Candidates.of(plan.buckets, plan.begin, plan.end, spans, request.candidates)
    return Selection.of(candidates, probing, queries, request, made.layout)


@settings(deadline=None)
@given(
    st.sampled_from(RANKS),
    st.one_of(
        st.fixed_dictionaries({"probes": st.integers(1, 12)}),
        st.fixed_dictionaries({"candidates": st.integers(1, 40)}),
        st.fixed_dictionaries({"radius": st.integers(0, 8)}),
        st.fixed_dictionaries({"within": st.integers(0, 20)}),
    ),
    st.lists(st.integers(1, 8), min_size=1, max_size=3),
    st.integers(0, 2**32),
)
def test_what_is_proven_is_what_reading_everything_gives(
    rank: Any, budget: dict[str, int], buckets: list[int], seed: int
) -> None:
    made = made_buckets(CodeLayout(12, 64), 70, buckets, seed)
    found = selected(made, seed, SearchRequest(3, rank, **budget))
    whole = selected(made, seed, SearchRequest(3, rank, exact=True))
    within = budget.get("within", 1 << 16)
    for query in range(4):
        assert whole.exact[query]
        assert whole.complete_radius[query] == 12
        hit = found.hit(query, list(range(found.winners.held[query])), None, partial=False)
        begin, end = found.candidates.begin[query], found.candidates.end[query]
        read = found.candidates.buckets[begin:end]
        assert (hit.buckets, hit.candidates) == (len(read), int(np.isin(made.bucket, read).sum()))
        if found.exact[query] or "within" in budget:
            held = int((whole.winners.distances[query, : whole.winners.held[query]] <= within).sum())
            for column in ("distances", "handle", "shard"):
                mine = getattr(found.winners, column)[query, : found.winners.held[query]]
                assert mine.tolist() == getattr(whole.winners, column)[query, :held].tolist()


def test_some_answers_are_proven_without_reading_everything() -> None:
    """Where the buckets are tidy; else the test above would say nothing of them."""
    layout = CodeLayout(16, 64)
    made = made_buckets(layout, 3, [3] * 3, 4)
    found = selected(made, 4, SearchRequest(1, probes=5))
    assert any(found.exact)
    assert all(radius < layout.coarse_bits for radius in found.complete_radius)
