"""SearchRequest: one budget, values in range."""

from __future__ import annotations

from typing import Any

import pytest

from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer import Rank, SearchRequest
from hashgrain.indexer.request import RANKS


@pytest.mark.parametrize(("k", "candidates"), [(10, 4096), (5000, 5000)])
def test_without_a_budget_there_are_candidates_enough_for_k(k: int, candidates: int) -> None:
    assert SearchRequest(k).candidates == candidates


def test_there_are_candidates_enough_to_refine() -> None:
    assert SearchRequest(10, refine=6000).candidates == 6000


@pytest.mark.parametrize("budget", [{"probes": 3}, {"radius": 0}, {"within": 0}, {"exact": True}])
def test_another_budget_takes_the_place_of_candidates(budget: dict[str, Any]) -> None:
    assert SearchRequest(10, **budget).candidates is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k must be an integer of 1 or more, got 0"),
        ({"k": None}, "k must be an integer of 1 or more, got None"),
        ({"k": 2.0}, "k must be an integer"),
        ({"k": True}, "k must be an integer"),
        ({"rank": "best"}, "rank must be one of total, fine, coarse, got 'best'"),
        ({"candidates": 0}, "candidates must be an integer of 1 or more"),
        ({"probes": -1}, "probes must be an integer of 1 or more"),
        ({"radius": -1}, "radius must be an integer of 0 or more"),
        ({"exact": 1}, "exact must be True or False"),
        ({"payloads": "yes"}, "payloads must be True or False"),
        ({"within": -1}, "within must be an integer of 0 or more"),
        ({"refine": 2.5}, "refine must be an integer of 1 or more"),
        ({"refine": 9}, "refine orders the best 9 again, but k is 10"),
        ({"deadline": 0}, "deadline must be a positive number of seconds, got 0"),
        ({"deadline": float("nan")}, "deadline must be a positive number of seconds, got nan"),
        ({"deadline": float("inf")}, "deadline must be a positive number of seconds, got inf"),
        ({"deadline": True}, "deadline must be a positive number of seconds, got True"),
        ({"deadline": "soon"}, "deadline must be a positive number of seconds, got 'soon'"),
        ({"within": 5, "exact": True}, "within and exact each say how far to look"),
        ({"within": 5, "radius": 5}, "radius and within each say how far to look"),
        ({"candidates": 5, "probes": 5}, "candidates and probes each say how far to look"),
        ({"radius": 5, "exact": True}, "radius and exact each say how far to look"),
    ],
)
def test_what_cannot_be_asked_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        SearchRequest(**arguments)


@pytest.mark.parametrize("rank", RANKS)
def test_every_ranking_can_be_asked_for_what_is_within_a_distance(rank: Rank) -> None:
    assert SearchRequest(10, rank, within=3).within == 3
