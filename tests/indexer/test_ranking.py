"""Stage two by itself: which candidates count, and in which order they come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.indexer import SearchRequest
from hashgrain.indexer.loops import NOTHING_UNREAD
from hashgrain.indexer.searching.queries import Queries
from hashgrain.indexer.searching.ranking import Winners, rank_candidates
from hashgrain.indexer.searching.spans import Candidates, Span
from made_records import records_of

LAYOUT = CodeLayout(8, 32)


def winners_of(request: SearchRequest, handles: list[int]) -> Winners:
    """The winners among items of the fine distances 1, 0, 3, 2 and the coarse 0, 2, 0, 1."""
    coarse = np.array([0b0, 0b11, 0b0, 0b1], np.uint32)
    fine = np.array([[0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 7], [0, 0, 0, 3]], np.uint8)
    span = Span.of(np.arange(2), records_of(np.array([0, 0, 0, 1]), np.array(handles), coarse, fine), LAYOUT)
    candidates = Candidates.of(span.buckets, np.zeros(1, np.int64), np.full(1, 2), [span])
    query = HashCodes(np.zeros((1, 1), np.uint8), np.zeros((1, 4), np.uint8))
    found = rank_candidates(candidates, Queries.of(query, LAYOUT, request.rank), request)
    held = found.held[0]
    assert span.handle[found.row[0, :held]].tolist() == found.handle[0, :held].tolist()
    assert found.bucket[0, :held].tolist() == (found.row[0, :held] == 3).tolist()
    return found


def ranked(request: SearchRequest, handles: list[int]) -> list[tuple[int, int]]:
    """Handle and distance of each of them."""
    found = winners_of(request, handles)
    held = found.held[0]
    return list(zip(found.handle[0, :held].tolist(), found.distances[0, :held].tolist(), strict=True))


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"k": 4}, [(10, 1), (11, 2), (13, 3), (12, 3)]),
        ({"k": 3}, [(10, 1), (11, 2), (13, 3)]),
        ({"k": 4, "rank": "fine"}, [(11, 0), (10, 1), (13, 2), (12, 3)]),
        ({"k": 4, "rank": "coarse"}, [(10, 0), (12, 0), (13, 1), (11, 2)]),
        ({"k": 4, "within": 2}, [(10, 1), (11, 2)]),
        ({"k": 1, "within": 2}, [(10, 1)]),
        ({"k": 4, "within": 0}, []),
        ({"k": 4, "within": 1, "rank": "coarse"}, [(10, 0), (12, 0), (13, 1)]),
        ({"k": 4, "within": 1, "rank": "fine"}, [(11, 0), (10, 1)]),
        ({"k": 1, "refine": 2}, [(10, 1), (11, 2)]),
    ],
    ids=str,
)
def test_the_best_come_by_distance_then_fine_distance(asked: dict[str, Any], wanted: list[tuple[int, int]]) -> None:
    assert ranked(SearchRequest(**asked), [10, 11, 12, 13]) == wanted


@pytest.mark.parametrize("handles", [[5, 9, 2, 7], [5, 1 << 61, -2, 7], [(1 << 32) - 1, 3, 4, 0]])
def test_of_equal_items_the_smaller_handle_comes_first(handles: list[int]) -> None:
    span = Span.of(
        np.arange(1),
        records_of(np.zeros(4, np.int64), np.array(handles), np.zeros(4, np.uint32), np.zeros((4, 4), np.uint8)),
        LAYOUT,
    )
    candidates = Candidates.of(span.buckets, np.zeros(1, np.int64), np.ones(1, np.int64), [span])
    query = HashCodes(np.zeros((1, 1), np.uint8), np.zeros((1, 4), np.uint8))
    for k in (1, 2, 3, 4, 5):
        found = rank_candidates(candidates, Queries.of(query, LAYOUT, "total"), SearchRequest(k))
        assert found.handle[0].tolist() == sorted(handles)[:k]


@pytest.mark.parametrize(
    ("asked", "last"),
    [
        ({"k": 2}, 2),
        ({"k": 4}, 3),
        ({"k": 5}, NOTHING_UNREAD - 1),  # any other item could be the fifth
        ({"k": 4, "rank": "coarse"}, 2),
        ({"k": 1, "refine": 2}, 2),  # the second could come before the first
        ({"k": 1, "refine": 5}, NOTHING_UNREAD - 1),
        ({"k": 2, "within": 9}, 2),
        ({"k": 5, "within": 9}, 9),
        ({"k": 3, "within": 2}, 2),
        ({"k": 3, "within": 0}, 0),
        ({"k": 5, "within": 10**20}, NOTHING_UNREAD - 1),
    ],
    ids=str,
)
def test_winners_say_up_to_which_distance_another_item_could_change_them(asked: dict[str, Any], last: int) -> None:
    """The items are at the total distances 1, 2, 3 and 3, and at the coarse distances 0, 0, 1 and 2."""
    assert winners_of(SearchRequest(**asked), [10, 11, 12, 13]).last.tolist() == [last]
