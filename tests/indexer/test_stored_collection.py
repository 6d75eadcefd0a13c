"""What a loaded collection is stored as: every record, place and name where the layout says that it is."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from hashgrain.codes import CodeLayout
from hashgrain.indexer.adding import stored_collection
from hashgrain.indexer.adding.collection import Collection
from hashgrain.indexer.adding.grouping import Grouping, group_items
from hashgrain.indexer.adding.stored_collection import (
    buckets_of,
    handle_widths,
    names_of,
    pages_of,
    partition_of,
    payloads_of,
    places_of,
)
from hashgrain.indexer.stored.handles import handle_of, hashes_of, page_of
from hashgrain.indexer.stored.identifiers import INTEGER
from hashgrain.indexer.stored.keys import NARROW, PAGE_ITEMS, WIDE, ShardKeys
from hashgrain.indexer.stored.partition import Partition, empty_partition
from hashgrain.indexer.stored.records import Records
from random_codes import random_codes

LAYOUT = CodeLayout(12, 40)
ITEMS = 900
IDS = {
    "small integers": list(range(ITEMS)),
    "large and negative integers": [(n - 400) << 33 for n in range(ITEMS)],
    "integers of which few are large": [n if n % 200 else n << 40 for n in range(ITEMS)],
    "strings": [f"item {n}" for n in range(ITEMS)],
    "both": [n if n % 2 else f"item {n}" for n in range(ITEMS)],
}


@pytest.fixture(params=IDS)
def items(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Collection:
    """A collection; its bytes are made 100 items at a time."""
    monkeypatch.setattr(stored_collection, "_AT_ONCE", 100)
    payloads = [{"n": n} if n % 5 == 0 else None for n in range(ITEMS)]
    return Collection.of(IDS[request.param], random_codes(ITEMS, LAYOUT), payloads)


@pytest.fixture
def groups(items: Collection) -> Grouping:
    return group_items(items.fine, items.packed_coarse, LAYOUT, 32)


def test_buckets_parse_to_the_items_that_were_put_there(items: Collection, groups: Grouping) -> None:
    """With handles of 4 bytes exactly where all of a bucket fit."""
    widths = handle_widths(items.handles, groups)
    partition = Partition.parse(b"1", partition_of(groups, widths), LAYOUT, "key")
    assert len(partition) == len(groups)
    assert partition.fine.tolist() == groups.fine.tolist()
    assert partition.packed_coarse.tolist() == groups.packed_coarse.tolist()
    assert partition.fine_radius.tolist() == groups.fine_radius.tolist()
    assert partition.coarse_radius.tolist() == groups.coarse_radius.tolist()
    stored = list(buckets_of(items, groups, widths, LAYOUT))
    found = Records.parse(stored, partition.handle_bytes, np.arange(len(groups)), LAYOUT, ShardKeys("x", 0))
    assert found.bucket.tolist() == np.repeat(np.arange(len(groups)), np.diff(groups.bounds)).tolist()
    assert found.handle.tolist() == items.handles[groups.order].tolist()
    assert found.fine.tolist() == items.fine[groups.order].tolist()
    for bucket in range(len(groups)):
        mine = items.handles[groups.order[groups.bounds[bucket] : groups.bounds[bucket + 1]]]
        fits = all(0 <= handle < 2**32 - 1 for handle in mine.tolist())
        assert partition.handle_bytes[bucket] == (NARROW if fits else WIDE)


def test_every_item_has_one_place_on_the_page_of_its_hash(items: Collection, groups: Grouping) -> None:
    """With its bucket, and a hint to its record there."""
    pages = list(places_of(items.handles, groups))
    assert len(pages) == pages_of(ITEMS) == -(-ITEMS // PAGE_ITEMS)
    hashes = hashes_of(items.handles).tolist()
    expected: list[list[tuple[int, int, int]]] = [[] for _ in pages]
    for bucket in range(len(groups)):
        for position, item in enumerate(groups.order[groups.bounds[bucket] : groups.bounds[bucket + 1]].tolist()):
            page = int(page_of(np.array([hashes[item]], np.uint32), len(pages))[0])
            expected[page].append((hashes[item], bucket, min(position // 4, 255)))
    for stored, places in zip(pages, expected, strict=True):
        found = [(hash_, where & 0xFFFFFF, where >> 24) for hash_, where in struct.iter_unpack("<II", stored)]
        assert sorted(found) == sorted(places)


def test_a_hint_ends_at_255() -> None:
    """A position that is too far is not told."""
    codes = random_codes(1100, LAYOUT)
    groups = group_items(codes.fine, codes.coarse, LAYOUT, 1100)
    stored = b"".join(places_of(np.arange(1100), groups))
    assert np.bincount(np.frombuffer(stored, np.uint8)[7::8]).tolist() == [4] * 255 + [80]


def test_names_lie_on_the_pages_of_their_places(items: Collection) -> None:
    """Of the items whose handles are hashes, and of no other."""
    found = {}
    for page, fields in names_of(items):
        for handle, name in zip(fields[::2], fields[1::2], strict=True):
            number = struct.unpack("<q", handle)[0]
            assert number == handle_of(name)
            assert page == page_of(hashes_of(np.array([number])), pages_of(ITEMS))[0]
            found[number] = name
    named = [] if items.encoded is None else [name for name in items.encoded if not name.startswith(INTEGER)]
    assert found == {handle_of(name): name for name in named}


def test_payloads_are_those_of_the_items_that_have_one(items: Collection) -> None:
    """By handle, as JSON."""
    found = {struct.unpack("<q", handle)[0]: payload for handle, payload in payloads_of(items)}
    assert found == {int(items.handles[n]): b'{"n":%d}' % n for n in range(0, ITEMS, 5)}


def test_a_shard_without_items_has_one_bucket_and_one_page() -> None:
    """As it was created."""
    partition = Partition.parse(b"1", empty_partition(LAYOUT), LAYOUT, "key")
    assert (len(partition), partition.handle_bytes.tolist(), pages_of(0)) == (1, [NARROW], 1)
