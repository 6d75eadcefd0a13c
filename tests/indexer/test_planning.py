"""What one reading takes: the budget's buckets, or the nearest of them where it may not take all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashgrain.indexer import SearchRequest
from hashgrain.indexer.occupancy import Occupancy
from hashgrain.indexer.planning import FIRST_STEP, Plan, first_reach, next_reach
from hashgrain.indexer.probing import Probing, margin_weights

BUDGETS = st.one_of(
    st.just({"exact": True}),
    st.fixed_dictionaries({"candidates": st.integers(1, 60)}),
    st.fixed_dictionaries({"probes": st.integers(1, 40)}),
    st.fixed_dictionaries({"radius": st.integers(0, 8)}),
    st.fixed_dictionaries({"within": st.integers(0, 8)}),
)


@settings(deadline=None)
@given(BUDGETS, st.sets(st.integers(0, 255), max_size=40), st.integers(0, 255), st.integers(1, 9))
def test_growing_readings_end_with_the_buckets_of_a_single_one(
    budget: dict[str, Any], codes: set[int], code: int, reach: int
) -> None:
    """Every reading before the last takes as many as it may, the nearest first."""
    request = SearchRequest(3, deadline=1.0, **budget)
    logits = np.linspace(-1, 1, 8).astype(np.float32)
    occupied = np.array(sorted(codes), np.uint32)
    probing = Probing(Occupancy(occupied, 8), code, margin_weights(logits))
    sizes = np.arange(1, len(occupied) + 1)

    def spent(reach: int) -> tuple[NDArray[np.intp], bool]:
        plan = Plan.of(probing, reach, request)
        count, met = plan.spend(sizes[plan.buckets], request)
        return plan.buckets[:count], met

    wanted, met = spent(1 << 24)
    assert met
    nearest = probing.ordered(wanted).tolist()
    while True:
        taken, met = spent(reach)
        if met:
            break
        assert taken.tolist() == nearest[:reach]
        assert len(taken) == reach
        reach = next_reach(reach, request)
    assert sorted(taken.tolist()) == sorted(wanted.tolist())


@pytest.mark.parametrize("budget", [{"exact": True}, {"probes": 9}, {"radius": 9}, {"within": 9}])
def test_without_a_deadline_one_reading_takes_all(budget: dict[str, Any]) -> None:
    assert first_reach(10**9, 10**6, SearchRequest(3, **budget)) >= 1 << 24
    assert first_reach(10**9, 10**6, SearchRequest(3, deadline=1.0, **budget)) < 10


def test_the_first_reading_is_to_meet_a_budget_of_candidates_by_the_mean_bucket() -> None:
    assert first_reach(10_000, 100, SearchRequest(3, candidates=2000)) == 30 + 4
    assert first_reach(0, 0, SearchRequest(3, candidates=2)) == 3 + 4


def test_a_deadline_shortens_the_first_reading_but_never_lengthens_it() -> None:
    short = SearchRequest(3, candidates=FIRST_STEP // 2)
    assert first_reach(0, 0, short) == first_reach(0, 0, SearchRequest(3, candidates=FIRST_STEP // 2, deadline=1.0))
    long = SearchRequest(3, candidates=FIRST_STEP * 8, deadline=1.0)
    assert first_reach(0, 0, long) == first_reach(0, 0, SearchRequest(3, candidates=FIRST_STEP))
