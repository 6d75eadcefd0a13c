"""Answers that lie apart: equal to the plain twin on every path, filled to k, and proven as they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hashgrain.indexer.searching.widening as widening_module
from hashgrain.codes import CodeLayout, HashCodes, hamming
from hashgrain.codes.errors import InvalidInput, StoreUnavailable
from hashgrain.indexer import Hit, Index, Rank, ReferenceIndex, SearchRequest
from hashgrain.indexer.searching.widening import widened
from plain_answers import as_plain
from random_codes import random_codes
from stored_buckets import stored_buckets

LAYOUT = CodeLayout(16, 64)
ITEMS = 500
QUESTIONS: list[dict[str, Any]] = [
    {"collapse": 0},
    {"collapse": 6},
    {"collapse": 6, "candidates": 20},
    {"collapse": 25, "candidates": 5, "k": 12},
    {"collapse": 9, "rank": "fine", "probes": 3},
    {"collapse": 2, "rank": "coarse", "radius": 1},
    {"collapse": 5, "within": 20, "payloads": True},
    {"collapse": 12, "exact": True, "k": 40},
    {"collapse": 200, "k": 2},
    {"collapse": 8, "refine": 30},
    {"collapse": 8, "deadline": 600.0, "candidates": 30},
    {"collapse": 8, "filter": {"n": {"lt": 3}}, "k": 20},
    {"collapse": 8, "explain": True},
]


@pytest.fixture(scope="module")
def crowd() -> HashCodes:
    """Crowds of like codes, many of them equal."""
    return random_codes(ITEMS, LAYOUT, centres=40, flips=0.03)


@pytest.fixture(params=[1, 3], ids=["one shard", "three shards"])
def index(request: pytest.FixtureRequest, redis_url: str, crowd: HashCodes) -> Any:
    with Index.create(redis_url, "x", LAYOUT, shards=request.param, bucket_items=16, fields={"n": "number"}) as created:
        created.add(range(ITEMS), crowd, [{"n": n % 7} for n in range(ITEMS)])
        yield created


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_every_path_answers_as_the_reference(
    redis_url: str, index: Index, crowd: HashCodes, question: dict[str, Any]
) -> None:
    queries = random_codes(4, LAYOUT, 1, centres=40, flips=0.05, logits=True)
    twin = ReferenceIndex(LAYOUT)
    twin.add(range(ITEMS), crowd, [{"n": n % 7} for n in range(ITEMS)])
    plain = {name: value for name, value in question.items() if name not in ("deadline", "explain")}
    wanted = [as_plain(hit) for hit in twin.search(queries, buckets=stored_buckets(redis_url, "x"), **plain)]
    with Index.open(redis_url, "x", cache_bytes=1 << 20, max_staleness=1.0) as hot:
        for reader in (index, hot, hot):
            assert [as_plain(hit) for hit in reader.search(queries, **question)] == wanted
            assert [as_plain(reader.search(query, **question)[0]) for query in queries] == wanted


@pytest.mark.parametrize("rank", ["total", "fine"])
def test_answers_lie_apart_and_everything_better_that_is_missing_lies_near_to_one(
    index: Index, crowd: HashCodes, rank: Rank
) -> None:
    query = random_codes(1, LAYOUT, 1, centres=40, flips=0.05)
    hit = index.search(query, 15, rank=rank, exact=True, collapse=7)[0]
    assert len(hit) == 15

    def away(left: HashCodes, right: HashCodes) -> Any:
        coarse = hamming(left.coarse, right.coarse) if rank == "total" else 0
        return hamming(left.fine, right.fine) + coarse

    kept = crowd[np.array(hit.ids)]
    between = away(kept, kept)
    assert (between[~np.eye(15, dtype=bool)] > 7).all()
    better = np.flatnonzero(away(query, crowd)[0] < hit.distances[-1])
    assert len(better) > 30
    assert (away(crowd[better], kept).min(axis=1) <= 7).all()


def test_k_are_found_behind_a_crowd_that_is_larger_than_the_budget(redis_url: str) -> None:
    same = HashCodes(np.zeros((600, 2), np.uint8), np.zeros((600, 8), np.uint8))
    others = random_codes(400, LAYOUT, 2, centres=400)
    with Index.create(redis_url, "x", LAYOUT, bucket_items=16) as index:
        index.add(range(600), same)
        index.add(range(1000, 1400), others)
        short = index.search(same[:1], 5, candidates=50)[0]
        assert max(short.ids) < 600  # type: ignore[type-var]
        found = index.search(same[:1], 5, candidates=50, collapse=3)[0]
        assert len(found) == 5
        assert found.ids[0] < 600  # type: ignore[operator]
        assert min(found.ids[1:]) >= 1000  # type: ignore[type-var]
        assert 50 < found.candidates <= 1000
        few = index.search(same[:1], 5, probes=2, collapse=3)[0]
        assert (len(few), few.buckets, few.exact) == (1, 2, False)
        every = index.search(same[:1], 500, collapse=79)[0]
        assert (every.candidates, every.exact) == (1000, True)
        assert len(every) < 500


def test_an_answer_that_calls_itself_exact_is_that_of_a_search_through_everything(redis_url: str) -> None:
    codes, queries = (random_codes(rows, LAYOUT, seed, centres=12, flips=0.04) for rows, seed in ((800, 0), (40, 9)))
    with Index.create(redis_url, "proof", LAYOUT, bucket_items=16) as index:
        index.add(range(800), codes)
        some = index.search(queries, 2, candidates=120, collapse=3)
        every = index.search(queries, 2, exact=True, collapse=3)
        proven = [n for n, hit in enumerate(some) if hit.exact]
        assert 5 < len(proven) < len(queries), "the case must prove some answers without reading everything"
        assert max(hit.candidates for hit in some) < 800
        assert all(some[n].ids == every[n].ids for n in proven)


@pytest.mark.parametrize("late", [False, True], ids=["asked again too late", "late while asked again"])
def test_a_deadline_that_passes_while_more_is_read_gives_what_there_is(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """Of a search of 5 s the clock goes on by 3 s with every reading, none of which brings a second answer."""
    codes = HashCodes(np.zeros((300, 2), np.uint8), np.zeros((300, 8), np.uint8))
    budgets: list[int | None] = []
    clock = [100.0]
    monkeypatch.setattr(widening_module, "monotonic", lambda: clock[0])
    with Index.create(redis_url, "x", LAYOUT, bucket_items=16) as index:
        index.add(range(300), codes)

        def search(codes: HashCodes, request: SearchRequest) -> list[Hit]:
            budgets.append(request.candidates)
            clock[0] += 3.0
            if late and len(budgets) > 1:
                raise StoreUnavailable("nothing could be read within the deadline")
            return index.search(codes, 5, probes=3, collapse=1)

        hits = widened(search, codes[:1], SearchRequest(5, candidates=40, collapse=1, deadline=5.0))
    assert budgets == [40, 160]
    assert (len(hits[0]), hits[0].exact, hits[0].partial) == (1, False, True)


@pytest.mark.parametrize("collapse", [-1, 1.5, True, "3"])
def test_what_cannot_be_asked_for_is_refused(collapse: Any) -> None:
    with pytest.raises(InvalidInput, match="collapse must be an integer of 0 or more, got"):
        SearchRequest(5, collapse=collapse)
