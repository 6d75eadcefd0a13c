"""Stage two by itself: which candidates count, and what an answer proves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hashgrain.indexer import SearchRequest
from hashgrain.indexer.ranking import Winners, rank_candidates
from hashgrain.indexer.records import Records
from hashgrain.indexer.spans import Candidates, Span


def ranked(request: SearchRequest) -> list[tuple[int, int]]:
    """Number and distance of the winners among items of the fine distances 1, 0, 3, 2 and the coarse 0, 2, 0, 1."""
    numbers = np.array([10, 12, 13, 11])
    fine = np.array([[0, 0, 0, 1], [0, 0, 0, 7], [0, 0, 0, 3], [0, 0, 0, 0]], np.uint8)
    span = Span.of(np.arange(3), Records(np.array([0, 0, 1, 2]), numbers, fine))
    candidates = Candidates.of(span.buckets, [span])
    found = rank_candidates(candidates, np.array([0b0, 0b1, 0b11], np.uint32), np.zeros(4, np.uint8), 0, request)
    assert span.number[found.row].tolist() == found.number.tolist()
    return list(zip(found.number.tolist(), found.distances.tolist(), strict=True))


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"k": 4}, [(10, 1), (11, 2), (13, 3), (12, 3)]),
        ({"k": 4, "rank": "fine"}, [(11, 0), (10, 1), (13, 2), (12, 3)]),
        ({"k": 4, "rank": "coarse"}, [(10, 0), (12, 0), (13, 1), (11, 2)]),
        ({"k": 4, "within": 2}, [(10, 1), (11, 2)]),
        ({"k": 1, "within": 2}, [(10, 1)]),
        ({"k": 4, "within": 0}, []),
        ({"k": 4, "within": 1, "rank": "coarse"}, [(10, 0), (12, 0), (13, 1)]),
        ({"k": 1, "refine": 2}, [(10, 1), (11, 2)]),
    ],
    ids=str,
)
def test_the_best_come_by_distance_then_fine_distance_then_number(
    asked: dict[str, Any], wanted: list[tuple[int, int]]
) -> None:
    assert ranked(SearchRequest(**asked)) == wanted


@pytest.mark.parametrize(
    ("asked", "distances", "complete_radius", "proven"),
    [
        ({"k": 2}, [1, 3], 3, True),
        ({"k": 2}, [1, 3], 2, False),
        ({"k": 3}, [1, 3], 8, False),  # an unread item could be the third
        ({"k": 2, "rank": "fine"}, [1, 3], 8, False),
        ({"k": 1, "refine": 2}, [1, 3], 3, True),
        ({"k": 1, "refine": 2}, [1, 4], 3, False),  # the second could change places, or be another
        ({"k": 1, "refine": 3}, [1, 3], 8, False),
        ({"k": 3, "within": 4}, [1, 3], 4, True),  # no unread item is as near as 4
        ({"k": 3, "within": 4}, [1, 3], 3, False),
        ({"k": 2, "within": 4}, [1, 3], 3, True),
        ({"k": 3, "within": 4}, [], 4, True),
    ],
)
def test_an_answer_is_proven_where_no_unread_item_can_belong_to_it(
    asked: dict[str, Any], distances: list[int], complete_radius: int, proven: bool
) -> None:
    places = np.arange(len(distances))
    winners = Winners(np.array(distances, np.uint16), places, places, places, places)
    assert winners.proven(SearchRequest(**asked), complete_radius) is proven
