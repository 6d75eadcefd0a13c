"""`check_index`: silent over sound indexes, busy ones too; damage is named, and mended where that is promised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

import hashgrain.indexer.check.buckets as buckets_module
import hashgrain.indexer.check.snapshot as snapshot_module
from damaged_index import LAYOUT, NAME, Stored, build, record, require_equal, tombstone
from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import InvalidInput, SchemaMismatch
from hashgrain.indexer import Index, check_index
from random_codes import random_codes

IDS = st.one_of(st.integers(-3, 12), st.integers(-3, 12).map(str), st.sampled_from([2**63 - 1, -(2**63), "é", "a b"]))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(IDS, min_size=1, max_size=12), st.integers(0, 2**32)),
        st.tuples(st.just("delete"), st.lists(IDS, max_size=8), st.just(0)),
    ),
    max_size=12,
)


@pytest.fixture(autouse=True, scope="module")
def small_pages() -> Iterator[None]:
    """Pages so small that every example crosses their borders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot_module, "AT_ONCE", 7)
        patch.setattr(buckets_module, "AT_ONCE", 7)
        patch.setattr(buckets_module, "GROUP_BYTES", 100)
        yield


@settings(max_examples=40, deadline=None)
@given(
    layout=st.builds(CodeLayout, st.sampled_from([8, 12, 24]), st.sampled_from([32, 40, 256])),
    shards=st.sampled_from([1, 3]),
    steps=STEPS,
)
def test_nothing_is_found_after_any_history(
    redis_server: str, layout: CodeLayout, shards: int, steps: list[tuple[str, list[Any], int]]
) -> None:
    redis.Redis.from_url(redis_server).flushall()
    payloads = 0
    with Index.create(redis_server, NAME, layout, shards=shards) as index:
        for verb, ids, seed in steps:
            if verb == "delete":
                index.delete(ids)
            else:
                index.add(
                    ids, random_codes(len(ids), layout, seed), [{"n": n} if n % 2 else None for n in range(len(ids))]
                )
        items, payloads, buckets = len(index), index.stats().payloads, index.stats().buckets
    report = check_index(redis_server, NAME)
    assert report.findings == ()
    seen = report.examined
    assert (seen.shards, seen.items, seen.payloads, seen.buckets) == (shards, items, payloads, buckets)
    assert seen.records >= items


def by_place(stored: Stored, item: int, place: str) -> None:
    stored.client.hset(stored.keys.nums, f"i{item}", place)


def undead(stored: Stored) -> None:
    """The record of number 5, which was replaced, is back with its name."""
    stored.client.append(stored.bucket(20), record(5))
    stored.client.hset(stored.keys.ids, "5", "i5")


def dead_pairs(stored: Stored) -> None:
    """A bucket of one record gets a dead record and its tombstone, rightly counted, which is enough to compact it."""
    key = next(key for key in stored.buckets() if len(stored.log(key)) == 12)
    stored.client.append(key, record(5) + tombstone(5))
    stored.client.hset(stored.keys.dead, key[-6:], 1)


def counted_wrongly(stored: Stored, by: int) -> None:
    bucket = next(iter(stored.client.hkeys(stored.keys.dead)))  # type: ignore[arg-type]
    stored.client.hincrby(stored.keys.dead, bucket, by)


Damage = Callable[[Stored], object]

REPAIRED: dict[str, tuple[Damage, set[str]]] = {
    "live too high": (lambda s: s.client.hincrby(s.keys.meta, "live", 5), {"live-count"}),
    "live gone": (lambda s: s.client.hdel(s.keys.meta, "live"), {"live-count"}),
    "live no number": (lambda s: s.client.hset(s.keys.meta, "live", "many"), {"live-count"}),
    "next too low": (lambda s: s.client.hset(s.keys.meta, "next", 3), {"next-number"}),
    "next just in use": (lambda s: s.client.hincrby(s.keys.meta, "next", -1), {"next-number"}),
    "next gone": (lambda s: s.client.hdel(s.keys.meta, "next"), {"next-number"}),
    "next beyond the last": (lambda s: s.client.hset(s.keys.meta, "next", 2**31 + 1), {"next-number"}),
    "version gone": (lambda s: s.client.delete(s.keys.version), {"version"}),
    "version no count": (lambda s: s.client.set(s.keys.version, "new"), {"version"}),
    "bucket not marked": (lambda s: s.client.setbit(s.keys.occupied, s.code(s.buckets()[0]), 0), {"occupancy"}),
    "absent bucket marked": (lambda s: s.client.setbit(s.keys.occupied, s.code(s.free_bucket()), 1), {"occupancy"}),
    "map gone": (lambda s: s.client.delete(s.keys.occupied), {"occupancy"}),
    "bit beyond the codes": (lambda s: s.client.setbit(s.keys.occupied, 4096, 1), {"occupancy"}),
    "byte behind a bucket": (lambda s: s.client.append(s.bucket(20), b"\0"), {"torn-bucket"}),
    "half a record behind a bucket": (lambda s: s.client.append(s.bucket(20), record(99)[:11]), {"torn-bucket"}),
    "too many tombstones counted": (lambda s: counted_wrongly(s, 3), {"dead-count"}),
    "no tombstones counted": (lambda s: s.client.delete(s.keys.dead), {"dead-count"}),
    "tombstones of no bucket": (lambda s: s.client.hset(s.keys.dead, "zz", 1), {"dead-count"}),
    "tombstones of an absent bucket": (lambda s: s.client.hset(s.keys.dead, s.free_bucket()[-6:], 1), {"dead-count"}),
    "tombstone of nothing": (
        lambda s: s.client.append(s.bucket(20), tombstone(999)),
        {"stray-tombstone", "dead-count"},
    ),
    "record of nobody": (lambda s: s.client.append(s.bucket(20), record(2**31 - 1)), {"orphan-record"}),
    "bucket of nobody": (lambda s: s.client.set(s.free_bucket(), record(7000)), {"orphan-record", "occupancy"}),
    "bucket of nothing": (lambda s: s.client.set(s.free_bucket(), b""), {"empty-bucket"}),
    "old record undead": (undead, {"stale-record"}),
    "record twice in its bucket": (lambda s: s.client.append(s.bucket(20), s.record(20)), {"duplicate-record"}),
    "record in another bucket": (
        lambda s: s.client.append(next(key for key in s.buckets() if key != s.bucket(20)), s.record(20)),
        {"duplicate-record"},
    ),
    "dead record not compacted": (dead_pairs, {"uncompacted"}),
    "place gone": (lambda s: s.client.hdel(s.keys.nums, "i20"), {"unplaced", "live-count"}),
    "place no place": (lambda s: by_place(s, 20, "nowhere"), {"unplaced"}),
    "place in another bucket": (
        lambda s: by_place(s, 20, f"{s.place(20)[0]}:{s.free_bucket()[-6:]}"),
        {"unplaced"},
    ),
    "name gone": (lambda s: s.client.hdel(s.keys.ids, s.place(20)[0]), {"unnamed"}),
    "name wrong": (lambda s: s.client.hset(s.keys.ids, str(s.place(20)[0]), "i777"), {"unnamed"}),
    "name of no number": (lambda s: s.client.hset(s.keys.ids, "x", "i777"), {"orphan-name"}),
    "name of an unused number": (lambda s: s.client.hset(s.keys.ids, "7000", "i777"), {"orphan-name"}),
    "name of a dead number": (lambda s: s.client.hset(s.keys.ids, "6", "i6"), {"orphan-name"}),
    "payload of nobody": (lambda s: s.client.hset(s.keys.payloads, "7000", "{}"), {"orphan-payload"}),
    "fixed keys gone": (
        lambda s: s.client.delete(s.keys.version, s.keys.occupied, s.keys.dead, s.keys.ids),
        {"version", "occupancy", "dead-count", "unnamed"},
    ),
}


@pytest.mark.parametrize("damage", REPAIRED)
def test_damage_is_named_and_repaired(redis_url: str, damage: str) -> None:
    inflict, kinds = REPAIRED[damage]
    index, twin, stored = build(redis_url)
    with index:
        inflict(stored)
        before = everything(stored.client)
        report = check_index(redis_url, NAME)
        assert {finding.kind for finding in report.findings} == kinds
        assert not report.clean
        assert all("--repair" in finding.remedy and not finding.repaired for finding in report.findings)
        assert everything(stored.client) == before, "a check without repair changes nothing"
        mended = check_index(redis_url, NAME, repair=True)
        assert mended.clean
        # The count of the items is right again as soon as a lost place is back.
        assert kinds == {"live-count"} or {finding.kind for finding in mended.findings} >= kinds - {"live-count"}
        assert check_index(redis_url, NAME).findings == ()
        require_equal(index, twin)
        for one in (index, twin):  # and it can be written again
            one.add([20, 777], random_codes(2, LAYOUT, 5))
            one.delete([21, 5])
        require_equal(index, twin)
        assert check_index(redis_url, NAME).findings == ()


def everything(client: redis.Redis) -> dict[bytes, bytes | None]:
    return {key: client.dump(key) for key in client.scan_iter()}


def insert_in_the_middle(stored: Stored) -> None:
    key = max(stored.buckets(), key=lambda key: len(stored.log(key)))
    log = stored.log(key)
    stored.client.set(key, log[:25] + b"!" + log[25:])


def other_code(stored: Stored) -> None:
    stored.client.append(stored.bucket(20), stored.record(20)[:4] + b"otherfin")


LEFT: dict[str, tuple[Damage, set[str], str]] = {
    "byte within a bucket": (insert_in_the_middle, {"shifted-bucket"}, "hashgrain index drop x --yes"),
    "payload no JSON": (
        lambda s: s.client.hset(s.keys.payloads, str(s.place(20)[0]), "{"),
        {"unreadable-payload"},
        "add this id again",
    ),
    "two codes of one number": (other_code, {"record-conflict"}, "add this id again"),
    "id of no kind": (
        lambda s: (s.client.hset(s.keys.nums, "q", "7:000000"), s.client.hincrby(s.keys.meta, "live", 1)),
        {"foreign-id", "name-conflict"},
        "hashgrain index drop x --yes",
    ),
    "bucket taken": (
        lambda s: s.client.rpush(s.free_bucket(), "theirs"),
        {"taken-key"},
        "stop what wrote it",
    ),
    "key of no use": (lambda s: s.client.set("hg:{x:0}:notes", "theirs"), {"strange-key"}, "delete this key"),
    "shard of no index": (lambda s: s.client.set("hg:{x:7}:nums", "theirs"), {"strange-key"}, "delete this key"),
    "bucket of a longer code": (lambda s: s.client.set("hg:{x:0}:b:ffffff", "y"), {"strange-key"}, "delete this key"),
    "state unknown": (lambda s: s.client.hset(s.keys.meta, "state", "odd"), {"header"}, "restore a backup"),
    "header field gone": (
        lambda s: s.client.hdel(s.keys.meta, "fine_bits"),
        {"header"},
        "delete all keys that begin with hg:{x: and build the index again",
    ),
    "header gone": (lambda s: s.client.delete(s.keys.meta), {"header"}, "delete all keys that begin with hg:{x:"),
    "header taken": (
        lambda s: (s.client.delete(s.keys.meta), s.client.set(s.keys.meta, "theirs")),
        {"header"},
        "delete all keys that begin with hg:{x:",
    ),
}


@pytest.mark.parametrize("damage", LEFT)
def test_what_cannot_be_repaired_is_told_with_the_next_step_and_left_alone(redis_url: str, damage: str) -> None:
    inflict, kinds, remedy = LEFT[damage]
    index, _, stored = build(redis_url)
    with index:
        inflict(stored)
        before = everything(stored.client)
        report = check_index(redis_url, NAME, repair=True)
        assert {finding.kind for finding in report.remaining} == kinds
        assert any(remedy in finding.remedy for finding in report.remaining)
        assert everything(stored.client) == before


def test_a_fixed_key_of_another_type_keeps_its_shard_from_being_examined(redis_url: str) -> None:
    index, _, stored = build(redis_url, shards=2)
    with index:
        stored.client.delete(stored.keys.nums)
        stored.client.rpush(stored.keys.nums, "theirs")
        report = check_index(redis_url, NAME, repair=True)
    assert [(finding.kind, finding.key) for finding in report.findings] == [("taken-key", stored.keys.nums)]
    assert report.examined.shards == 2
    assert 0 < report.examined.items < 58


@pytest.mark.parametrize("damage", ["bucket", "record", "bucket and names"])
def test_lost_codes_are_told_by_their_ids_and_forgotten_only_with_leave(redis_url: str, damage: str) -> None:
    index, twin, stored = build(redis_url)
    with index:
        key = stored.bucket(20)
        lost = {20}
        if damage == "record":
            stored.client.set(key, stored.log(key).replace(stored.record(20), b""))
        else:
            lost = {n for n in range(60) if n not in (3, 17) and stored.bucket(n) == key}
            if damage == "bucket and names":
                stored.client.hdel(stored.keys.ids, *(str(stored.place(n)[0]) for n in lost))
            stored.client.delete(key)
        report = check_index(redis_url, NAME, repair=True)
        assert {(finding.kind, finding.item) for finding in report.remaining} == {("lost-record", n) for n in lost}
        assert "--forget-lost`, then add this id again" in report.remaining[0].remedy
        for n in lost:
            assert stored.field(stored.keys.nums, f"i{n}"), "what is left of an acknowledged item stays"
        forgotten = check_index(redis_url, NAME, repair=True, forget_lost=True)
        assert forgotten.clean
        assert {f.remedy for f in forgotten.findings} <= {"", "add this id again with its code"}
        assert {finding.item for finding in forgotten.findings if finding.kind == "lost-record"} == lost
        twin.delete(sorted(lost))
        require_equal(index, twin)
        codes = random_codes(len(lost), LAYOUT, 8)
        for one in (index, twin):
            one.add(sorted(lost), codes)
        require_equal(index, twin)
        assert check_index(redis_url, NAME).findings == ()


@pytest.mark.parametrize("damage", ["two codes", "one record of two ids", "payload", "newer record"])
def test_adding_again_as_the_finding_says_makes_it_whole(redis_url: str, damage: str) -> None:
    index, twin, stored = build(redis_url)
    with index:
        if damage == "two codes":
            other_code(stored)
        elif damage == "one record of two ids":
            by_place(stored, 20, stored.field(stored.keys.nums, "i21").decode())
        elif damage == "newer record":  # a sound record of an id beside the one that its place names
            stored.client.append(stored.bucket(20), record(9000))
            stored.client.hset(stored.keys.ids, "9000", "i20")
        else:
            stored.client.hset(stored.keys.payloads, str(stored.place(20)[0]), "[1]")
        report = check_index(redis_url, NAME, repair=True)
        named = {finding.item for finding in report.remaining if finding.item is not None}
        assert 20 in named
        assert all("again" in finding.remedy for finding in report.remaining)
        ids, codes = ([20, 21] if damage == "one record of two ids" else [20]), random_codes(2, LAYOUT, 8)
        for one in (index, twin):
            one.add(ids, codes[: len(ids)])
        assert check_index(redis_url, NAME, repair=True).clean
        require_equal(index, twin)


def test_another_schema_is_refused_and_forgetting_needs_repair(redis_url: str) -> None:
    Index.create(redis_url, NAME, LAYOUT).close()
    redis.Redis.from_url(redis_url).hset("hg:{x:0}:meta", "schema", "2")
    with pytest.raises(SchemaMismatch):
        check_index(redis_url, NAME, repair=True)
    with pytest.raises(InvalidInput, match="repair=True"):
        check_index(redis_url, NAME, forget_lost=True)


def test_progress_is_told_up_to_the_end(redis_url: str) -> None:
    index, _, _ = build(redis_url, shards=2)
    told: list[tuple[int, int]] = []
    with index:
        check_index(redis_url, NAME, progress=lambda done, total: told.append((done, total)))
        items, payloads = len(index), index.stats().payloads
    assert told == sorted(told)
    assert told[-1][0] >= told[-1][1] == 3 * items + payloads
