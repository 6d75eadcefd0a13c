"""`check_index`: silent over sound indexes, busy ones too; damage is named, and mended where that is promised."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

import hashgrain.indexer.check.buckets as buckets_module
import hashgrain.indexer.check.snapshot as snapshot_module
import hashgrain.indexer.lifecycle as lifecycle
import hashgrain.indexer.writing as writing_module
from damaged_index import LAYOUT, NAME, Stored, build, record, require_equal, tombstone
from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import IndexMissing, InvalidInput, SchemaMismatch
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
    "header field gone": (lambda s: s.client.hdel(s.keys.meta, "fine_bits"), {"header"}, "restore a backup"),
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


@pytest.mark.parametrize("damage", ["missing", "foreign", "state", "fingerprint", "shard"])
def test_headers_that_disagree_are_told(redis_url: str, damage: str) -> None:
    index, twin, stored = build(redis_url, shards=3)
    with index:
        meta = "hg:{x:1}:meta"
        if damage == "missing":
            stored.client.delete(meta)
        else:
            field = {"foreign": "incarnation"}.get(damage, damage)
            stored.client.hset(meta, field, "dropping" if damage == "state" else "2")
        mendable = damage in ("fingerprint", "shard")
        report = check_index(redis_url, NAME)
        assert [(finding.kind, finding.key) for finding in report.findings] == [
            ("header-field" if mendable else "header", meta)
        ]
        assert report.examined.shards == (3 if mendable else 2)
        assert check_index(redis_url, NAME, repair=True).clean == mendable
        if mendable:
            require_equal(index, twin)


def test_an_id_in_a_shard_that_is_not_its_own_is_told(redis_url: str) -> None:
    index, _, stored = build(redis_url, shards=2)
    with index:
        away = next(n for n in range(60) if n not in (3, 17) and not stored.client.hexists(stored.keys.nums, f"i{n}"))
        number = int(stored.field(stored.keys.meta, "next"))
        bucket = stored.free_bucket()
        stored.client.set(bucket, record(number))
        stored.client.setbit(stored.keys.occupied, stored.code(bucket), 1)
        stored.client.hset(stored.keys.nums, f"i{away}", f"{number}:{bucket[-6:]}")
        stored.client.hset(stored.keys.ids, str(number), f"i{away}")
        stored.client.hincrby(stored.keys.meta, "next", 1)
        stored.client.hincrby(stored.keys.meta, "live", 1)
        report = check_index(redis_url, NAME, repair=True)
    assert [(finding.kind, finding.item) for finding in report.findings] == [("foreign-id", away)]
    assert "belongs to shard 1" in report.findings[0].found


@pytest.mark.parametrize("state", ["creating", "dropping"])
def test_half_made_and_half_dropped_indexes_are_told_with_the_next_step(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    def die(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if state == "dropping":
            Index.create(redis_url, NAME, LAYOUT, shards=3).close()
            patch.setattr(lifecycle, "_unlink_items", die)
            with pytest.raises(KeyboardInterrupt):
                lifecycle.drop_index(redis_url, NAME)
        else:
            script = lifecycle.script
            patch.setattr(lifecycle, "script", lambda name: die() if name == "commit" else script(name))
            with pytest.raises(KeyboardInterrupt):
                Index.create(redis_url, NAME, LAYOUT, shards=3)
    report = check_index(redis_url, NAME, repair=True)
    assert [finding.kind for finding in report.findings] == ["half-made" if state == "creating" else "half-dropped"]
    assert "hashgrain index drop x --yes" in report.findings[0].remedy
    lifecycle.drop_index(redis_url, NAME)
    with pytest.raises(IndexMissing, match="no index 'x'"):
        check_index(redis_url, NAME)


def test_another_schema_is_refused_and_forgetting_needs_repair(redis_url: str) -> None:
    Index.create(redis_url, NAME, LAYOUT).close()
    redis.Redis.from_url(redis_url).hset("hg:{x:0}:meta", "schema", "2")
    with pytest.raises(SchemaMismatch):
        check_index(redis_url, NAME, repair=True)
    with pytest.raises(InvalidInput, match="repair=True"):
        check_index(redis_url, NAME, forget_lost=True)


def sound_items(stored: Stored) -> dict[bytes, bytes]:
    """Items whose place, name and record agree, with their records; of these, no repair may take one away."""
    found: dict[bytes, bytes] = {}
    names: Any = stored.client.hgetall(stored.keys.ids)
    for encoded, place in stored.client.hgetall(stored.keys.nums).items():  # type: ignore[union-attr]
        number, _, bucket = place.partition(b":")
        key = stored.keys.bucket_prefix.encode() + bucket
        if names.get(number) != encoded or not number.isdigit() or stored.client.type(key) != b"string":
            continue
        log: bytes = stored.client.get(key) or b""  # type: ignore[assignment]
        records = [log[at : at + 12] for at in range(0, len(log) - 11, 12)]
        mine = {r for r in records if r[:4] == record(int(number))[:4]}
        if len(mine) == 1 and tombstone(int(number)) not in records:
            found[encoded] = mine.pop()
    return found


BLOWS = st.lists(
    st.tuples(
        st.sampled_from(["hdel", "rename", "hset", "append", "cut", "overwrite", "setbit", "delete", "swap"]),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=4,
)


def strike(stored: Stored, blow: str, first: int, second: int) -> None:
    """Damage that is picked by two numbers; may be none where there is nothing to hit."""
    client, keys = stored.client, stored.keys
    hashes = [keys.nums, keys.ids, keys.payloads, keys.dead]
    key = hashes[first % 4]
    fields: list[bytes] = sorted(client.hkeys(key))  # type: ignore[arg-type]
    buckets = stored.buckets()
    bucket = buckets[first % len(buckets)] if buckets else keys.bucket(0)
    log = stored.log(bucket)
    if blow in ("hdel", "rename", "swap") and fields:
        field, other = fields[second % len(fields)], fields[first % len(fields)]
        value: Any = client.hget(key, field)
        if blow == "swap":
            client.hset(key, field, client.hget(key, other))  # type: ignore[arg-type]
        else:
            client.hdel(key, field)
            if blow == "rename":
                client.hset(key, str(second % 80), value)
    elif blow == "hset" and key != keys.payloads:
        client.hset(key, [b"i9", b"7", b"000001", b"i20"][second % 4], [b"7:000001", b"i7", b"2"][first % 3])
    elif blow == "append":
        client.append(bucket, [b"!", record(second % 90), tombstone(second % 90), log[:12]][second % 4])
    elif blow == "cut" and log:
        client.set(bucket, log[: second % len(log)])
    elif blow == "overwrite" and log:
        client.setrange(bucket, second % len(log), b"\x01")
    elif blow == "setbit":
        client.setbit(keys.occupied, second % 5000, first % 2)
    elif blow == "delete":
        client.delete([bucket, keys.occupied, keys.version, keys.dead][second % 4])


@settings(max_examples=60, deadline=None)
@given(blows=BLOWS)
def test_whatever_is_damaged_a_repair_takes_no_sound_item_and_leaves_nothing_that_it_said_it_mended(
    redis_server: str, blows: list[tuple[str, int, int]]
) -> None:
    redis.Redis.from_url(redis_server).flushall()
    index, _, stored = build(redis_server)
    with index:
        for blow in blows:
            strike(stored, *blow)
        sound = sound_items(stored)
        report = check_index(redis_server, NAME, repair=True)
        assert sound.items() <= sound_items(stored).items()
        again = check_index(redis_server, NAME)
        assert set(again.findings) == set(report.remaining)
        if report.clean:
            hit = index.search(random_codes(1, LAYOUT), 100, exact=True)[0]
            assert len(hit.ids) == len(set(hit.ids)) == len(index)
            assert set(sound) <= {f"i{item}".encode() for item in hit.ids}
            assert index.delete(hit.ids) == len(hit.ids)
            assert check_index(redis_server, NAME).findings == ()


@pytest.mark.parametrize("repair", [False, True])
def test_a_busy_index_gives_no_false_alarms(redis_url: str, monkeypatch: pytest.MonkeyPatch, repair: bool) -> None:
    """Writers replace, delete and add all the time; checks between their steps see nothing but soundness."""
    monkeypatch.setattr(writing_module, "BATCH_ITEMS", 20)
    stop, steps = threading.Event(), [0, 0]

    def write(which: int) -> None:
        with Index.open(redis_url, NAME) as own:
            while not stop.is_set():
                steps[which] += 1
                seed = 2 * steps[which] + which
                ids = [(seed * 7 + n) % 90 for n in range(40)]
                own.add(ids, random_codes(40, LAYOUT, seed), [{"n": seed}] * 40)
                own.delete([(seed * 11 + n) % 90 for n in range(15)])

    with Index.create(redis_url, NAME, LAYOUT, shards=2):
        writers = [threading.Thread(target=write, args=(which,)) for which in range(2)]
        for writer in writers:
            writer.start()
        try:
            for _ in range(8):
                began = sum(steps)
                report = check_index(redis_url, NAME, repair=repair)
                assert report.findings == ()
                assert sum(steps) > began, "they must have written meanwhile"
        finally:
            stop.set()
            for writer in writers:
                writer.join()
    assert check_index(redis_url, NAME).findings == ()


def test_repairs_beside_writers_lose_nothing_that_was_acknowledged(redis_url: str) -> None:
    """Damage is done and mended again and again while a writer replaces the same items."""
    index, twin, stored = build(redis_url)
    stop, mended = threading.Event(), set()

    def write() -> None:
        with Index.open(redis_url, NAME) as own:
            seed = 0
            while not stop.is_set():
                seed += 1
                own.add(range(100, 130), random_codes(30, LAYOUT, seed, flips=0.04))

    with index:
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for n in range(10):
                key = stored.bucket(20)
                stored.client.append(key, tombstone(900 + n))  # whole in itself, so that the writer goes on
                stored.client.append(key, record(10**6 + n))
                stored.client.hincrby(stored.keys.meta, "live", 3)
                report = check_index(redis_url, NAME, repair=True)
                assert report.clean
                mended |= {finding.kind for finding in report.findings}
        finally:
            stop.set()
            writer.join()
        assert mended >= {"orphan-record", "live-count"}
        index.delete(range(100, 130))
        require_equal(index, twin)
    assert check_index(redis_url, NAME).findings == ()


def test_progress_is_told_up_to_the_end(redis_url: str) -> None:
    index, _, _ = build(redis_url, shards=2)
    told: list[tuple[int, int]] = []
    with index:
        check_index(redis_url, NAME, progress=lambda done, total: told.append((done, total)))
        items, payloads = len(index), index.stats().payloads
    assert told == sorted(told)
    assert told[-1][0] >= told[-1][1] == 3 * items + payloads
