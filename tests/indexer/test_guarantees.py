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
from stored_buckets import stored_buckets

LAYOUT = CodeLayout(12, 64)
ITEMS = 400
CODES = random_codes(ITEMS, LAYOUT, flips=0.08)
QUERIES = random_codes(12, LAYOUT, 5, flips=0.08, logits=True)


@pytest.fixture
def index(redis_url: str) -> Iterator[Index]:
    with Index.create(redis_url, "x", LAYOUT, shards=2, bucket_items=16) as created:
        created.add(range(ITEMS), CODES)
        yield created


def distances(rank: str) -> np.ndarray:
    """uint16 (queries, items)."""
    coarse, fine = hamming(QUERIES.coarse, CODES.coarse), hamming(QUERIES.fine, CODES.fine)
    return {"total": coarse + fine, "fine": fine, "coarse": coarse}[rank]


@pytest.mark.parametrize(
    ("rank", "within"), [(rank, within) for rank in ("total", "fine", "coarse") for within in (0, 2, 5, 9, 14)]
)
def test_within_finds_every_item_that_near_and_no_other(index: Index, rank: Any, within: int) -> None:
    hits = index.search(QUERIES, ITEMS, rank=rank, within=within)
    for hit, far in zip(hits, distances(rank), strict=True):
        assert set(hit.ids) == set(np.flatnonzero(far <= within).tolist())
        assert hit.exact
        if rank == "coarse":
            assert hit.complete_radius >= min(within, LAYOUT.coarse_bits)
    assert any(map(len, hits)) == (distances(rank) <= within).any()
    if within < 9:
        assert sum(hit.candidates for hit in hits) < ITEMS * len(QUERIES), "the radii must spare some buckets"


def test_within_gives_the_k_nearest_where_there_are_more(index: Index) -> None:
    for hit, all_of_them in zip(
        index.search(QUERIES, 3, within=12), index.search(QUERIES, ITEMS, within=12), strict=True
    ):
        assert hit.ids == all_of_them.ids[:3]
        assert hit.exact


@pytest.mark.parametrize("radius", [0, 1, 3])
def test_a_radius_reads_every_item_whose_coarse_code_is_that_near(index: Index, radius: int) -> None:
    """It bounds where to look, and not what is found there."""
    hits = index.search(QUERIES, ITEMS, rank="fine", radius=radius)
    farther = 0
    for hit, near in zip(hits, distances("coarse"), strict=True):
        assert set(np.flatnonzero(near <= radius).tolist()) <= set(hit.ids)
        assert hit.complete_radius >= radius
        assert len(hit) == hit.candidates
        farther += int((near[hit.ids] > radius).sum())
    assert farther > 0
    assert sum(hit.candidates for hit in hits) < ITEMS * len(QUERIES)


@pytest.mark.parametrize("budget", [{"probes": 1}, {"probes": 6}, {"candidates": 40}, {"candidates": 200}])
def test_an_answer_is_complete_within_its_radius(index: Index, budget: dict[str, int]) -> None:
    for rank in ("total", "fine", "coarse"):
        hits = index.search(QUERIES, ITEMS, rank=rank, **budget)  # type: ignore[arg-type]
        for hit, near in zip(hits, distances("coarse"), strict=True):
            assert set(np.flatnonzero(near <= hit.complete_radius).tolist()) <= set(hit.ids)
            assert len(hit) == hit.candidates


def test_probes_are_the_buckets_of_the_nearest_centroids(index: Index, redis_url: str) -> None:
    buckets = stored_buckets(redis_url, "x")
    for rank in ("total", "fine", "coarse"):
        for query, hit in zip(QUERIES, index.search(QUERIES, ITEMS, rank=rank, probes=5), strict=True):
            coarse, fine = (
                unpack_bits(query.coarse, LAYOUT.coarse_bits)[0],
                unpack_bits(query.fine, LAYOUT.fine_bits)[0],
            )
            far = [(sum(fine != bucket.fine), sum(coarse != bucket.coarse)) for bucket in buckets]
            ranked = {"total": [sum(pair) for pair in far], "fine": [f for f, _ in far], "coarse": [c for _, c in far]}
            nearest = sorted(range(len(buckets)), key=lambda n: (ranked[rank][n], far[n][0], n))[:5]
            assert set(hit.ids) == {item for n in nearest for item in buckets[n].members}
            assert hit.buckets == 5


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
    far = distances("total")
    changed = 0
    plain, refined = index.search(QUERIES, 30), index.search(QUERIES, 10, refine=30)
    for row, (before, after) in enumerate(zip(plain, refined, strict=True)):
        assert set(after.ids) <= set(before.ids)
        assert after.distances.tolist() == far[row, after.ids].tolist()
        changed += after.ids != before.ids[:10]
    assert changed > 6, "margins must matter in these queries"


def test_a_refined_answer_that_calls_itself_exact_equals_the_exhaustive_one(index: Index) -> None:
    proven = 0
    for budget in ({"candidates": 200}, {"within": 8}, {"radius": 5}):
        some = index.search(QUERIES, 2, refine=4, **budget)
        every = ReferenceIndex(LAYOUT)
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
