"""The shadow sample on a real server: it reports the recall that brute force finds, and holds no search up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hashgrain.codes import CodeLayout, HashCodes, hamming
from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer import (
    AsyncIndex,
    Index,
    SearchRequest,
    ShadowStats,
)
from hashgrain.indexer.managing import shadow
from hashgrain.indexer.managing.shadow import Shadow, tie_aware_recall
from hashgrain.indexer.searching import exhaustive
from own_redis import OwnRedis
from random_codes import random_codes

LAYOUT = CodeLayout(16, 64)
ITEMS, QUERIES, K = 12_000, 40, 10
CODES = random_codes(ITEMS, LAYOUT, 1, flips=0.5)
ASKED = random_codes(QUERIES, LAYOUT, 2, flips=0.5, logits=True)
VALUES = np.arange(ITEMS) % 7


@pytest.fixture(scope="module")
def index_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own, with codes that crowd nowhere, so many that the default budget misses neighbours."""
    server = OwnRedis(tmp_path_factory.mktemp("redis"))
    server.start()
    with Index.create(server.url, "crowd", LAYOUT, shards=2, fields={"n": "integer"}) as index:
        index.load(np.arange(ITEMS), CODES, [{"n": n} for n in VALUES.tolist()])
        yield server.url
    server.kill()


def distances(codes: HashCodes, rank: str, rows: NDArray[np.intp]) -> NDArray[np.int64]:
    fine = hamming(codes.fine, CODES.fine[rows]).astype(np.int64)
    coarse = hamming(codes.coarse, CODES.coarse[rows]).astype(np.int64)
    return {"total": fine + coarse, "fine": fine, "coarse": coarse}[rank]


def brute_recall(index: Index, rank: str = "total", keep: NDArray[np.bool_] | None = None, **more: Any) -> list[float]:
    """Per query, by sorting all distances."""
    rows = np.arange(ITEMS) if keep is None else np.flatnonzero(keep)
    kth = np.sort(distances(ASKED, rank, rows), axis=1)[:, K - 1]
    hits = index.search(ASKED, K, rank=rank, **more)  # type: ignore[arg-type]
    return [float((hit.distances <= limit).sum()) / K for hit, limit in zip(hits, kth, strict=True)]


def settled(index: Index | AsyncIndex) -> ShadowStats:
    """When nothing waits any more."""
    last = time.monotonic() + 120
    while time.monotonic() < last:
        stats = index.shadow_stats()
        assert stats is not None
        if stats.compared + stats.dropped + stats.failed == stats.sampled:
            return stats
        time.sleep(0.005)
    raise AssertionError("the sample was not searched for")


@pytest.mark.parametrize("settings", [{}, {"cache_bytes": 1 << 20}])
@pytest.mark.parametrize("rank", ["total", "fine"])
def test_the_recall_is_that_of_brute_force_and_below_one(index_url: str, rank: str, settings: dict[str, Any]) -> None:
    with Index.open(index_url, "crowd") as plain:
        expected = brute_recall(plain, rank)
    with Index.open(index_url, "crowd", shadow=1.0, **settings) as index:
        for n in range(0, QUERIES, 8):
            index.search(ASKED[n : n + 8], K, rank=rank)  # type: ignore[arg-type]
        stats = settled(index)
    assert (stats.queries, stats.compared, stats.failed) == (QUERIES, QUERIES, 0)
    assert stats.recall == pytest.approx(np.mean(expected))
    assert stats.recall is not None
    assert 0.1 < stats.recall < 0.99
    assert stats.low is not None
    assert stats.high is not None
    assert 0 < stats.low < stats.recall < stats.high < 1


def test_a_filter_and_an_answer_before_it_is_refined_are_measured_alike(index_url: str) -> None:
    by = {"n": [2, 5]}
    with Index.open(index_url, "crowd", shadow=1.0) as index:
        index.search(ASKED, K, filter=by, candidates=300)
        filtered = settled(index)
    with Index.open(index_url, "crowd", shadow=1.0) as index:
        index.search(ASKED, K, refine=60, candidates=500)
        refined = settled(index)
    with Index.open(index_url, "crowd") as plain:
        expected = brute_recall(plain, keep=np.isin(VALUES, [2, 5]), filter=by, candidates=300)
        assert filtered.recall == pytest.approx(np.mean(expected))
        assert refined.recall == pytest.approx(np.mean(brute_recall(plain, candidates=500)))
    assert filtered.recall is not None
    assert filtered.recall < 1


def test_of_many_about_the_share_is_drawn_and_what_misses_nothing_is_not(index_url: str) -> None:
    with Index.open(index_url, "crowd", shadow=0.2) as index:
        index.search(ASKED, K, exact=True)
        index.search(ASKED, K, within=10)
        index.search(ASKED, K, collapse=3)
        assert index.shadow_stats() == ShadowStats(0.2)
        for _ in range(25):
            index.search(ASKED, 1, probes=1)
        stats = settled(index)
    assert stats.queries == 1000
    assert abs(stats.sampled - 200) < 6 * np.sqrt(1000 * 0.2 * 0.8)
    assert stats.compared > 0


def test_while_one_is_searched_for_others_are_let_go_and_no_search_waits(
    index_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    whole = shadow.nearest_distances

    def slow(*arguments: Any) -> Any:
        begun.set()
        assert go_on.wait(60)
        return whole(*arguments)

    monkeypatch.setattr(shadow, "nearest_distances", slow)
    monkeypatch.setattr(shadow, "REST", 0)
    with Index.open(index_url, "crowd", shadow=1.0) as index:
        index.search(ASKED[:1], K)
        assert begun.wait(60)
        for _ in range(5):
            index.search(ASKED, K, probes=1)
        stats = index.shadow_stats()
        assert stats is not None
        assert (stats.sampled, stats.dropped, stats.compared) == (201, 200 - shadow.WAITING, 0)
        go_on.set()
        stats = settled(index)
        assert stats.compared == 1 + shadow.WAITING


def test_an_index_that_goes_is_told_and_searches_and_sample_go_on(redis_url: str) -> None:
    codes = random_codes(100, LAYOUT)
    with Index.create(redis_url, "x", LAYOUT) as made:
        made.add(list(range(100)), codes)
    with Index.open(redis_url, "x", shadow=1.0) as index:
        one = index._meant.now.shards
        hits = index.search(codes[:2], 5)
        assert settled(index).recall == 1
        index.drop()
        assert index._shadow is not None
        index._shadow.offer(one, codes[:2], SearchRequest(5), hits)
        stats = settled(index)
        assert (stats.compared, stats.failed) == (2, 2)
        assert stats.error is not None
        assert "'x'" in stats.error
        Index.create(redis_url, "y", LAYOUT).close()
    with Index.open(redis_url, "y", shadow=1.0) as index:
        assert index.search(codes[:1], 5)[0].ids == []
        assert settled(index).recall == 1, "there is nothing to miss"


def test_writers_that_split_buckets_meanwhile_do_not_end_it(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exhaustive, "_AT_ONCE", 3)
    codes = random_codes(600, LAYOUT, flips=0.4)
    with Index.create(redis_url, "x", LAYOUT, bucket_items=8) as index:
        index.add(list(range(100)), codes[:100])
        shards, layout = index._meant.now.shards, LAYOUT
        added = iter(range(100, 600, 50))
        asks = 0

        def grow() -> bool:
            """Between two steps of the first readings."""
            nonlocal asks
            asks += 1
            if asks % 4 == 0 and (first := next(added, None)) is not None:
                index.add(list(range(first, first + 50)), codes[first : first + 50])
            return False

        request = SearchRequest(5)
        best = exhaustive.nearest_distances(shards, layout, [(codes[:1], request)], grow)
        assert next(added, None) is None, "they were all written while it went on"
        assert best[0].tolist() == index.search(codes[:1], 5, exact=True)[0].distances.tolist()


def test_where_it_is_off_there_is_nothing_and_closing_ends_the_thread(index_url: str) -> None:
    with Index.open(index_url, "crowd") as index:
        index.search(ASKED, K)
        assert index.shadow_stats() is None
        assert index._shadow is None
    with Index.open(index_url, "crowd", shadow=1.0) as index:
        index.search(ASKED, K)
    assert not [thread for thread in threading.enumerate() if thread.name == "hashgrain-shadow"]
    index.search(ASKED[:3], K)
    assert settled(index).compared >= 3, "it begins again with the next search"
    index.close()


def test_for_asyncio(index_url: str) -> None:
    async def ask() -> ShadowStats | None:
        async with await AsyncIndex.open(index_url, "crowd", shadow=1.0) as index:
            await asyncio.gather(*(index.search(ASKED[n : n + 1], K) for n in range(QUERIES)))
            return await asyncio.to_thread(settled, index)

    stats = asyncio.run(ask())
    assert stats is not None
    assert stats.compared == QUERIES


@pytest.mark.parametrize("share", [0, -0.1, 1.5, True, "1", float("nan")])
def test_what_is_no_share_is_refused(index_url: str, share: Any) -> None:
    with pytest.raises(InvalidInput, match="share of searches to sample, above 0 and 1 at most"):
        Index.open(index_url, "crowd", shadow=share)


def test_the_interval_holds_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    for mean in (0.5, 0.9, 0.99):
        held = 0
        for _ in range(400):
            recalls = (rng.random(80) < mean).mean()
            stats = ShadowStats(1, compared=80, recalls=80 * recalls)
            assert stats.low is not None
            assert stats.high is not None
            held += stats.low <= mean <= stats.high
        assert held > 0.9 * 400
    assert ShadowStats(1, compared=100, recalls=100).high == 1
    assert ShadowStats(1, compared=100, recalls=100).low == pytest.approx(0.963, abs=1e-3)
    assert (Shadow(1).stats().recall, Shadow(1).stats().low) == (None, None)


def test_ties_at_the_last_distance_are_as_right_as_each_other() -> None:
    assert tie_aware_recall(np.array([1, 3, 3]), np.array([1, 2, 3])) == 1
    assert tie_aware_recall(np.array([1, 4, 4]), np.array([1, 2, 3])) == pytest.approx(1 / 3)
    assert tie_aware_recall(np.array([0]), np.array([1, 2])) == 0.5
    assert tie_aware_recall(np.array([], int), np.array([], int)) == 1
