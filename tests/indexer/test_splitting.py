"""Splits: buckets stay small, every item is found where it went, and what comes and goes leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import redis

from hashgrain.codes import CodeLayout
from hashgrain.indexer import Index, check_index
from hashgrain.indexer.adding import splitting, writing
from hashgrain.indexer.stored.keys import ShardKeys
from random_codes import random_codes
from stored_buckets import stored_buckets

LAYOUT = CodeLayout(12, 64)
SIZE = 8


@pytest.fixture
def index(redis_url: str) -> Iterator[Index]:
    with Index.create(redis_url, "x", LAYOUT, bucket_items=SIZE) as created:
        yield created


@pytest.fixture
def other(redis_url: str, index: Index) -> Iterator[Index]:
    """Another writer of the same index."""
    with Index.open(redis_url, index.name) as opened:
        yield opened


@pytest.fixture
def require_whole(redis_url: str, index: Index) -> Callable[[set[Any]], None]:
    """That the index is stored as it should be, holds these items, and finds each one's place."""

    def require(ids: set[Any]) -> None:
        assert check_index(redis_url, index.name).findings == ()
        members = [item for bucket in stored_buckets(redis_url, index.name) for item in bucket.members]
        assert len(members) == len(ids)
        assert set(members) == ids
        assert index.delete(list(ids)) == len(ids)

    return require


def test_a_bucket_is_split_when_it_outgrows_its_size(index: Index) -> None:
    index.add(range(SIZE), random_codes(SIZE, LAYOUT))
    assert index.stats().buckets == 1
    index.add([SIZE], random_codes(1, LAYOUT, 1))
    assert index.stats().buckets == 2


@pytest.mark.parametrize("flips", [0.0, 0.02, 0.3])
def test_all_buckets_are_small_after_one_large_write(
    index: Index, require_whole: Callable[[set[Any]], None], flips: float
) -> None:
    """Even if all items are alike."""
    ids = [n if n % 2 else f"i{n}" for n in range(400)]
    index.add(ids, random_codes(400, LAYOUT, flips=flips))
    found = index.stats()
    assert found.largest_bucket <= SIZE
    assert 400 / SIZE <= found.buckets <= 4 * 400 / SIZE
    require_whole(set(ids))


@pytest.mark.parametrize("flips", [0.0, 0.02, 0.2])
def test_replacing_again_and_again_grows_neither_the_buckets_nor_their_number(index: Index, flips: float) -> None:
    some = random_codes(100, LAYOUT, centres=1, flips=flips)
    for _ in range(30):
        index.add(range(100), some)
        index.delete(range(0, 100, 2))
        index.add(range(100), some)
    found = index.stats()
    assert found.items == 100
    assert found.buckets <= 120
    assert found.largest_bucket <= SIZE + 15, "up to 15 holes wait to be filled"


def test_items_that_come_and_go_elsewhere_leave_no_empty_buckets_behind(index: Index) -> None:
    """The splits take the buckets that were emptied, wherever these are."""
    for era in range(40):
        index.add(range(60), random_codes(60, LAYOUT, era, centres=2, flips=0.05, era=era))
        index.delete(range(60))
    assert index.stats().buckets <= 120


def test_a_bucket_that_changes_while_it_is_split_is_read_anew(
    index: Index, other: Index, require_whole: Callable[[set[Any]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time something else: an item more, one less, one replaced."""
    index.add(range(SIZE), random_codes(SIZE, LAYOUT))
    changes = [
        lambda: other.delete([1]),
        lambda: other.add([0], random_codes(1, LAYOUT, 5)),
    ]
    tries = before_each_split(index, changes, monkeypatch)
    index.add(["a", "b"], random_codes(2, LAYOUT, 2))
    assert len(tries) == 3
    assert index.stats().buckets == 2
    require_whole({0, *range(2, SIZE), "a", "b"})


def test_a_bucket_that_another_writer_has_split_is_left_to_that(
    index: Index, other: Index, require_whole: Callable[[set[Any]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(range(SIZE), random_codes(SIZE, LAYOUT))
    tries = before_each_split(index, [lambda: other.add(["b"], random_codes(1, LAYOUT, 3))], monkeypatch)
    index.add(["a"], random_codes(1, LAYOUT, 2))
    assert len(tries) == 1
    assert index.stats().buckets == 2
    require_whole({*range(SIZE), "a", "b"})


def test_an_empty_bucket_that_is_filled_meanwhile_is_not_overwritten(
    index: Index,
    other: Index,
    redis_url: str,
    require_whole: Callable[[set[Any]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    near, far = (random_codes(30, LAYOUT, seed, centres=1, era=seed) for seed in (0, 1))
    index.add(range(30), near)
    index.add(range(30, 60), far)
    filled = next(n for n, bucket in enumerate(stored_buckets(redis_url, "x")) if 30 in bucket.members)
    with monkeypatch.context() as patch:
        patch.setattr(writing, "merge_sparse", lambda *arguments: None)
        index.delete(range(30, 60))
    tries = before_each_split(index, [lambda: other.add(range(30, 60), far)], monkeypatch)
    choose = splitting._an_empty_one
    monkeypatch.setattr(splitting, "_an_empty_one", lambda *asked: choose(*asked) if tries else filled)
    index.add(range(60, 80), near[:20])
    assert tries[0][0] == tries[1][0], "the same bucket is split in another way"
    assert tries[0][3] == filled != tries[1][3]
    require_whole(set(range(80)))


def test_a_bucket_that_a_dead_writer_left_large_is_split_by_the_next(
    index: Index, other: Index, require_whole: Callable[[set[Any]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class DeadError(Exception):
        """Stands for the death of a process."""

    def die(*arguments: Any) -> None:
        raise DeadError

    with monkeypatch.context() as patch:
        patch.setattr(writing, "split_overfull", die)
        with pytest.raises(DeadError):
            index.add(range(50), random_codes(50, LAYOUT))
    assert (len(index), index.stats().buckets, index.stats().largest_bucket) == (50, 1, 50)
    other.add([50], random_codes(1, LAYOUT, 1))
    assert index.stats().largest_bucket <= SIZE
    require_whole(set(range(51)))


def before_each_split(
    index: Index, changes: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch
) -> list[tuple[Any, ...]]:
    """Do one thing after another, each when a bucket was read and is about to be split; returns the attempts."""
    shard, write, tries = index._shards[0], index._shards[0].write, []

    def changed_first(name: str, *arguments: Any) -> Any:
        if name == "split":
            tries.append(arguments)
            if len(tries) <= len(changes):
                changes[len(tries) - 1]()
        return write(name, *arguments)

    monkeypatch.setattr(shard, "write", changed_first)
    return tries


def test_halves_lie_within_the_radii_of_their_centroids(index: Index, redis_url: str) -> None:
    """`stored_buckets` requires it of every record."""
    for seed in range(5):
        index.add(range(100 * seed, 100 * seed + 100), random_codes(100, LAYOUT, seed, flips=0.2))
    buckets = stored_buckets(redis_url, "x")
    assert sum(len(bucket.members) for bucket in buckets) == 500
    assert np.mean([bucket.fine_radius for bucket in buckets]) < LAYOUT.fine_bits / 3


def test_a_change_in_the_place_of_a_lost_one_has_another_stamp(redis_url: str, index: Index, other: Index) -> None:
    """A server that fails may take its last writes along: who has seen them must not go by their partition."""
    codes, client = random_codes(40, LAYOUT, centres=20, flips=0.3), redis.Redis.from_url(redis_url)
    stamp = ShardKeys("x", 0).stamp
    index.add(range(SIZE), codes[:SIZE])
    before = {key: client.dump(key) for key in client.scan_iter()}
    stamps = []
    for n in range(SIZE, 40):
        index.add([n], codes[n : n + 1])  # the same number of changes each time: a bucket is split
        stamps.append(client.get(stamp))
        assert n in other.search(codes[n : n + 1], 1, within=0)[0].ids
        client.flushall()
        for key, value in before.items():
            client.restore(key, 0, value)  # type: ignore[arg-type]
        index._shards[0].reroute()
    assert len(set(stamps)) == len(stamps)
