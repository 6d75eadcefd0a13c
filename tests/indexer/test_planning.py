"""What one reading takes: the budget's buckets, or the nearest of them where it may not take all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgrain.codes import CodeLayout
from hashgrain.indexer import SearchRequest
from hashgrain.indexer.request import RANKS
from hashgrain.indexer.searching.planning import FIRST_STEP, Plan, reach_of
from hashgrain.indexer.searching.probing import Probing
from hashgrain.indexer.searching.queries import Queries
from hashgrain.indexer.searching.spans import Candidates
from made_buckets import MadeBuckets, made_buckets
from random_codes import random_codes

LAYOUT = CodeLayout(8, 32)

BUDGETS = st.one_of(
    st.just({"exact": True}),
    st.fixed_dictionaries({"candidates": st.integers(1, 60)}),
    st.fixed_dictionaries({"probes": st.integers(1, 40)}),
    st.fixed_dictionaries({"radius": st.integers(0, 8)}),
    st.fixed_dictionaries({"within": st.integers(0, 40)}),
)


def taken(made: MadeBuckets, probing: Probing, reach: int, request: SearchRequest) -> list[tuple[list[int], bool]]:
    """For each query, the buckets that one reading gives it, and whether these are all."""
    plan = Plan.of(probing, reach, request)
    wanted = plan.union(probing)
    candidates = Candidates.of(plan.buckets, plan.begin, plan.end, made.spans(wanted), request.candidates)
    parts = zip(candidates.begin.tolist(), candidates.end.tolist(), strict=True)
    buckets = [candidates.buckets[begin:end].tolist() for begin, end in parts]
    assert {bucket for mine in buckets for bucket in mine} <= set(wanted.tolist())
    return list(zip(buckets, plan.met(candidates, request), strict=True))


@settings(deadline=None)
@given(
    BUDGETS,
    st.sampled_from(RANKS),
    st.lists(st.integers(1, 12), min_size=1, max_size=3),
    st.integers(1, 9),
    st.integers(0, 2**32),
)
def test_growing_readings_end_with_the_buckets_of_a_single_one(
    budget: dict[str, Any], rank: Any, buckets: list[int], first: int, seed: int
) -> None:
    """Every reading before the last takes as many as it may, the nearest first."""
    request = SearchRequest(3, rank, deadline=1.0, **budget)
    made = made_buckets(LAYOUT, 80, buckets, seed)
    probing = Probing(made.whole, Queries.of(random_codes(3, LAYOUT, seed + 2), LAYOUT, rank))
    wanted = taken(made, probing, 1 << 40, request)
    assert all(met for _, met in wanted)
    order = probing.nearest(sum(buckets)).tolist()
    for query in range(3):
        nearest = [bucket for bucket in order[query] if bucket in wanted[query][0]]
        reach = first
        while True:
            mine, met = taken(made, probing, reach, request)[query]
            if met:
                break
            assert mine == nearest[:reach]
            reach *= 4
        assert sorted(mine) == sorted(nearest)


@pytest.mark.parametrize("rank", RANKS)
def test_a_budget_of_candidates_or_probes_takes_the_nearest_in_order(rank: Any) -> None:
    made = made_buckets(LAYOUT, 80, [9, 8], 1)
    probing = Probing(made.whole, Queries.of(random_codes(2, LAYOUT, 3), LAYOUT, rank))
    order = probing.nearest(17).tolist()
    sizes = np.bincount(made.bucket, minlength=17)
    for query in range(2):
        mine, _ = taken(made, probing, 1 << 40, SearchRequest(3, rank, probes=5))[query]
        assert mine == order[query][:5]
        mine, _ = taken(made, probing, 1 << 40, SearchRequest(3, rank, candidates=30))[query]
        assert mine == order[query][: len(mine)]
        assert sizes[mine].sum() >= 30 > sizes[mine[:-1]].sum()


def test_what_all_queries_take_is_read_once() -> None:
    made = made_buckets(LAYOUT, 80, [9, 8], 1)
    probing = Probing(made.whole, Queries.of(random_codes(5, LAYOUT, 3), LAYOUT, "total"))
    everything = Plan.of(probing, 1 << 40, SearchRequest(3, exact=True))
    assert everything.buckets is probing.everywhere
    assert everything.union(probing) is probing.everywhere
    some = Plan.of(probing, 1 << 40, SearchRequest(3, probes=4))
    assert some.union(probing).tolist() == sorted(set(probing.nearest(4).ravel().tolist()))


def test_a_query_may_take_no_bucket_at_all() -> None:
    made = made_buckets(LAYOUT, 3, [2], 1, astray=0.0)
    probing = Probing(made.whole, Queries.of(random_codes(1, LAYOUT, 3, flips=0.5), LAYOUT, "total"))
    least = int(probing.unread(np.arange(0), np.zeros(1, np.int64), np.zeros(1, np.int64), np.full(1, -1))[1, 0])
    assert least > 0
    assert taken(made, probing, 1 << 40, SearchRequest(3, within=least - 1)) == [([], True)]
    assert taken(made, probing, 1 << 40, SearchRequest(3, within=least))[0][0]


@pytest.mark.parametrize("budget", [{"exact": True}, {"probes": 9}, {"radius": 9}, {"within": 9}])
def test_without_a_deadline_one_reading_takes_all(budget: dict[str, Any]) -> None:
    assert reach_of(0, 10**9, 10**6, SearchRequest(3, **budget)) >= 1 << 24
    assert reach_of(0, 10**9, 10**6, SearchRequest(3, deadline=1.0, **budget)) < 10


def test_the_first_reading_is_to_meet_a_budget_of_candidates_by_the_mean_bucket() -> None:
    assert reach_of(0, 10_000, 100, SearchRequest(3, candidates=2000)) == 22 + 2
    assert reach_of(0, 0, 1, SearchRequest(3, candidates=2)) == 2 + 2
    assert reach_of(2, 10_000, 100, SearchRequest(3, candidates=2000)) == 4 * (22 + 2)
    assert reach_of(10**6, 10_000, 100, SearchRequest(3, candidates=2000)) >= 1 << 24


def test_a_deadline_shortens_the_first_reading_but_never_lengthens_it() -> None:
    short = {"candidates": FIRST_STEP // 2}
    assert reach_of(0, 0, 1, SearchRequest(3, **short)) == reach_of(0, 0, 1, SearchRequest(3, deadline=1.0, **short))
    long = SearchRequest(3, candidates=FIRST_STEP * 8, deadline=1.0)
    assert reach_of(0, 0, 1, long) == reach_of(0, 0, 1, SearchRequest(3, candidates=FIRST_STEP))


def test_a_filter_is_read_for_by_what_it_left_of_the_last_reading() -> None:
    request = SearchRequest(3, candidates=2000, filter={"n": 1})
    assert reach_of(0, 10_000, 100, request) == int(1.1 * 24), "nothing is known of it"
    assert reach_of(0, 10**6, 10**4, request, 0.25) == int(1.1 * 4 * 24)
    assert reach_of(0, 10**9, 10**7, request, 0.001) == 128 * 24, "not much farther than one sees"
    assert reach_of(1, 10**9, 10**7, request, 0.001) == int(1.1 * 1000 * 24), "so many were left of this query's own"
    assert reach_of(1, 10**9, 10**7, request, 1.0) == reach_of(1, 10**9, 10**7, request, 0.5) == 4 * 24
    assert reach_of(0, 10**6, 10**4, request, 0.001) >= 1 << 24, "so few match in all"
    late = SearchRequest(3, candidates=2000, filter={"n": 1}, deadline=1.0)
    assert reach_of(0, 10**6, 10**4, late, 0.001) < 24, "a first answer is to be there early"
    grown = [reach_of(step, 10**9, 10**7, request, 0.001) for step in range(40)]
    assert sorted(grown) == grown
    assert grown[-1] >= 1 << 24, "in the end everything is read"
