"""Merges: an index that loses items is as small, and as good to search, as one that never had them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import redis

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.hamming import hamming
from hashgrain.indexer import Index, ReferenceIndex, check_index
from hashgrain.indexer.adding import writing
from hashgrain.indexer.stored.shard import Shard
from plain_answers import as_plain
from random_codes import random_codes
from stored_buckets import stored_buckets

LAYOUT = CodeLayout(12, 64)
SIZE = 40
QUESTIONS: list[dict[str, Any]] = [{"exact": True}, {"candidates": 40}, {"probes": 3, "rank": "fine"}, {"within": 20}]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """By script, how often a writer of this process has run it and it did something."""
    counts = {"merge": 0, "vacate": 0, "split": 0}
    write = Shard.write

    def counted(self: Shard, name: str, *arguments: Any) -> list[Any]:
        reply = write(self, name, *arguments)
        if name in counts:
            counts[name] += reply == [1]
        return reply

    monkeypatch.setattr(Shard, "write", counted)
    return counts


def some_items(count: int, flips: float = 0.12) -> HashCodes:
    return random_codes(count, LAYOUT, 1, centres=12, flips=flips)


def by_region(codes: HashCodes) -> list[int]:
    """All items, the nearest to one of them first, so that deleting them empties one region after another."""
    away = hamming(codes.fine[:1], codes.fine)[0] + hamming(codes.coarse[:1], codes.coarse)[0]
    return [int(n) for n in np.argsort(away, kind="stable")]


@pytest.mark.parametrize("regions", [False, True])
def test_an_index_that_lost_nine_of_ten_items_is_like_one_that_never_had_them(
    redis_url: str, done: dict[str, int], regions: bool
) -> None:
    codes = some_items(4000)
    order = by_region(codes) if regions else [int(n) for n in np.random.default_rng(2).permutation(4000)]
    left = sorted(order[3600:])
    with (
        Index.create(redis_url, "shrunk", LAYOUT, bucket_items=64) as shrunk,
        Index.create(redis_url, "fresh", LAYOUT, bucket_items=64) as fresh,
    ):
        shrunk.add(range(4000), codes)
        before = shrunk.stats()
        assert shrunk.delete(order[:3600]) == 3600
        fresh.add(left, codes[np.array(left)])
        now, wanted = shrunk.stats(), fresh.stats()
        assert (now.items, done["vacate"] > 0) == (400, True)
        assert now.buckets <= 2 * wanted.buckets < before.buckets / 4
        assert now.memory <= 1.6 * wanted.memory < before.memory / 3
        assert compared(shrunk, codes[np.array(left[::10])]) <= 1.5 * compared(fresh, codes[np.array(left[::10])])
    assert check_index(redis_url, "shrunk").findings == ()


def compared(index: Index, queries: HashCodes) -> float:
    """How many items a search compares that finds all within some bits."""
    return float(np.mean([hit.candidates for hit in index.search(queries, 1000, within=8)]))


def test_what_is_left_of_everything_is_one_empty_bucket_and_a_page(redis_url: str) -> None:
    with Index.create(redis_url, "x", LAYOUT, bucket_items=SIZE) as index:
        ids = [n if n % 2 else f"i{n}" for n in range(900)]
        index.add(ids, some_items(900))
        assert index.delete(ids) == 900
        assert (len(index), index.stats().buckets) == (0, 1)
        index.add(ids, some_items(900))
        assert len(index.get(ids)) == 900
    assert check_index(redis_url, "x").findings == ()


def test_names_stay_with_the_places_where_pages_go_back_into_others(redis_url: str) -> None:
    with (
        Index.create(redis_url, "x", LAYOUT, shards=2) as index,
        Index.open(redis_url, "x", cache_bytes=1 << 20) as hot,
    ):
        ids = [f"i{n}" for n in range(1500)]
        codes = some_items(1500)
        index.add(ids, codes, [{"n": n} for n in range(1500)])
        wanted = {id_: {"n": n} for n, id_ in enumerate(ids)}
        for first in range(0, 1400, 200):
            index.delete(ids[first : first + 200])
            for id_ in ids[first : first + 200]:
                del wanted[id_]
            for reader in (index, hot):
                hit = reader.search(codes[:1], 2000, exact=True, payloads=True)[0]
                assert hit.payloads is not None
                assert dict(zip(hit.ids, hit.payloads, strict=True)) == wanted
            assert sorted(index.ids(2000).ids, key=str) == sorted(wanted)
    pages = [redis.Redis.from_url(redis_url).hget(f"hg:{{x:{shard}}}:meta", "pages") for shard in (0, 1)]
    assert all(int(page or 0) <= 3 for page in pages), "there were eight"  # type: ignore[arg-type]
    assert check_index(redis_url, "x").findings == ()


@pytest.mark.parametrize("seed", range(3))
def test_every_answer_equals_the_reference_while_buckets_are_split_and_merged(
    redis_url: str, done: dict[str, int], seed: int
) -> None:
    """Whole regions come and go, some items are moved by a new code; one reader keeps buckets all along."""
    rng = np.random.default_rng(seed)
    twin, there = ReferenceIndex(LAYOUT), {}
    with (
        Index.create(redis_url, "x", LAYOUT, shards=1 + seed % 2, bucket_items=SIZE) as index,
        Index.open(redis_url, "x", cache_bytes=[1500, 1 << 20][seed % 2]) as keeping,
    ):
        for step in range(14):
            era, ids = int(rng.integers(4)), None
            if step % 2 == 0:
                codes = random_codes(150, LAYOUT, step, flips=0.1, era=era)
                ids = [n if n % 3 else f"i{n}" for n in rng.permutation(600)[:150].tolist()]
                for one in (index, twin):
                    one.add(ids, codes)
                there |= dict.fromkeys(ids, era)
            else:
                ids = [item for item, where in there.items() if where == era or rng.random() < 0.3]
                assert index.delete(ids) == twin.delete(ids) == len(ids)
                there = {item: where for item, where in there.items() if item not in set(ids)}
            buckets = stored_buckets(redis_url, "x")
            queries = random_codes(3, LAYOUT, 100 + step, era=era)
            for question in QUESTIONS:
                wanted = [as_plain(hit) for hit in twin.search(queries, 5, buckets=buckets, **question)]
                for reader in (index, keeping):
                    assert [as_plain(hit) for hit in reader.search(queries, 5, **question)] == wanted, question
        assert check_index(redis_url, "x").findings == ()
    assert min(done.values()) > 0, done


@pytest.fixture
def index(redis_url: str) -> Iterator[Index]:
    """Two regions, each in a bucket of its own; of the first, `shrink` leaves 9 items, for which the other has room."""
    with Index.create(redis_url, "x", LAYOUT, bucket_items=SIZE) as created:
        for region, items in enumerate((30, 20)):
            ids = range(100 * region, 100 * region + items)
            created.add(ids, random_codes(items, LAYOUT, region, centres=1, flips=0.02, era=region))
        yield created


def shrink(index: Index) -> None:
    index.delete(range(21))


def before_each(script: str, changes: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Do one thing after another, each when a script is about to run; returns the replies of the script."""
    write, replies = Shard.write, []

    def changed_first(self: Shard, name: str, *arguments: Any) -> Any:
        if name != script:
            return write(self, name, *arguments)
        if changes:
            changes.pop(0)()
        replies.append(write(self, name, *arguments))
        return replies[-1]

    monkeypatch.setattr(Shard, "write", changed_first)
    return replies


def require(index: Index, redis_url: str, ids: set[int]) -> None:
    assert check_index(redis_url, "x").findings == ()
    assert set(index.search(random_codes(1, LAYOUT), 1000, exact=True)[0].ids) == ids
    assert index.delete(list(ids)) == len(ids), "each is found where its place says"


def test_a_bucket_that_changes_while_it_is_merged_is_read_anew(
    index: Index, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Index.open(redis_url, "x") as other:
        code = random_codes(1, LAYOUT, 5, centres=1, flips=0.02)
        replies = before_each("merge", [lambda: other.add([25], code), lambda: other.delete([26])], monkeypatch)
        shrink(index)
    assert replies == [[0], [0], [1]]
    assert index.stats().buckets == 1
    require(index, redis_url, ({*range(21, 30)} - {26}) | {*range(100, 120)})


def test_a_bucket_is_not_merged_into_one_that_it_would_fill(index: Index, redis_url: str, done: dict[str, int]) -> None:
    index.add(range(200, 205), random_codes(5, LAYOUT, 7, centres=1, flips=0.02, era=1))
    shrink(index)
    assert (index.stats().buckets, done["merge"]) == (2, 0)
    require(index, redis_url, {*range(21, 30), *range(100, 120), *range(200, 205)})


def test_an_emptied_bucket_that_is_filled_meanwhile_stays(
    index: Index, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Index.open(redis_url, "x") as other:
        again = random_codes(30, LAYOUT, 0, centres=1, flips=0.02)
        replies = before_each("vacate", [lambda: other.add(range(30), again)], monkeypatch)
        shrink(index)
    assert replies[0] == [0]
    require(index, redis_url, {*range(30), *range(100, 120)})


@pytest.mark.parametrize("script", ["merge", "vacate"])
def test_a_writer_that_dies_before_it_merges_leaves_an_index_that_goes_on(
    index: Index, redis_url: str, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    class DeadError(Exception):
        """Stands for the death of a process."""

    def die() -> None:
        raise DeadError

    with monkeypatch.context() as patch:
        before_each(script, [die], patch)
        with pytest.raises(DeadError):
            shrink(index)
    require(index, redis_url, {*range(21, 30), *range(100, 120)})


def test_a_full_store_is_emptied_though_nothing_can_be_merged(index: Index, redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    client.config_set("maxmemory", 1)
    try:
        assert index.delete([*range(30), *range(100, 110)]) == 40
    finally:
        client.config_set("maxmemory", 0)
    assert index.stats().buckets == 2
    require(index, redis_url, {*range(110, 120)})


def test_a_damaged_neighbour_is_no_reason_to_refuse_a_deletion(index: Index, redis_url: str) -> None:
    redis.Redis.from_url(redis_url).append("hg:{x:0}:b:000000", "!")
    redis.Redis.from_url(redis_url).append("hg:{x:0}:b:000001", "!")
    assert index.delete([*range(21), *range(100, 115)]) == 36
    assert [finding.kind for finding in check_index(redis_url, "x", repair=True).findings] == ["torn-bucket"] * 2
    require(index, redis_url, {*range(21, 30), *range(115, 120)})


def test_a_merge_leaves_payloads_and_attributes_alone(redis_url: str, done: dict[str, int]) -> None:
    with Index.create(redis_url, "x", LAYOUT, bucket_items=SIZE, fields={"n": "integer"}) as index:
        for region, items in enumerate((30, 20)):
            ids = range(100 * region, 100 * region + items)
            codes = random_codes(items, LAYOUT, region, centres=1, flips=0.02, era=region)
            index.add(ids, codes, [{"n": n} for n in ids])
        shrink(index)
        assert (index.stats().buckets, done["merge"]) == (1, 1)
        hit = index.search(codes[:1], 100, exact=True, payloads=True, filter={"n": {"lt": 50}})[0]
        assert dict(zip(hit.ids, hit.payloads or (), strict=True)) == {n: {"n": n} for n in range(21, 30)}


def test_what_one_batch_leaves_small_is_merged_from_the_last_bucket_on(redis_url: str) -> None:
    """The last bucket takes the number of one that goes: the other way round its own number would mean nothing."""
    with Index.create(redis_url, "x", LAYOUT, bucket_items=SIZE) as index:
        for era in range(6):
            ids = range(100 * era, 100 * era + 30)
            index.add(ids, random_codes(30, LAYOUT, era, centres=1, flips=0.02, era=era))
        writing.BATCH_ITEMS, before = 1000, writing.BATCH_ITEMS
        try:
            index.delete([100 * era + n for era in range(1, 6) for n in range(30)])
        finally:
            writing.BATCH_ITEMS = before
        assert index.stats().buckets == 1
        require(index, redis_url, {*range(30)})
