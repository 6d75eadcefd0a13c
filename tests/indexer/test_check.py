"""`check_index`: silent over sound indexes; damage is named, and mended where that is promised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from damaged_index import (
    BARE,
    CODES,
    DELETED,
    IDS,
    LAYOUT,
    NAME,
    NAMED,
    PLAIN,
    UNKNOWN,
    Stored,
    build,
    field,
    handle,
    hash_bytes,
    record,
    require_equal,
    wide_bucket,
)
from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import InvalidInput, SchemaMismatch
from hashgrain.indexer import Index, check_index
from hashgrain.indexer.stored.handles import FIRST_HASHED
from hashgrain.indexer.stored.keys import ShardKeys
from random_codes import random_codes

pytestmark = pytest.mark.usefixtures("small_groups")

INTEGERS = st.one_of(st.integers(-3, 12), st.sampled_from([2**32 - 1, 2**32, 2**63 - 1, -(2**63)]))
STRINGS = st.one_of(st.integers(-3, 12).map(str), st.sampled_from(["é", "a b"]))


def histories(ids: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Additions and deletions, integers alone (which leaves handles of 4 bytes) or with strings."""
    adding = st.tuples(st.just("add"), st.lists(ids, min_size=1, max_size=12), st.integers(0, 2**32))
    deleting = st.tuples(st.just("delete"), st.lists(ids, max_size=8), st.just(0))
    return st.lists(st.one_of(adding, deleting), max_size=12)


@settings(max_examples=40, deadline=None)
@given(
    layout=st.builds(CodeLayout, st.sampled_from([8, 12, 24]), st.sampled_from([32, 40, 256])),
    shards=st.sampled_from([1, 3]),
    steps=st.one_of(histories(st.integers(-3, 12)), histories(st.one_of(INTEGERS, STRINGS))),
)
def test_nothing_is_found_after_any_history(
    redis_server: str, layout: CodeLayout, shards: int, steps: list[tuple[str, list[Any], int]]
) -> None:
    redis.Redis.from_url(redis_server).flushall()
    with Index.create(redis_server, NAME, layout, shards=shards, bucket_items=4) as index:
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


@pytest.mark.parametrize("strings", [False, True])
def test_nothing_is_found_in_a_collection_that_was_loaded_at_once_and_changed_after(
    redis_url: str, strings: bool
) -> None:
    ids: list[Any] = [f"photo-{n}" if strings and n % 2 else n for n in range(1500)]
    with Index.create(redis_url, NAME, LAYOUT, shards=2, bucket_items=32) as index:
        index.load(ids, random_codes(1500, LAYOUT, flips=0.2), [{"n": n} if n % 3 else None for n in range(1500)])
        for seed in range(3):
            report = check_index(redis_url, NAME)
            assert report.findings == ()
            assert (report.examined.items, report.examined.names) == (len(index), 750 * strings)
            index.add(ids[100 * seed : 100 * seed + 300], random_codes(300, LAYOUT, seed))


def test_holes_that_no_list_names_are_no_items(redis_url: str) -> None:
    """Behind the 65,536th record of a bucket holes are not listed."""
    with Index.create(redis_url, NAME, LAYOUT, bucket_items=65_536) as index:
        codes = random_codes(65_536, LAYOUT, flips=0.2)
        index.load(range(65_536), codes)
        stored = Stored(redis.Redis.from_url(redis_url), ShardKeys(NAME, 0))
        assert stored.count() == 1
        stored.client.append(stored.keys.bucket(0), bytes(CODES) + b"\xff" * 4)
        assert check_index(redis_url, NAME).findings == ()
        stored.client.hincrby(stored.keys.meta, "live", 1)
        report = check_index(redis_url, NAME, repair=True)
        assert [(finding.kind, finding.found) for finding in report.findings] == [
            ("live-count", "65537 items counted, 65536 there")
        ]


Damage = Callable[[Stored], object]


def set_meta(name: str, value: object) -> Damage:
    return lambda s: s.client.hset(s.keys.meta, name, str(value))


def append_record(number: int | None) -> Damage:
    """A record of some handle, or of an item that has one already, in a bucket that it may lie in."""

    def inflict(s: Stored) -> None:
        bucket = wide_bucket(s)
        one = next(item for item in IDS if item not in DELETED and s.bucket(item) != bucket)
        s.client.append(s.keys.bucket(bucket), record(s, bucket, handle(one) if number is None else number))

    return inflict


def twice_in_its_bucket(s: Stored) -> None:
    s.client.append(s.keys.bucket(s.bucket(PLAIN)), s.record(PLAIN))


def other_code_in_its_bucket(s: Stored) -> None:
    bucket = s.bucket(PLAIN)
    s.set_entry(bucket, lambda entry: entry.__setitem__(slice(CODES, CODES + 3), b"\x40\x00\x0c"))
    s.client.append(s.keys.bucket(bucket), s.record(PLAIN)[:-1][:7] + b"\xff" + s.record(PLAIN)[8:])


def widened_wrongly(s: Stored) -> None:
    bucket = next(n for n in range(s.count()) if len(s.text(s.keys.bucket(n))) % (CODES + 4))
    s.set_entry(bucket, lambda entry: entry.__setitem__(-1, 4))


def no_place(s: Stored) -> None:
    key, place = s.place(PLAIN)
    s.replace(key, place, b"")


def no_places(s: Stored) -> None:
    s.client.delete(*(s.keys.places(page) for page in range(s.pages())))


def other_place(s: Stored) -> None:
    key, place = s.place(NAMED)
    other = (s.bucket(NAMED) + 1) % s.count()
    s.replace(key, place, place[:4] + other.to_bytes(3, "little") + place[7:])


def place_on_another_page(s: Stored) -> None:
    key, place = s.place(NAMED)
    s.replace(key, place, b"")
    s.client.append(s.keys.places((int(key[-6:], 16) + 1) % s.pages()), place)


def torn_page(s: Stored) -> None:
    s.client.append(s.place(PLAIN)[0], b"\0")


def shifted_page(s: Stored) -> None:
    key = s.place(PLAIN)[0]
    s.client.set(key, s.text(key)[:21] + b"!" + s.text(key)[21:])


def names_key(s: Stored, item: Any = NAMED) -> str:
    return s.keys.names(s.page(handle(item)))


def misfile(s: Stored, key: str, name: bytes) -> None:
    value: Any = s.client.hget(names_key(s), field(NAMED))
    s.client.hdel(names_key(s), field(NAMED))
    s.client.hset(key, name, value)  # type: ignore[arg-type]


def swapped_names(s: Stored) -> None:
    for item, name in ((NAMED, "photo-23"), ("photo-23", "photo-21")):
        s.client.hset(names_key(s, item), field(item), name)  # type: ignore[arg-type]


def padded_record(s: Stored) -> None:
    bucket = s.bucket(PLAIN)
    at = s.handles(bucket).index(handle(PLAIN)) * s.width(bucket) + CODES - 1
    s.client.setrange(s.keys.bucket(bucket), at, bytes([s.record(PLAIN)[CODES - 1] | 3]))  # type: ignore[arg-type]


def padded_centroid(s: Stored) -> None:
    s.set_entry(s.bucket(PLAIN), lambda entry: entry.__setitem__(CODES - 1, entry[CODES - 1] | 1))


def tight(s: Stored) -> None:
    s.set_entry(s.bucket(PLAIN), lambda entry: entry.__setitem__(slice(CODES, CODES + 3), bytes(3)))


def listed_item(s: Stored) -> None:
    """An item is listed as a hole: the next one that comes would overwrite it."""
    bucket = s.bucket(PLAIN)
    s.client.hset(s.keys.holes, str(bucket), s.handles(bucket).index(handle(PLAIN)).to_bytes(2, "little"))  # type: ignore[arg-type]


REPAIRED: dict[str, tuple[Damage, set[str]]] = {
    "live too high": (lambda s: s.client.hincrby(s.keys.meta, "live", 5), {"live-count"}),
    "live gone": (lambda s: s.client.hdel(s.keys.meta, "live"), {"live-count"}),
    "live no number": (set_meta("live", "many"), {"live-count"}),
    "pages gone": (lambda s: s.client.hdel(s.keys.meta, "pages"), {"page-count"}),
    "pages no number": (set_meta("pages", "many"), {"page-count"}),
    "too few pages": (lambda s: s.client.hincrby(s.keys.meta, "pages", -1), {"page-count"}),
    "one page": (set_meta("pages", 1), {"page-count"}),
    "too many pages": (lambda s: s.client.hincrby(s.keys.meta, "pages", 1), {"page-count"}),
    "stamp gone": (lambda s: s.client.delete(s.keys.stamp), {"stamp"}),
    "stamp no count": (lambda s: s.client.set(s.keys.stamp, "new"), {"stamp"}),
    "byte behind the partition": (lambda s: s.client.append(s.keys.partition, b"\0"), {"torn-partition"}),
    "radius too small": (tight, {"radius"}),
    "centroid with padding": (padded_centroid, {"centroid"}),
    "handles too narrow": (widened_wrongly, {"handle-bytes"}),
    "handles of no width": (lambda s: s.set_entry(3, lambda entry: entry.__setitem__(-1, 7)), {"handle-bytes"}),
    "byte behind a bucket": (lambda s: s.client.append(s.keys.bucket(3), b"\0"), {"torn-bucket"}),
    "half a record behind a bucket": (lambda s: s.client.append(s.keys.bucket(3), b"\0" * 13), {"torn-bucket"}),
    "record with padding": (padded_record, {"padding"}),
    "list of holes gone": (lambda s: s.client.delete(s.keys.holes), {"hole-list"}),
    "item listed as a hole": (listed_item, {"hole-list"}),
    "half a hole listed": (lambda s: s.client.hset(s.keys.holes, str(s.with_holes()), b"\0"), {"hole-list"}),  # type: ignore[arg-type]
    "holes of no bucket": (lambda s: s.client.hset(s.keys.holes, "zz", b"\0\0"), {"hole-list"}),  # type: ignore[arg-type]
    "holes of a bucket beyond": (lambda s: s.client.hset(s.keys.holes, "999", b"\0\0"), {"hole-list"}),  # type: ignore[arg-type]
    "record of nobody": (append_record(UNKNOWN), {"orphan-record", "live-count"}),
    "record of no handle": (append_record(2 * FIRST_HASHED), {"orphan-record", "live-count"}),
    "record twice in its bucket": (twice_in_its_bucket, {"duplicate-record", "live-count"}),
    "record in another bucket": (append_record(None), {"duplicate-record", "live-count"}),
    "place gone": (no_place, {"unplaced"}),
    "all places gone": (no_places, {"unplaced"}),
    "place in another bucket": (other_place, {"unplaced"}),
    "place on another page": (place_on_another_page, {"unplaced", "stray-place"}),
    "place twice": (lambda s: s.client.append(*s.place(PLAIN)), {"stray-place"}),
    "byte behind a page": (torn_page, {"torn-page"}),
    "byte within a page": (shifted_page, {"torn-page", "stray-place", "unplaced"}),
    "page beyond the last": (lambda s: s.client.set(s.keys.places(4000), b"12345678"), {"stray-place"}),
    "name on another page": (
        lambda s: misfile(s, s.keys.names((s.page(handle(NAMED)) + 1) % s.pages()), field(NAMED)),
        {"misfiled-name"},
    ),
    "name beyond the last page": (lambda s: misfile(s, s.keys.names(4000), field(NAMED)), {"misfiled-name"}),
    "name under another handle": (lambda s: misfile(s, names_key(s), b"8 bytes!"), {"misfiled-name"}),
    "name under no handle": (lambda s: misfile(s, names_key(s), b"x"), {"misfiled-name"}),
    "names swapped": (swapped_names, {"misfiled-name"}),
    "name that is none": (lambda s: s.client.hset(names_key(s), b"x", b"\xff"), {"orphan-name"}),  # type: ignore[arg-type]
    "name of an integer": (lambda s: s.client.hset(names_key(s), field(PLAIN), b"\xff20"), {"orphan-name"}),  # type: ignore[arg-type]
    "name of nobody": (
        lambda s: s.client.hset(names_key(s, "nobody"), field("nobody"), b"nobody"),  # type: ignore[arg-type]
        {"orphan-name"},
    ),
    "payload of nobody": (lambda s: s.client.hset(s.keys.payloads, field("nobody"), b"{}"), {"orphan-payload"}),  # type: ignore[arg-type]
    "payload of no handle": (lambda s: s.client.hset(s.keys.payloads, "x", "{}"), {"orphan-payload"}),
    "empty bucket beyond the last": (lambda s: s.client.set(s.keys.bucket(4000), b""), {"stray-bucket"}),
    "stamp and holes gone": (lambda s: s.client.delete(s.keys.stamp, s.keys.holes), {"stamp", "hole-list"}),
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
        # The count of the items is right again as soon as a record is gone that was too much.
        assert kinds == {"live-count"} or {finding.kind for finding in mended.findings} >= kinds - {"live-count"}
        assert check_index(redis_url, NAME).findings == ()
        require_equal(index, twin)
        for one in (index, twin):  # and it can be written again
            one.add([PLAIN, NAMED, 777, "photo-777"], random_codes(4, LAYOUT, 5))
            one.delete([BARE, "photo-5"])
        require_equal(index, twin)
        assert check_index(redis_url, NAME).findings == ()


def everything(client: redis.Redis) -> dict[bytes, bytes | None]:
    return {key: client.dump(key) for key in client.scan_iter()}


def insert_in_the_middle(s: Stored) -> None:
    key = s.keys.bucket(s.bucket(PLAIN))
    s.client.set(key, s.text(key)[:25] + b"!" + s.text(key)[25:])


def take(s: Stored, key: str) -> None:
    s.client.delete(key)
    s.client.rpush(key, "theirs")


def foreign(s: Stored) -> None:
    """A whole item that is no id's: its record and its place."""
    bucket = wide_bucket(s)
    s.client.append(s.keys.bucket(bucket), record(s, bucket, 2 * FIRST_HASHED + 5))
    wanted = (5).to_bytes(4, "little") + bucket.to_bytes(3, "little") + b"\0"
    s.client.append(s.keys.places(s.page(2 * FIRST_HASHED + 5)), wanted)
    s.client.hincrby(s.keys.meta, "live", 1)


LEFT: dict[str, tuple[Damage, set[str], str]] = {
    "byte within a bucket": (insert_in_the_middle, {"shifted-bucket"}, "hashgrain index drop x --yes"),
    "payload no JSON": (
        lambda s: s.client.hset(s.keys.payloads, field(NAMED), "{"),  # type: ignore[arg-type]
        {"unreadable-payload"},
        "add this id again",
    ),
    "name gone": (lambda s: s.client.hdel(names_key(s), field(NAMED)), {"unnamed"}, "add the ids again"),
    "id of no kind": (foreign, {"foreign-item"}, "hashgrain index drop x --yes"),
    "bucket taken": (lambda s: take(s, s.keys.bucket(3)), {"taken-key"}, "stop what wrote it"),
    "page taken": (lambda s: take(s, s.keys.places(1)), {"taken-key"}, "stop what wrote it"),
    "names taken": (lambda s: take(s, s.keys.names(1)), {"taken-key"}, "stop what wrote it"),
    "partition taken": (lambda s: take(s, s.keys.partition), {"taken-key"}, "stop what wrote it"),
    "partition gone": (lambda s: s.client.delete(s.keys.partition), {"partition"}, "restore a backup"),
    "partition cut off": (
        lambda s: s.client.set(s.keys.partition, s.text(s.keys.partition)[:-5]),
        {"partition"},
        "restore a backup",
    ),
    "partition cut short": (
        lambda s: s.client.set(s.keys.partition, s.text(s.keys.partition)[:-14]),
        {"stray-bucket"},
        "restore a backup",
    ),
    "bucket beyond the last": (
        lambda s: s.client.set(s.keys.bucket(4000), record(s, 0, 7)),
        {"stray-bucket"},
        "restore a backup",
    ),
    "key of no use": (lambda s: s.client.set("hg:{x:0}:notes", "theirs"), {"strange-key"}, "delete this key"),
    "names of no hash": (lambda s: take(s, s.keys.names(4000)), {"strange-key"}, "delete this key"),
    "shard of no index": (lambda s: s.client.set("hg:{x:7}:stamp", "1"), {"strange-key"}, "delete this key"),
    "state unknown": (set_meta("state", "odd"), {"header"}, "restore a backup"),
    "header field gone": (
        lambda s: s.client.hdel(s.keys.meta, "fine_bits"),
        {"header"},
        "delete all keys that begin with hg:{x: and build the index again",
    ),
    "header gone": (lambda s: s.client.delete(s.keys.meta), {"header"}, "delete all keys that begin with hg:{x:"),
    "header taken": (lambda s: take(s, s.keys.meta), {"header"}, "delete all keys that begin with hg:{x:"),
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
        take(stored, stored.keys.partition)
        report = check_index(redis_url, NAME, repair=True)
    assert [(finding.kind, finding.key) for finding in report.findings] == [("taken-key", stored.keys.partition)]
    assert report.examined.shards == 2
    assert 0 < report.examined.items < len(IDS) - len(DELETED)


@pytest.mark.parametrize("damage", ["bucket", "record", "bucket and places", "handle"])
def test_lost_codes_are_told_by_their_ids_and_forgotten_only_with_leave(redis_url: str, damage: str) -> None:
    index, twin, stored = build(redis_url)
    with index:
        bucket = stored.bucket(NAMED)
        key = stored.keys.bucket(bucket)
        lost = {item for item in IDS if item not in DELETED and handle(item) in stored.members(bucket)}
        left = {"lost-record"}
        if damage in ("record", "handle"):
            lost = {NAMED}
            one = stored.record(NAMED)
            stored.replace(key, one, b"" if damage == "record" else one[:CODES] + (77777).to_bytes(8, "little"))
            left |= {"doubtful-record"} if damage == "handle" else set()
        else:
            places = {item: stored.place(item) for item in lost}
            for item in lost if damage == "bucket and places" else ():
                stored.replace(*places[item], b"")
            stored.client.delete(key)
        before = stored.text(stored.keys.places(0))
        report = check_index(redis_url, NAME, repair=True)
        told = {finding.item for finding in report.remaining if finding.kind == "lost-record"}
        if damage == "bucket and places":
            assert report.clean, "without a place there is nothing that says that the item was there"
            assert {finding.item for finding in report.findings if finding.kind == "orphan-name"} == {
                item for item in lost if isinstance(item, str)
            }
        else:
            assert {finding.kind for finding in report.remaining} == left
            # An integer id is stored with its record, and with its payload.
            bare = {item for item in lost if isinstance(item, int) and item % 6 == 0 and item != 6}
            assert told - {None} == lost - bare
            assert sum(finding.kind == "lost-record" for finding in report.remaining) == len(lost)
            remedies = {finding.remedy for finding in report.remaining if finding.kind == "lost-record"}
            assert all("--forget-lost`, then add this id again" in remedy for remedy in remedies)
            assert stored.text(stored.keys.places(0)) == before, "what is left of an acknowledged item stays"
        forgotten = check_index(redis_url, NAME, repair=True, forget_lost=True)
        assert forgotten.clean
        twin.delete(sorted(lost, key=str))
        require_equal(index, twin)
        codes = random_codes(len(lost), LAYOUT, 8)
        for one_index in (index, twin):
            one_index.add(sorted(lost, key=str), codes)
        require_equal(index, twin)
        assert check_index(redis_url, NAME).findings == ()


def test_an_item_without_a_name_can_be_named_by_adding_it_again_or_forgotten(redis_url: str) -> None:
    index, twin, stored = build(redis_url)
    with index:
        for remedy in ("add", "forget"):
            stored.client.hdel(names_key(stored), field(NAMED))
            report = check_index(redis_url, NAME, repair=True)
            assert [(finding.kind, finding.repaired) for finding in report.findings] == [("unnamed", False)]
            if remedy == "add":
                for one in (index, twin):
                    one.add([NAMED], random_codes(1, LAYOUT, 8), [{"n": 1}])
                assert check_index(redis_url, NAME).findings == ()
            else:
                report = check_index(redis_url, NAME, repair=True, forget_lost=True)
                assert [(finding.kind, finding.repaired) for finding in report.findings] == [("unnamed", True)]
                assert "add the ids again" in report.findings[0].remedy
                twin.delete([NAMED])
            require_equal(index, twin)


def test_of_two_codes_of_one_item_one_is_kept_and_the_advice_is_to_add_it_again(redis_url: str) -> None:
    index, twin, stored = build(redis_url)
    with index:
        other_code_in_its_bucket(stored)
        report = check_index(redis_url, NAME, repair=True)
        assert report.clean
        conflict = next(finding for finding in report.findings if finding.kind == "record-conflict")
        assert conflict.item == PLAIN
        assert "add this id again" in conflict.remedy
        for one in (index, twin):
            one.add([PLAIN], random_codes(1, LAYOUT, 8))
        assert check_index(redis_url, NAME).findings == ()
        require_equal(index, twin)


def test_two_items_whose_hashes_are_equal_are_told_apart(redis_url: str) -> None:
    """A hashed handle's lower half is its hash: a second handle with the same one is another item's."""
    index, _, stored = build(redis_url)
    with index:
        bucket = stored.bucket(NAMED)
        other = handle(NAMED) ^ 1 << 40
        stored.client.append(stored.keys.bucket(bucket), stored.record(NAMED)[:CODES] + other.to_bytes(8, "little"))
        report = check_index(redis_url, NAME, repair=True)
        assert [finding.kind for finding in report.findings] == ["orphan-record"]
        assert report.clean
        assert handle(NAMED) in stored.handles(bucket)
        assert hash_bytes(NAMED) == stored.place(NAMED)[1][:4]


def test_another_schema_is_refused_and_forgetting_needs_repair(redis_url: str) -> None:
    Index.create(redis_url, NAME, LAYOUT).close()
    redis.Redis.from_url(redis_url).hset("hg:{x:0}:meta", "schema", "9")
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
    assert told[-1] == (2 * items + payloads, 2 * items + payloads)
