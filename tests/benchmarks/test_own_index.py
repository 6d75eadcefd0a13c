"""The measured index over a real server: what is counted is there."""

from __future__ import annotations

import math

import numpy as np

from benchmarks import own_index
from benchmarks.codes import GeneratedCodes
from benchmarks.own_index import NAME
from benchmarks.pgvector_peer import bit_string
from benchmarks.recall import K, kth_distances, tie_aware_recall
from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import StoreUnavailable
from hashgrain.indexer import Hit, Index

LAYOUT = CodeLayout(16, 64)


def test_index_is_loaded_whole_and_measured(redis_url: str) -> None:
    made = GeneratedCodes(LAYOUT, 3000, seed=1)
    items, queries = made.codes(), made.queries(40)
    loaded = own_index.load(redis_url, np.arange(len(items)), items, bucket_items=64)
    assert loaded.rate > 0
    assert 8 < loaded.size < 1000
    assert 8 < loaded.own_size < 1000
    kth = kth_distances(queries, [items], K)
    with Index.open(redis_url, NAME) as cold, Index.open(redis_url, NAME, cache_bytes=1 << 24) as hot:
        assert len(cold) == 3000
        kept = own_index.warm_up(redis_url, hot, queries[:1])
        assert kept is not None
        assert 0.5 < kept < 3
        assert own_index.warm_up(redis_url, cold, queries[:1]) is None
        candidates = own_index.fewest_candidates(hot, queries, kth)
        probed, exact = own_index.contenders(cold, "cold", candidates, loaded)
        assert tie_aware_recall([probed.search(query) for query in queries], kth, K) >= 0.99
        assert tie_aware_recall([exact.search(query) for query in queries], kth, K) == 1
        floor = own_index.floor(redis_url, cold, queries, candidates)
        assert 8 * candidates < floor.bytes < 100 * 3000
    assert own_index.start_up(redis_url, queries, candidates) > 0


def test_reader_is_timed_beside_a_process_that_replaces_items(redis_url: str, monkeypatch) -> None:
    monkeypatch.setattr(own_index, "BESIDE_S", 0.3)
    made = GeneratedCodes(LAYOUT, 2000, seed=1)
    items, queries = made.codes(), made.queries(10)
    own_index.load(redis_url, np.arange(len(items)), items, bucket_items=64)
    with Index.open(redis_url, NAME) as index:
        beside = own_index.beside_writer(redis_url, index, made, queries, 100)
        assert beside.upserts > 0
        assert min(beside.idle, beside.beside) > 0
        assert len(index) == 2000  # replaced, not added
        here = [hit.distances[0] for hit in index.search(items[:300], 1, rank="fine", exact=True)]
        assert np.max(here) > 0  # some of the first items have other codes now
        same = own_index.beside_writer(redis_url, index, made, queries, 100, same=True)
        assert same.upserts > 0
        there = GeneratedCodes(LAYOUT, 2000, made.seed + 1).codes()
        assert all(hit.distances[0] == 0 for hit in index.search(there[:300], 1, rank="fine", exact=True))


def test_search_that_is_refused_counts_as_one_that_never_ends(redis_url: str, monkeypatch) -> None:
    monkeypatch.setattr(own_index, "BESIDE_S", 0.3)
    made = GeneratedCodes(LAYOUT, 2000, seed=1)
    own_index.load(redis_url, np.arange(2000), made.codes(), bucket_items=64)
    with Index.open(redis_url, NAME) as index:
        searched, calls = index.search, []

        def search(*args: object, **options: object) -> list[Hit]:
            calls.append(args)
            if len(calls) % 3 == 0:
                raise StoreUnavailable("the index changed")
            return searched(*args, **options)

        monkeypatch.setattr(index, "search", search)
        beside = own_index.beside_writer(redis_url, index, made, made.queries(10), 100)
    assert 0 < beside.refused < beside.asked
    assert beside.beside == math.inf


def test_index_under_strings_holds_these_ids(redis_url: str) -> None:
    items = GeneratedCodes(LAYOUT, 500, seed=1).codes()
    own_index.load(redis_url, [f"item-{number}" for number in range(500)], items, "named")
    with Index.open(redis_url, "named") as index:
        (hit,) = index.search(items[:1], 1, rank="fine", exact=True)
        assert hit.ids == ["item-0"]


def test_code_is_written_as_postgresql_writes_bits() -> None:
    assert bit_string(np.array([0b00000101, 0b10000000], np.uint8)) == "0000010110000000"
