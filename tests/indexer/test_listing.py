"""All items of an index, once each, while it is written to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from hashgrain.codes.errors import IndexCorrupt, IndexMissing
from hashgrain.indexer import Index, ItemId, StoredItems, create_generation, switch_generation
from hashgrain.indexer.managing.lifecycle import open_shards
from hashgrain.indexer.managing.listing import listed
from hashgrain.indexer.wire.connection import Connection
from listed_items import LAYOUT, versions_of, write, writers

MIXED: list[ItemId] = [*range(-50, 400), *(f"item {n}" for n in range(300)), -(1 << 63), (1 << 63) - 1, "5", "é"]


def in_small_ranges(url: str, name: str) -> Iterator[StoredItems]:
    """As `Index.items`, but with handles gathered for 200 items at a time, so that there are many ranges."""
    return map(StoredItems, listed(open_shards(Connection.to(url), name), gathered=200))


@pytest.mark.parametrize("shards", [1, 3])
def test_every_item_of_either_kind_of_id_comes_once(redis_url: str, shards: int) -> None:
    with Index.create(redis_url, "photos", LAYOUT, shards=shards, bucket_items=16) as index:
        write(index, MIXED, range(len(MIXED)))
        wanted = {id_: n for n, id_ in enumerate(MIXED)}
        assert versions_of(list(index.items())) == wanted
        assert versions_of(list(in_small_ranges(redis_url, "photos"))) == wanted


def test_an_empty_index_has_no_items(redis_url: str) -> None:
    with Index.create(redis_url, "photos", LAYOUT, shards=2) as index:
        assert list(index.items()) == []


def test_items_without_payloads_come_without(redis_url: str) -> None:
    with Index.create(redis_url, "photos", LAYOUT) as index:
        write(index, [1], [1])
        index.add(["a"], next(index.items()).codes)
        assert sorted((str(id_), payload) for part in index.items() for id_, payload in rows(part)) == [
            ("1", {"v": 1}),
            ("a", None),
        ]


def rows(part: StoredItems) -> Iterator[tuple[ItemId, dict[str, object] | None]]:
    yield from zip(part.ids, part.payloads, strict=True)


@pytest.mark.parametrize("shards", [1, 2])
def test_under_writers_each_item_that_stays_comes_once_in_a_state_that_it_had(redis_url: str, shards: int) -> None:
    """Writers add (buckets split, pages are made), replace (items move to other buckets) and delete all the while."""
    still: list[ItemId] = [*range(600), *(f"still {n}" for n in range(300))]
    replaced: list[ItemId] = [*range(1000, 1200), *(f"replaced {n}" for n in range(100))]
    with Index.create(redis_url, "photos", LAYOUT, shards=shards, bucket_items=16) as index:
        write(index, still, range(len(still)))
        write(index, replaced, [10_000] * len(replaced))
        before = index.stats().buckets
        with writers(redis_url, replaced):
            for _ in range(4):
                found = versions_of(list(in_small_ranges(redis_url, "photos")))
                assert {id_: found.get(id_) for id_ in still} == {id_: n for n, id_ in enumerate(still)}
                assert set(replaced) <= set(found)
                assert all(isinstance(id_, int) and id_ >= 1_000_000 for id_ in set(found) - {*still, *replaced})
        assert index.stats().buckets > before + 20, "no splits happened: nothing was tested"


def test_a_list_goes_on_with_the_generation_that_it_began_with(redis_url: str) -> None:
    with Index.create(redis_url, "photos", LAYOUT, shards=2) as index:
        write(index, range(3000), range(3000))
        items = index.items()
        found = [next(items)]
        create_generation(redis_url, "photos", LAYOUT)
        switch_generation(redis_url, "photos")
        assert versions_of([*found, *items]) == {n: n for n in range(3000)}
        assert list(index.items()) == []


def test_a_list_ends_with_an_error_where_the_index_is_dropped(redis_url: str) -> None:
    with Index.create(redis_url, "photos", LAYOUT) as index:
        write(index, range(2500), range(2500))
        items = in_small_ranges(redis_url, "photos")
        next(items)
        index.drop()
    with pytest.raises(IndexMissing, match="dropped"):
        list(items)


def test_a_lost_record_is_an_error_and_not_a_shorter_list(redis_url: str) -> None:
    with Index.create(redis_url, "photos", LAYOUT) as index:
        write(index, range(20), range(20))
        redis.Redis.from_url(redis_url).set("hg:{photos:0}:b:000000", b"")
        with pytest.raises(IndexCorrupt, match="index check photos --repair"):
            list(index.items())
