"""An explanation says what was in fact read, in that order, and by which bound the answer is proven."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from hashgrain.codes import CodeLayout
from hashgrain.codes.packing import unpack_bits
from hashgrain.indexer import Explanation, Index, SearchOptions
from random_codes import random_codes
from stored_buckets import stored_buckets

LAYOUT = CodeLayout(16, 64)
ITEMS = 400
QUERIES = random_codes(6, LAYOUT, 9, flips=0.2)


@pytest.fixture(params=[1, 3])
def index(redis_url: str, request: pytest.FixtureRequest) -> Iterator[Index]:
    with Index.create(redis_url, "x", LAYOUT, bucket_items=12, shards=request.param) as created:
        created.add(list(range(ITEMS)), random_codes(ITEMS, LAYOUT, flips=0.2), [{"n": n} for n in range(ITEMS)])
        created.delete(range(0, ITEMS, 7))
        yield created


def explanation_of(hit: Any) -> Explanation:
    assert isinstance(hit.explanation, Explanation)
    return hit.explanation


@pytest.mark.parametrize("rank", ["total", "fine", "coarse"])
@pytest.mark.parametrize("budget", [{"candidates": 60}, {"probes": 5}, {"radius": 4}, {"within": 20}, {"exact": True}])
def test_it_agrees_with_the_answer_and_with_what_is_stored(
    redis_url: str, index: Index, rank: Any, budget: SearchOptions
) -> None:
    stored = stored_buckets(redis_url, "x")
    total = len(stored)
    plain = index.search(QUERIES, 5, rank=rank, **budget)
    for hit, before in zip(index.search(QUERIES, 5, rank=rank, explain=True, **budget), plain, strict=True):
        assert before.explanation is None
        assert (hit.ids, hit.candidates, hit.exact) == (before.ids, before.candidates, before.exact)
        told = explanation_of(hit)
        assert len(told.probes) == hit.buckets == total - told.unread
        assert len({(probe.shard, probe.bucket) for probe in told.probes}) == hit.buckets
        assert sum(probe.items for probe in told.probes) == hit.candidates
        assert sum(probe.winners for probe in told.probes) == len(hit.ids)
        assert all(probe.at_least <= probe.distance for probe in told.probes)
        if "candidates" in budget or "probes" in budget:
            distances = [probe.distance for probe in told.probes]
            assert distances == sorted(distances), "nearest first"
        assert (told.unread_at_least is None) == (told.unread == 0)
        if len(hit.ids) == 5 and told.unread_at_least is not None and told.farthest is not None:
            assert hit.exact == (told.unread_at_least > told.farthest)
        assert "\n".join(told.lines())


def test_no_item_that_was_not_read_is_nearer_than_it_says(index: Index) -> None:
    every = index.search(QUERIES, ITEMS, exact=True)
    for hit, whole in zip(index.search(QUERIES, ITEMS, probes=3, explain=True), every, strict=True):
        unread = set(whole.ids) - set(hit.ids)
        nearest = min(d for item, d in zip(whole.ids, whole.distances.tolist(), strict=True) if item in unread)
        least = explanation_of(hit).unread_at_least
        assert least is not None
        assert 0 <= least <= nearest


def test_its_order_is_that_of_the_centroids(redis_url: str, index: Index) -> None:
    stored = stored_buckets(redis_url, "x")
    first = np.cumsum([0, *(len(shard.directory().partition) for shard in index._shards)])
    for query, hit in zip(QUERIES, index.search(QUERIES, probes=4, explain=True), strict=True):
        bits = unpack_bits(query.coarse, 16)[0].tolist() + unpack_bits(query.fine, 64)[0].tolist()
        for probe in explanation_of(hit).probes:
            bucket = stored[first[probe.shard] + probe.bucket]
            centroid = [*bucket.coarse, *bucket.fine]
            assert probe.distance == sum(a != b for a, b in zip(bits, centroid, strict=True))
            assert probe.items == len(bucket.members)


def test_kept_buckets_are_told_from_those_of_redis(redis_url: str, index: Index) -> None:
    first = explanation_of(index.search(QUERIES[:1], probes=3, explain=True)[0])
    assert [(step.source, step.buckets, step.fetched) for step in first.steps] == [("redis", 3, 3)]
    with Index.open(redis_url, "x", cache_bytes=1 << 20) as keeping:
        for fetched in (3, 0):
            told = explanation_of(keeping.search(QUERIES[:1], probes=3, explain=True)[0])
            assert [(step.source, step.fetched, step.outcome) for step in told.steps] == [("kept", fetched, "answered")]


def test_a_budget_that_was_not_met_and_a_change_are_steps_of_their_own(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hashgrain.indexer.searching.planning._PREFETCH", 0.1)
    shard, tries = index._shards[0], [1]
    as_read = shard.as_read

    def once_late(*arguments: Any) -> Any:
        return None if tries and tries.pop() else as_read(*arguments)

    monkeypatch.setattr(shard, "as_read", once_late)
    told = explanation_of(index.search(QUERIES[:1], candidates=150, explain=True)[0])
    outcomes = [step.outcome for step in told.steps]
    assert outcomes[0] == "changed by a writer meanwhile"
    assert "too few items" in outcomes[1:-1]
    assert outcomes[-1] == "answered"
    assert sum(probe.items for probe in told.probes) >= 150
