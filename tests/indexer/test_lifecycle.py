"""Creating, opening, listing and dropping: whole or not at all, and never somebody else's."""

from __future__ import annotations

import re
from typing import Any

import pytest
import redis

import hashgrain.indexer.managing.lifecycle as lifecycle
from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import IndexCorrupt, IndexExists, IndexMissing, InvalidInput, SchemaMismatch
from hashgrain.indexer import Index, drop_index, list_indexes
from random_codes import random_codes

LAYOUT = CodeLayout(16, 64)

script = lifecycle.script


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


class CutShortError(Exception):
    """Stands for the death of a process in the middle of its work."""


def cut_after(calls: int, monkeypatch: pytest.MonkeyPatch, function: str, holder: Any = lifecycle) -> None:
    """Let a function of `lifecycle`, or a method of another holder, work `calls` times, then fail."""
    whole, done = getattr(holder, function), []

    def counted(*arguments: Any) -> Any:
        if len(done) == calls:
            raise CutShortError
        done.append(1)
        return whole(*arguments)

    monkeypatch.setattr(holder, function, counted)


def die_at_commit(name: str) -> str:
    """Stands in for `lifecycle.script`."""
    if name == "commit":
        raise CutShortError
    return script(name)


@pytest.mark.parametrize("shards", [1, 3])
def test_an_index_opens_as_it_was_created(redis_url: str, shards: int) -> None:
    Index.create(redis_url, "x", LAYOUT, fingerprint="abc", shards=shards).close()
    with Index.open(redis_url, "x") as index:
        assert (index.name, index.layout, index.fingerprint, index.stats().shards) == ("x", LAYOUT, "abc", shards)


def test_creating_twice_is_refused_and_leaves_the_first_alone(redis_url: str) -> None:
    with Index.create(redis_url, "x", LAYOUT) as index:
        index.add(["a"], random_codes(1, LAYOUT))
        with pytest.raises(IndexExists, match="an index 'x' is in Redis at .* already"):
            Index.create(redis_url, "x", CodeLayout(8, 32), shards=2)
        assert index.search(random_codes(1, LAYOUT))[0].ids == ["a"]


def test_a_missing_index_is_told_with_the_next_step(redis_url: str) -> None:
    with pytest.raises(IndexMissing, match=r"no index 'x' in Redis at .*hashgrain index create x"):
        Index.open(redis_url, "x")
    with pytest.raises(IndexMissing, match="hashgrain index list"):
        drop_index(redis_url, "x")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "a b"}, "cannot name an index"),
        ({"layout": (16, 64)}, "layout must be a CodeLayout"),
        ({"fingerprint": ""}, "fingerprint must be a non-empty string"),
        ({"fingerprint": 5}, "fingerprint must be a non-empty string"),
        ({"shards": 0}, "1 to 1024 shards"),
        ({"bucket_items": 3}, "more than bucket_items, 4 to 65536 items, got 3"),
    ],
)
def test_what_cannot_be_created_leaves_nothing(
    redis_url: str, client: redis.Redis, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        Index.create(**{"redis_url": redis_url, "name": "x", "layout": LAYOUT, **arguments})
    assert client.keys() == []


@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_creation_cut_short_is_no_index_and_can_be_cleaned_up(
    redis_url: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    with monkeypatch.context() as patch:
        if done < 3:
            cut_after(done, patch, "_write_header")
        else:  # all headers are written, the commit is not
            patch.setattr(lifecycle, "script", die_at_commit)
        with pytest.raises(CutShortError):
            Index.create(redis_url, "x", LAYOUT, shards=3)
    with pytest.raises(IndexMissing, match=r"being created.*hashgrain index drop x --yes"):
        Index.open(redis_url, "x")
    with pytest.raises(IndexExists, match=r"a half-made index 'x'.*hashgrain index drop x --yes"):
        Index.create(redis_url, "x", LAYOUT)
    assert list_indexes(redis_url) == []
    drop_index(redis_url, "x")
    assert client.keys() == []


def test_headers_that_a_dead_creator_left_in_other_shards_do_not_stand_in_the_way(
    redis_url: str, client: redis.Redis
) -> None:
    Index.create(redis_url, "x", CodeLayout(8, 32), shards=3).close()
    client.delete(*client.keys("hg:{x:0}:*"))
    with Index.create(redis_url, "x", LAYOUT, shards=3) as index:
        index.add(range(20), random_codes(20, LAYOUT))
    with Index.open(redis_url, "x") as index:
        assert (len(index), index.layout) == (20, LAYOUT)


def test_a_creator_whose_index_was_dropped_meanwhile_is_told(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def dropped_first(name: str) -> str:
        if name == "commit":
            drop_index(redis_url, "x")
        return script(name)

    monkeypatch.setattr(lifecycle, "script", dropped_first)
    with pytest.raises(IndexExists, match="while it was being created"):
        Index.create(redis_url, "x", LAYOUT, shards=2)


@pytest.mark.parametrize("done", [0, 1, 6])
def test_a_drop_cut_short_goes_on_when_it_is_repeated(
    redis_url: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    with Index.create(redis_url, "x", LAYOUT, shards=3, bucket_items=8) as index:
        index.add([f"i{n}" for n in range(100)], random_codes(100, LAYOUT), [{"n": n} for n in range(100)])
        with monkeypatch.context() as patch:
            patch.setattr(lifecycle, "_AT_ONCE", 2)
            cut_after(done, patch, "unlink", redis.Redis)
            with pytest.raises(CutShortError):
                index.drop()
        assert len(client.keys()) > 20
        for call in (
            lambda: index.search(random_codes(1, LAYOUT)),
            lambda: index.add(["a"], random_codes(1, LAYOUT)),
            lambda: index.delete([1]),
            lambda: len(index),
            lambda: index.stats(),
        ):
            with pytest.raises(IndexMissing, match="was dropped since it was opened"):
                call()
    with pytest.raises(IndexMissing, match=r"being dropped.*hashgrain index drop x --yes"):
        Index.open(redis_url, "x")
    with pytest.raises(IndexExists, match="a half-dropped index"):
        Index.create(redis_url, "x", LAYOUT)
    assert list_indexes(redis_url) == []
    drop_index(redis_url, "x")
    assert client.keys() == []


@pytest.mark.parametrize("shards", [1, 2])
def test_an_object_of_a_dropped_index_does_not_touch_its_successor(redis_url: str, shards: int) -> None:
    old = Index.create(redis_url, "x", LAYOUT, shards=shards)
    old.add(["a"], random_codes(1, LAYOUT))
    old.search(random_codes(1, LAYOUT))  # its directory is cached now
    drop_index(redis_url, "x")
    with Index.create(redis_url, "x", LAYOUT, shards=shards) as new, old:
        new.add(["b"], random_codes(1, LAYOUT))
        for call in (
            lambda: old.add(["c"], random_codes(1, LAYOUT)),
            lambda: old.delete(["b"]),
            lambda: old.search(random_codes(1, LAYOUT)),
            lambda: len(old),
            old.drop,
        ):
            with pytest.raises(IndexMissing, match="open it again if it was created anew"):
                call()
        assert new.search(random_codes(1, LAYOUT))[0].ids == ["b"]


def test_indexes_are_listed_by_name_among_other_keys(redis_url: str, client: redis.Redis) -> None:
    assert list_indexes(redis_url) == []
    for name, shards in (("b", 1), ("a", 3), ("c.d-e_f", 1)):
        Index.create(redis_url, name, LAYOUT, shards=shards).close()
    client.set("hg:{other:0}:meta", "not an index")
    client.set("unrelated", "x")
    assert list_indexes(redis_url) == ["a", "b", "c.d-e_f"]


def test_another_schema_version_is_refused(redis_url: str, client: redis.Redis) -> None:
    Index.create(redis_url, "x", LAYOUT).close()
    client.hset("hg:{x:0}:meta", "schema", "1")
    for call in (lambda: Index.open(redis_url, "x"), lambda: drop_index(redis_url, "x")):
        with pytest.raises(SchemaMismatch, match="schema version 1, this code knows 3"):
            call()


def test_a_header_without_a_field_is_told(redis_url: str, client: redis.Redis) -> None:
    Index.create(redis_url, "x", LAYOUT).close()
    client.hdel("hg:{x:0}:meta", "fine_bits")
    with pytest.raises(IndexCorrupt, match=r"hg:\{x:0\}:meta has no field fine_bits"):
        Index.open(redis_url, "x")


@pytest.mark.parametrize("damage", ["missing", "foreign"])
def test_a_shard_that_does_not_belong_is_told(redis_url: str, client: redis.Redis, damage: str) -> None:
    Index.create(redis_url, "x", LAYOUT, shards=2).close()
    if damage == "missing":
        client.delete("hg:{x:1}:meta")
    else:
        client.hset("hg:{x:1}:meta", "incarnation", "5")
    with pytest.raises(IndexCorrupt, match=r"hg:\{x:1\}:meta (is missing|does not belong)"):
        Index.open(redis_url, "x")


def test_keys_of_another_service_are_neither_read_nor_overwritten(redis_url: str, client: redis.Redis) -> None:
    client.set("hg:{x:0}:meta", "theirs")
    for call in (lambda: Index.open(redis_url, "x"), lambda: Index.create(redis_url, "x", LAYOUT)):
        with pytest.raises(IndexCorrupt, match="another service uses that key"):
            call()
    client.delete("hg:{x:0}:meta")
    for key in ("hg:{x:0}:payloads", "hg:{x:0}:b:000000"):
        client.set(key, "theirs")
        with pytest.raises(IndexCorrupt, match=f"{re.escape(key)} exists, though there is no index 'x'"):
            Index.create(redis_url, "x", LAYOUT)
        assert client.keys() == [key.encode()]
        assert client.getdel(key) == b"theirs"
