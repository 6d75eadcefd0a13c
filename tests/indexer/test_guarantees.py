"""What `within` and `refine` promise, held against brute force over the plain codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.hamming import hamming
from hashgrain.codes.packing import unpack_bits
from hashgrain.indexer import Index, ReferenceIndex
from random_codes import random_codes

LAYOUT = CodeLayout(12, 64)
ITEMS = 400
CODES = random_codes(ITEMS, LAYOUT, flips=0.08)
QUERIES = random_codes(12, LAYOUT, 5, flips=0.08, logits=True)


@pytest.fixture
def index(redis_url: str) -> Iterator[Index]:
    with Index.create(redis_url, "x", LAYOUT, shards=2) as created:
        created.add(range(ITEMS), CODES)
        yield created


def total_distances() -> np.ndarray:
    """uint16 (queries, items)."""
    return hamming(QUERIES.coarse, CODES.coarse) + hamming(QUERIES.fine, CODES.fine)


@pytest.mark.parametrize("within", [0, 5, 9, 14])
def test_within_finds_every_item_that_near_and_no_other(index: Index, within: int) -> None:
    hits = index.search(QUERIES, ITEMS, within=within)
    for hit, distances in zip(hits, total_distances(), strict=True):
        assert set(hit.ids) == set(np.flatnonzero(distances <= within).tolist())
        assert hit.exact
        assert hit.complete_radius >= min(within, LAYOUT.coarse_bits)
    found = sum(map(len, hits))
    assert found < ITEMS * len(QUERIES)
    assert found > 0 or within == 0


def test_within_gives_the_k_nearest_where_there_are_more(index: Index) -> None:
    for hit, all_of_them in zip(
        index.search(QUERIES, 3, within=12), index.search(QUERIES, ITEMS, within=12), strict=True
    ):
        assert hit.ids == all_of_them.ids[:3]
        assert hit.exact


def test_a_radius_bounds_the_buckets_where_within_bounds_the_answers(index: Index) -> None:
    for near, wide in zip(index.search(QUERIES, 50, within=2), index.search(QUERIES, 50, radius=2), strict=True):
        assert (near.candidates, near.buckets) == (wide.candidates, wide.buckets)
        assert near.ids == [item for item, distance in zip(wide.ids, wide.distances, strict=True) if distance <= 2]
    assert any((hit.distances > 2).any() for hit in index.search(QUERIES, 50, radius=2))


def test_within_by_coarse_distance_takes_whole_buckets(index: Index) -> None:
    coarse = hamming(QUERIES.coarse, CODES.coarse)
    for hit, distances in zip(index.search(QUERIES, ITEMS, rank="coarse", within=1), coarse, strict=True):
        assert set(hit.ids) == set(np.flatnonzero(distances <= 1).tolist())
        assert len(hit) == hit.candidates


@pytest.mark.parametrize(("rank", "counted"), [("total", (1, 1)), ("fine", (0, 1)), ("coarse", (1, 0))])
def test_refine_orders_by_the_sum_of_the_margins_over_the_bits_that_differ(
    index: Index, rank: Any, counted: tuple[int, int]
) -> None:
    """In floats here, which agree with the integers of the index but for ties."""
    assert QUERIES.coarse_logits is not None
    assert QUERIES.fine_logits is not None
    logits = np.hstack([counted[0] * QUERIES.coarse_logits, counted[1] * QUERIES.fine_logits]).astype(np.float64)
    mine, theirs = (
        np.hstack([unpack_bits(codes.coarse, LAYOUT.coarse_bits), unpack_bits(codes.fine, LAYOUT.fine_bits)])
        for codes in (QUERIES, CODES)
    )
    hits = index.search(QUERIES, 10, rank=rank, refine=ITEMS, exact=True)
    for row, hit in enumerate(hits):
        costs = (mine[row] != theirs) @ np.abs(logits[row])
        np.testing.assert_allclose(costs[hit.ids], np.sort(costs)[:10], atol=1e-5)
        assert hit.exact


def test_refine_chooses_among_the_best_of_the_ranking_and_tells_their_hamming_distances(index: Index) -> None:
    distances = total_distances()
    changed = 0
    plain, refined = index.search(QUERIES, 30), index.search(QUERIES, 10, refine=30)
    for row, (before, after) in enumerate(zip(plain, refined, strict=True)):
        assert set(after.ids) <= set(before.ids)
        assert after.distances.tolist() == distances[row, after.ids].tolist()
        changed += after.ids != before.ids[:10]
    assert changed > 6, "margins must matter in these queries"


def test_a_refined_answer_that_calls_itself_exact_equals_the_exhaustive_one(index: Index) -> None:
    proven = 0
    for budget in ({"candidates": 200}, {"within": 8}, {"radius": 5}):
        some = index.search(QUERIES, 2, refine=4, **budget)
        every = ReferenceIndex(LAYOUT, 2)
        every.add(range(ITEMS), CODES)
        for query, hit in zip(QUERIES, some, strict=True):
            if hit.exact and hit.candidates < ITEMS:
                proven += 1
                wide = {"within": 8} if "within" in budget else {"exact": True}
                assert hit.ids == every.search(query, 2, refine=4, **wide)[0].ids
    assert proven > 5


def test_refine_needs_the_logits_of_what_the_ranking_counts_and_no_others(index: Index) -> None:
    plain = HashCodes(QUERIES.coarse, QUERIES.fine)
    only_fine = HashCodes(QUERIES.coarse, QUERIES.fine, None, QUERIES.fine_logits)
    only_coarse = HashCodes(QUERIES.coarse, QUERIES.fine, QUERIES.coarse_logits)
    for searched in (index, ReferenceIndex(LAYOUT)):
        for codes, rank, missing in (
            (plain, "fine", "fine"),
            (plain, "coarse", "coarse"),
            (only_fine, "total", "coarse"),
            (only_coarse, "total", "fine"),
        ):
            with pytest.raises(InvalidInput, match=f"the codes carry no {missing} logits; encode .* logits=True"):
                searched.search(codes, 2, rank=rank, refine=3)  # type: ignore[arg-type]
        assert len(searched.search(only_fine, 2, rank="fine", refine=3)) == len(QUERIES)
        assert len(searched.search(only_coarse, 2, rank="coarse", refine=3)) == len(QUERIES)


def test_fine_logits_that_are_not_finite_are_refused_where_they_count(index: Index) -> None:
    assert QUERIES.fine_logits is not None
    broken = QUERIES.fine_logits.copy()
    broken[3, 5] = np.inf
    codes = HashCodes(QUERIES.coarse, QUERIES.fine, QUERIES.coarse_logits, broken)
    with pytest.raises(InvalidInput, match="the fine logits of query 3 are not finite"):
        index.search(codes, 2, refine=3)
    assert len(index.search(codes, 2)) == len(QUERIES)
