"""`ReferenceIndex`: the order of items, the budgets over a partition, and what an answer may claim."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.hamming import hamming
from hashgrain.codes.packing import unpack_bits
from hashgrain.indexer import Hit, ReferenceIndex, Written
from hashgrain.indexer.reference import ReferenceBucket
from hashgrain.indexer.stored.handles import handle_of
from hashgrain.indexer.stored.identifiers import encode_ids
from random_codes import random_codes

LAYOUT = CodeLayout(8, 32)
ITEMS = 120
CODES = random_codes(ITEMS, LAYOUT, flips=0.15)
QUERIES = random_codes(10, LAYOUT, 5, flips=0.15, logits=True)
RANKS = ("total", "fine", "coarse")


def code(coarse: int, fine: int) -> HashCodes:
    """One code, given as numbers."""
    return HashCodes(
        np.array([[coarse]], np.uint8), np.frombuffer(fine.to_bytes(LAYOUT.fine_bytes), np.uint8)[None].copy()
    )


def bits(codes: HashCodes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (
        tuple(unpack_bits(codes.coarse, LAYOUT.coarse_bits)[0].tolist()),
        tuple(unpack_bits(codes.fine, LAYOUT.fine_bits)[0].tolist()),
    )


def bucket(centroid: HashCodes, coarse_radius: int, fine_radius: int, *members: str | int) -> ReferenceBucket:
    return ReferenceBucket(*bits(centroid), coarse_radius, fine_radius, members)


@pytest.fixture
def index() -> ReferenceIndex:
    filled = ReferenceIndex(LAYOUT)
    filled.add(range(ITEMS), CODES)
    return filled


@pytest.fixture(params=["by nearness", "anyhow"])
def buckets(request: pytest.FixtureRequest) -> list[ReferenceBucket]:
    """A partition as writers make it, and one of items put anywhere: each is valid as long as its radii hold."""
    centroids = random_codes(9, LAYOUT, 3, flips=0.3)
    coarse, fine = hamming(centroids.coarse, CODES.coarse), hamming(centroids.fine, CODES.fine)
    anyhow = np.random.default_rng(0).integers(0, len(centroids), ITEMS)
    home = (coarse + fine).argmin(axis=0) if request.param == "by nearness" else anyhow
    made = []
    for number, centroid in enumerate(centroids):
        mine = np.flatnonzero(home == number)
        radii = (int(part[number, mine].max(initial=0)) for part in (coarse, fine))
        made.append(bucket(centroid, *radii, *mine.tolist()))
    return made


def distances(rank: str) -> np.ndarray:
    """int64 (queries, items)."""
    coarse, fine = hamming(QUERIES.coarse, CODES.coarse), hamming(QUERIES.fine, CODES.fine)
    return {"total": coarse + fine, "fine": fine, "coarse": coarse}[rank].astype(np.int64)


def said(hit: Hit) -> tuple[Any, ...]:
    return hit.ids, hit.distances.tolist(), hit.candidates, hit.buckets, hit.complete_radius, hit.exact


def test_items_at_one_distance_come_by_fine_distance_then_by_handle() -> None:
    index = ReferenceIndex(LAYOUT)
    ids = ["a", "b", 3, -3, 2**62, "near"]
    index.add(ids, HashCodes.concatenate([*[code(0, 1)] * 5, code(1, 0)]))
    by_handle = sorted(ids[:5], key=lambda item: handle_of(encode_ids([item])[0]))
    assert by_handle[:2] == [-3, 3], "an integer within the bounds is its own handle, and these come first"
    assert index.search(code(0, 0))[0].ids == ["near", *by_handle]
    assert index.search(code(0, 0), rank="fine")[0].ids == ["near", *by_handle]
    assert index.search(code(0, 0), rank="coarse")[0].ids == [*by_handle, "near"]


def test_without_a_partition_everything_is_read_whatever_the_budget(index: ReferenceIndex) -> None:
    for budget in ({}, {"candidates": 1}, {"probes": 1}, {"radius": 0}, {"exact": True}):
        for hit in index.search(QUERIES, 5, **budget):  # type: ignore[arg-type]
            assert said(hit)[2:] == (ITEMS, 1, LAYOUT.coarse_bits, True)


def test_an_empty_index_has_a_bucket_that_is_read() -> None:
    hit = ReferenceIndex(LAYOUT).search(code(0, 0))[0]
    assert said(hit) == ([], [], 0, 1, LAYOUT.coarse_bits, True)


def test_buckets_are_taken_by_the_distance_of_the_ranking_then_fine_distance_then_position() -> None:
    index = ReferenceIndex(LAYOUT)
    index.add(
        range(5),
        HashCodes.concatenate([code(0, 0b111), code(0b11, 0b1), code(0b1, 0b11), code(0, 0b11), code(0, 0b11)]),
    )
    buckets = [
        bucket(code(0, 0b111), 0, 0, 0),  # total 3, fine 3
        bucket(code(0b11, 0b1), 0, 0, 1),  # total 3, fine 1
        bucket(code(0b1, 0b11), 0, 0, 2),  # total 3, fine 2
        bucket(code(0, 0b11), 0, 0, 3),  # total 2
        bucket(code(0, 0b11), 0, 0, 4),  # the same
    ]
    for rank, order in (("total", [3, 4, 1, 2, 0]), ("fine", [1, 2, 3, 4, 0]), ("coarse", [3, 4, 0, 2, 1])):
        for probes in range(1, 6):
            for budget in ({"probes": probes}, {"candidates": probes}):
                hit = index.search(code(0, 0), rank=rank, buckets=buckets, **budget)[0]  # type: ignore[arg-type]
                assert (sorted(hit.ids), hit.buckets) == (sorted(order[:probes]), probes), (rank, budget)


def test_candidates_are_counted_by_whole_buckets_and_empty_ones_are_read_on_the_way() -> None:
    index = ReferenceIndex(LAYOUT)
    index.add(range(5), HashCodes.concatenate([code(0, 0)] * 3 + [code(0, 0b11)] * 2))
    buckets = [
        bucket(code(0, 0), 0, 0, 0, 1, 2),
        bucket(code(0, 0b1), 0, 0),
        bucket(code(0, 0b11), 0, 0, 3, 4),
    ]
    found = {n: index.search(code(0, 0), candidates=n, buckets=buckets)[0] for n in (1, 3, 4, 9)}
    assert [(hit.candidates, hit.buckets) for hit in found.values()] == [(3, 1), (3, 1), (5, 3), (5, 3)]


def test_the_radii_say_what_an_unread_bucket_can_hold() -> None:
    index = ReferenceIndex(LAYOUT)
    index.add(range(2), HashCodes.concatenate([code(0, 0b11), code(0b1111, 0b1111)]))
    buckets = [bucket(code(0, 0), 0, 2, 0), bucket(code(0b11111, 0b11111), 2, 3, 1)]
    hit = index.search(code(0, 0), 1, probes=1, buckets=buckets)[0]
    assert said(hit) == ([0], [2], 1, 1, 2, True), "the other bucket begins at 3 coarse bits, and at 3 + 2 in all"
    assert said(index.search(code(0, 0), 1, rank="fine", probes=1, buckets=buckets)[0])[4:] == (2, False), (
        "2 is no more"
    )
    assert said(index.search(code(0, 0), 2, probes=1, buckets=buckets)[0])[4:] == (2, False), "k are not found"
    for within, read in ((4, 1), (5, 2)):
        assert index.search(code(0, 0), within=within, buckets=buckets)[0].buckets == read
    for radius, read in ((2, 1), (3, 2)):
        assert index.search(code(0, 0), radius=radius, buckets=buckets)[0].buckets == read


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("budget", [{"probes": n} for n in (1, 4, 7)] + [{"candidates": n} for n in (1, 40, 90)])
def test_an_answer_claims_no_more_than_is_true(
    index: ReferenceIndex, buckets: list[ReferenceBucket], rank: Any, budget: dict[str, int]
) -> None:
    for k in (1, 3):
        some, every = (index.search(QUERIES, k, rank=rank, **how) for how in ({**budget, "buckets": buckets}, {}))
        coarse = distances("coarse")
        for row, (hit, whole) in enumerate(zip(some, every, strict=True)):
            if hit.exact:
                assert hit.ids == whole.ids
            read = index.search(QUERIES[row : row + 1], ITEMS, rank=rank, buckets=buckets, **budget)[0].ids  # type: ignore[arg-type]
            assert len(read) == hit.candidates
            assert set(np.flatnonzero(coarse[row] <= hit.complete_radius)) <= set(read)


@pytest.mark.parametrize("rank", RANKS)
def test_within_misses_nothing_over_any_partition(
    index: ReferenceIndex, buckets: list[ReferenceBucket], rank: Any
) -> None:
    read = 0
    for within in (0, 2, 5, 9):
        hits = index.search(QUERIES, ITEMS, rank=rank, within=within, buckets=buckets)
        for hit, far in zip(hits, distances(rank), strict=True):
            assert set(hit.ids) == set(np.flatnonzero(far <= within))
            assert hit.exact
            read += hit.buckets
    assert read < 4 * len(QUERIES) * len(buckets)


def test_radius_reads_every_item_within_it(index: ReferenceIndex, buckets: list[ReferenceBucket]) -> None:
    for radius in range(4):
        for hit, far in zip(
            index.search(QUERIES, ITEMS, radius=radius, buckets=buckets), distances("coarse"), strict=True
        ):
            assert set(np.flatnonzero(far <= radius)) <= set(hit.ids)
            assert hit.complete_radius >= radius


def test_refine_orders_the_best_by_the_margins_of_the_bits_that_differ(index: ReferenceIndex) -> None:
    assert QUERIES.coarse_logits is not None
    assert QUERIES.fine_logits is not None
    logits = np.hstack([QUERIES.coarse_logits, QUERIES.fine_logits]).astype(np.float64)
    mine, theirs = (
        np.hstack([unpack_bits(codes.coarse, LAYOUT.coarse_bits), unpack_bits(codes.fine, LAYOUT.fine_bits)])
        for codes in (QUERIES, CODES)
    )
    for row, hit in enumerate(index.search(QUERIES, 10, refine=ITEMS)):
        costs = (mine[row] != theirs) @ np.abs(logits[row])
        np.testing.assert_allclose(costs[hit.ids], np.sort(costs)[:10], atol=1e-5)
        assert hit.distances.tolist() == distances("total")[row, hit.ids].tolist()


def test_writing_replaces_counts_and_keeps_the_last_of_equal_ids() -> None:
    index = ReferenceIndex(LAYOUT)
    assert index.add(
        [5, "5", 5], HashCodes.concatenate([code(0, 0), code(0, 1), code(0, 3)]), [{}, {"n": 1}, None]
    ) == Written(2, 0)
    hit = index.search(code(0, 1), payloads=True)[0]
    assert (hit.ids, hit.distances.tolist(), hit.payloads) == (["5", 5], [0, 1], [{"n": 1}, None])
    assert index.add([5], code(0, 1)) == Written(0, 1)
    assert index.delete([5, 5, 6]) == 1
    assert len(index) == 1


@pytest.mark.parametrize("members", [(), (0, 0), (0, 1)])
def test_buckets_that_do_not_hold_every_item_once_are_refused(members: tuple[int, ...]) -> None:
    index = ReferenceIndex(LAYOUT)
    index.add([0], code(0, 0))
    with pytest.raises(InvalidInput, match=f"holds 1 items, the buckets {len(members)}, of which .* put each into one"):
        index.search(code(0, 0), buckets=[bucket(code(0, 0), 0, 0, *members)])
