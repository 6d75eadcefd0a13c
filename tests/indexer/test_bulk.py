"""Bulk loading: a loaded index is like one that was added to, and a load that fails leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
import redis

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import FingerprintMismatch, IndexExists, IndexMissing, InvalidInput, StoreError, StoreFull
from hashgrain.indexer import Index, ReferenceIndex, drop_index
from hashgrain.indexer.adding import bulk
from hashgrain.indexer.check import check_index
from hashgrain.indexer.stored.keys import ShardKeys
from plain_answers import as_plain
from random_codes import random_codes
from stored_buckets import stored_buckets

LAYOUT = CodeLayout(12, 64)
QUESTIONS: list[dict[str, Any]] = [
    {"exact": True},
    {"exact": True, "rank": "fine"},
    {"candidates": 30},
    {"probes": 3, "rank": "coarse"},
    {"radius": 2},
    {"within": 18},
    {},
]
IDS: dict[str, Callable[[int], Any]] = {
    "integers": lambda n: n,
    "large integers": lambda n: (n - 100) << 40,
    "strings": lambda n: f"item-{n:08d}",
    "all kinds": lambda n: [n, -n, f"item {n}", (n << 40) + 1, (1 << 62) + n][n % 5],
}


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(redis_url)
    yield client
    client.config_set("maxmemory", 0)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every load cross the borders of its batches."""
    monkeypatch.setattr(bulk, "BATCH_KEYS", 4)
    monkeypatch.setattr(bulk, "BATCH_BYTES", 3000)
    monkeypatch.setattr(bulk, "BATCH_FIELDS", 6)


def everything(client: redis.Redis) -> dict[bytes, Any]:
    """All keys and values, but those that no two indexes have in common."""
    found: dict[bytes, Any] = {}
    for key in client.scan_iter():
        found[key] = client.hgetall(key) if client.type(key) == b"hash" else client.get(key)
        if key.endswith(b":meta"):
            del found[key][b"incarnation"]
    return {key: value for key, value in found.items() if not key.endswith(b":stamp")}


def require_same_answers(readers: Iterable[Index], twin: ReferenceIndex, redis_url: str, name: str) -> None:
    """Everything that an answer says, over the buckets as they are stored."""
    buckets, queries = stored_buckets(redis_url, name), random_codes(4, LAYOUT, 9, centres=20, logits=True)
    for question in QUESTIONS:
        wanted = [as_plain(hit) for hit in twin.search(queries, 5, payloads=True, buckets=buckets, **question)]
        for reader in readers:
            assert [as_plain(hit) for hit in reader.search(queries, 5, payloads=True, **question)] == wanted, question


@pytest.mark.parametrize("kind", IDS)
@pytest.mark.parametrize("shards", [1, 3])
def test_a_loaded_index_is_searched_and_written_like_any_other(redis_url: str, shards: int, kind: str) -> None:
    """Also by those who had it open before, and who keep buckets."""
    codes, twin = random_codes(900, LAYOUT, centres=20), ReferenceIndex(LAYOUT)
    ids, payloads = [IDS[kind](n) for n in range(900)], [{"n": n} if n % 7 == 0 else None for n in range(900)]
    with (
        Index.create(redis_url, "x", LAYOUT, shards=shards, bucket_items=16) as index,
        Index.open(redis_url, "x") as earlier,
        Index.open(redis_url, "x", cache_bytes=1 << 20) as keeping,
    ):
        readers = (index, earlier, keeping)
        earlier.add(ids[:1], codes[:1])
        earlier.delete(ids[:1])
        require_same_answers(readers, twin, redis_url, "x")
        assert index.load(ids[:700], codes[:700], payloads[:700]) == 700
        twin.add(ids[:700], codes[:700], payloads[:700])
        assert len(earlier) == 700
        assert check_index(redis_url, "x").clean
        require_same_answers(readers, twin, redis_url, "x")
        assert earlier.add(ids[500:], codes[500:][::-1], payloads[500:]) == twin.add(
            ids[500:], codes[500:][::-1], payloads[500:]
        )
        assert earlier.delete(ids[::3]) == twin.delete(ids[::3])
        assert check_index(redis_url, "x").clean
        require_same_answers(readers, twin, redis_url, "x")


def test_no_bucket_is_larger_than_it_should_be(redis_url: str) -> None:
    with Index.create(redis_url, "x", LAYOUT, bucket_items=20) as index:
        index.load(np.arange(1000), random_codes(1000, LAYOUT, flips=0.0))
        sizes = [len(bucket.members) for bucket in stored_buckets(redis_url, "x")]
        assert max(sizes) <= 20
        assert sum(sizes) == 1000


def test_of_several_items_of_one_id_the_last_is_loaded(redis_url: str) -> None:
    codes = random_codes(3, LAYOUT)
    for name, ids in (("numbers", [5, 6, 5]), ("strings", ["a", "b", "a"])):
        with Index.create(redis_url, name, LAYOUT) as index:
            assert index.load(ids, codes, [{"n": 0}, None, {"n": 2}]) == 2
            hit = index.search(codes[2:3], 1, payloads=True)[0]
            assert (hit.ids, hit.distances.tolist(), hit.payloads) == (ids[:1], [0], [{"n": 2}])


def test_nothing_is_loaded_where_there_is_nothing(redis_url: str) -> None:
    with Index.create(redis_url, "x", LAYOUT, shards=2) as index:
        assert index.load([], random_codes(0, LAYOUT)) == 0
        assert index.load([1], random_codes(1, LAYOUT)) == 1, "one shard stays empty"
        assert index.search(random_codes(1, LAYOUT), 3)[0].ids == [1]
        assert check_index(redis_url, "x").clean


@pytest.mark.parametrize("shards", [1, 3])
def test_only_an_empty_index_is_loaded(redis_url: str, client: redis.Redis, shards: int) -> None:
    with Index.create(redis_url, "x", LAYOUT, shards=shards) as index:
        index.add([1, 2], random_codes(2, LAYOUT))
        before = everything(client)
        with pytest.raises(InvalidInput, match=r"'x' holds [12] items, only an empty index can be loaded.*add"):
            index.load(range(50), random_codes(50, LAYOUT))
        assert everything(client) == before
        assert len(index) == 2


def test_codes_of_another_model_are_refused_before_anything_is_done(redis_url: str, client: redis.Redis) -> None:
    with Index.create(redis_url, "x", LAYOUT, fingerprint="one") as index:
        before = everything(client)
        with pytest.raises(FingerprintMismatch, match="one"):
            index.load([1], random_codes(1, LAYOUT), fingerprint="other")
        with pytest.raises(InvalidInput, match="64-bit fine codes"):
            index.load([1], random_codes(1, CodeLayout(12, 32)))
        assert everything(client) == before


def test_an_index_that_was_emptied_is_loaded_like_a_new_one(redis_url: str, client: redis.Redis) -> None:
    """Nothing of its many buckets, pages, names, payloads and holes is left."""
    codes = random_codes(300, LAYOUT, centres=20)
    with Index.create(redis_url, "x", LAYOUT, bucket_items=8) as index:
        index.load(range(100), codes[:100])
        wanted = everything(client)
        index.drop()
    with Index.create(redis_url, "x", LAYOUT, bucket_items=8) as index:
        names = [f"item {n}" for n in range(300)]
        index.add(names, codes, [{"n": n} for n in range(300)])
        assert len(everything(client)) > 20
        index.delete(names)
        index.load(range(100), codes[:100])
        assert everything(client) == wanted


def test_more_buckets_than_there_are_numbers_for_are_refused(
    redis_url: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Index.create(redis_url, "x", LAYOUT, bucket_items=8) as index:
        before = everything(client)
        monkeypatch.setattr(bulk, "MOST_BUCKETS", 100)
        with pytest.raises(
            InvalidInput, match="900 items in buckets of 8 at most make .* holds 100; .* larger buckets"
        ):
            index.load(range(900), random_codes(900, LAYOUT))
        assert everything(client) == before


def in_the_middle(monkeypatch: pytest.MonkeyPatch, what: Callable[[], None]) -> None:
    """Have something done between two steps of a load: in every shard, when buckets and some pages are written."""
    whole = bulk.places_of

    def stopping(*arguments: Any) -> Iterator[bytes]:
        for number, stored in enumerate(whole(*arguments)):
            if number == bulk.BATCH_KEYS + 1:
                what()
            yield stored

    monkeypatch.setattr(bulk, "places_of", stopping)


@pytest.mark.parametrize("shards", [1, 2])
def test_nobody_reads_or_writes_an_index_that_is_being_loaded(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    """Who has it open is told so, as is who opens it; and then it is there."""
    codes, asked = random_codes(2000, LAYOUT), []
    with (
        Index.create(redis_url, "x", LAYOUT, shards=shards) as index,
        Index.open(redis_url, "x") as other,
        Index.open(redis_url, "x", cache_bytes=1 << 20) as keeping,
    ):
        reading: list[Callable[[], object]] = [
            lambda: other.search(codes[:1]),
            lambda: keeping.search(codes[:1]),
            lambda: other.load([1], codes[:1]),
            lambda: len(other),
            lambda: Index.open(redis_url, "x"),
        ]
        writing: list[Callable[[], object]] = [
            lambda: other.add(range(9), codes[:9]),
            lambda: other.delete(range(9)),
        ]

        def try_all() -> None:
            for attempt in reading:
                with pytest.raises(IndexMissing, match="loaded in bulk"):
                    attempt()
            for attempt in writing:
                with pytest.raises(IndexMissing):
                    attempt()
            with pytest.raises(IndexExists, match="half-loaded"):
                Index.create(redis_url, "x", LAYOUT)
            asked.append(True)

        for reader in (other, keeping):
            assert reader.search(codes[:1])[0].ids == []
        in_the_middle(monkeypatch, try_all)
        index.load(range(2000), codes)
        assert len(asked) == shards
        for reader in (other, keeping):
            assert reader.search(codes[7:8], 2000)[0].candidates == 2000
        assert check_index(redis_url, "x").clean


@pytest.mark.parametrize("shards", [1, 3])
def test_a_load_that_was_cut_short_leaves_an_index_to_be_dropped(
    redis_url: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    """As where its process is killed: opening says what to do, and dropping leaves nothing behind."""

    def die() -> None:
        monkeypatch.setattr(bulk, "_undo", lambda *_: None)
        raise KeyboardInterrupt

    in_the_middle(monkeypatch, die)
    client.set("hg:{xy:0}:b:000000", "somebody else's")
    with Index.create(redis_url, "x", LAYOUT, shards=shards) as index, pytest.raises(KeyboardInterrupt):
        index.load([f"item {n}" for n in range(2000)], random_codes(2000, LAYOUT))
    with pytest.raises(IndexMissing, match="loaded in bulk, or that was cut short.*hashgrain index drop x --yes"):
        Index.open(redis_url, "x")
    drop_index(redis_url, "x")
    assert list(client.scan_iter()) == [b"hg:{xy:0}:b:000000"]


@pytest.mark.parametrize("shards", [1, 3])
def test_a_load_that_is_interrupted_is_taken_back(
    redis_url: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    """The index is empty again, and of use."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with Index.create(redis_url, "x", LAYOUT, shards=shards) as index, monkeypatch.context() as patch:
        before = everything(client)
        in_the_middle(patch, interrupt)
        with pytest.raises(KeyboardInterrupt):
            index.load([f"item {n}" for n in range(2000)], random_codes(2000, LAYOUT))
        assert everything(client) == before
        patch.undo()
        assert index.load(range(2000), random_codes(2000, LAYOUT)) == 2000
        assert check_index(redis_url, "x").clean


@pytest.mark.parametrize("shards", [1, 3])
def test_memory_that_runs_out_half_way_leaves_the_index_empty(
    redis_url: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    """And says that nothing was loaded."""
    with Index.create(redis_url, "x", LAYOUT, shards=shards) as index:
        before = everything(client)
        in_the_middle(monkeypatch, lambda: client.config_set("maxmemory", 1) and None)
        with pytest.raises(StoreFull, match="maxmemory.*nothing was loaded, the index is as empty as before"):
            index.load(range(2000), random_codes(2000, LAYOUT))
        assert everything(client) == before
        client.config_set("maxmemory", 0)
        index.add([1], random_codes(1, LAYOUT))
        assert len(index) == 1


def test_memory_that_is_full_from_the_start_refuses_the_load(redis_url: str, client: redis.Redis) -> None:
    with Index.create(redis_url, "x", LAYOUT) as index:
        before = everything(client)
        client.config_set("maxmemory", 1)
        with pytest.raises(StoreFull, match="nothing was loaded"):
            index.load([1], random_codes(1, LAYOUT))
        assert everything(client) == before


def test_memory_that_runs_out_at_the_very_end_does_not_matter(
    redis_url: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All items are written by then."""
    finish = bulk._ShardLoad.finish

    def full(load: Any) -> None:
        client.config_set("maxmemory", 1)
        finish(load)

    monkeypatch.setattr(bulk._ShardLoad, "finish", full)
    with Index.create(redis_url, "x", LAYOUT) as index:
        assert index.load(range(500), random_codes(500, LAYOUT)) == 500
        assert len(index) == 500


def test_an_index_that_was_dropped_and_made_anew_meanwhile_is_left_alone(
    redis_url: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loader writes nothing more, and takes nothing away."""
    seen = []

    def replace() -> None:
        drop_index(redis_url, "x")
        with Index.create(redis_url, "x", LAYOUT) as other:
            other.add(range(9), random_codes(9, LAYOUT))
        seen.append(everything(client))

    with Index.create(redis_url, "x", LAYOUT) as index:
        in_the_middle(monkeypatch, replace)
        with pytest.raises(IndexMissing, match="dropped since it was opened"):
            index.load(range(2000), random_codes(2000, LAYOUT))
    assert everything(client) == seen[0]
    assert check_index(redis_url, "x").clean


def test_what_cannot_be_taken_back_is_said(
    redis_url: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one shard is shown already, and another fails."""
    finish = bulk._ShardLoad.finish

    def fail_at_first(load: Any) -> None:
        if load.shard.keys.shard == 0:
            raise StoreError("no more of it")
        finish(load)

    with Index.create(redis_url, "x", LAYOUT, shards=2) as index, monkeypatch.context() as patch:
        patch.setattr(bulk._ShardLoad, "finish", fail_at_first)
        with pytest.raises(StoreError, match="cut short.*no more of it.*could not be undone.*drop it with"):
            index.load(range(200), random_codes(200, LAYOUT))
    assert client.hget(ShardKeys("x", 0).meta, "state") == b"loading"
    with pytest.raises(IndexMissing, match="loaded in bulk"):
        Index.open(redis_url, "x")
    drop_index(redis_url, "x")
    assert list(client.scan_iter()) == []
