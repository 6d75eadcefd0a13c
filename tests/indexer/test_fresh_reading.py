"""A reading of buckets from Redis, and the names and payloads of what was found in them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.indexer import Index, ItemId
from hashgrain.indexer.managing.lifecycle import open_shards
from hashgrain.indexer.searching.fresh_reading import FreshReading
from hashgrain.indexer.searching.reading import Asked, Names
from hashgrain.indexer.stored.directories import Directories
from random_codes import random_codes

LAYOUT = CodeLayout(12, 64)
IDS: list[ItemId] = [*range(20), *(f"item-{n}" for n in range(20))]
CODES = random_codes(40, LAYOUT)


@pytest.fixture
def index(redis_url: str) -> Iterator[Index]:
    with Index.create(redis_url, "read", LAYOUT, shards=2) as created:
        created.add(IDS, CODES, [{"old": n} for n in range(40)])
        yield created


def read(index: Index) -> FreshReading:
    """All buckets as they are now."""
    shards = open_shards(index._connection, "read")
    whole = Directories([shard.directory() for shard in shards], LAYOUT)
    found = FreshReading.of(shards, whole, whole.everywhere)
    assert found is not None
    return found


def named(reading: FreshReading, payloads: bool) -> Names | None:
    """What the reading says of all that it has read."""
    asked = {}
    for shard, span in enumerate(reading.spans):
        bucket = np.repeat(span.buckets, span.count)
        asked[shard] = Asked(span.handle.astype(np.int64), np.arange(len(span.handle)), bucket)
    return reading.names(asked, payloads)


def told(names: Names | None) -> dict[ItemId | None, object]:
    assert names is not None
    return dict(names.values())


def test_every_record_is_read_with_its_codes(index: Index) -> None:
    spans = read(index).spans
    assert sum(len(span.handle) for span in spans) == 40
    stored = {(span.fine[n].tobytes(), int(span.coarse[n])) for span in spans for n in range(len(span.handle))}
    coarse = [int.from_bytes(row.tobytes(), "big") >> 4 for row in CODES.coarse]
    assert stored == {(row.tobytes(), number) for row, number in zip(CODES.fine, coarse, strict=True)}


def test_items_are_named_with_or_without_their_payloads(index: Index) -> None:
    reading = read(index)
    assert told(named(reading, False)) == dict.fromkeys(IDS)
    assert told(named(reading, True)) == {item: {"old": n} for n, item in enumerate(IDS)}
    assert reading.names({}, True) == {}


@pytest.mark.parametrize("item", [3, "item-3"])
def test_an_item_that_was_deleted_has_no_payload_and_no_name(index: Index, item: ItemId) -> None:
    reading = read(index)
    index.delete([item])
    names = named(reading, True)
    assert names is not None
    assert set(IDS) - set(told(names)) == {item}
    assert None in told(names)


@pytest.mark.parametrize("item", [3, "item-3"])
@pytest.mark.parametrize("kind", ["coarse", "fine"])
def test_a_payload_does_not_come_with_codes_that_it_has_replaced(index: Index, item: ItemId, kind: str) -> None:
    reading = read(index)
    row = IDS.index(item)
    coarse, fine = CODES.coarse[row : row + 1].copy(), CODES.fine[row : row + 1].copy()
    (coarse if kind == "coarse" else fine)[0, 0] ^= 1
    index.add([item], HashCodes(coarse, fine), [{"new": 1}])
    names = named(reading, True)
    if names is not None:  # else the bucket's radii grew, and all is read anew
        assert set(IDS) - set(told(names)) == {item}
    assert item in told(named(reading, False)), "the name stays true"


@pytest.mark.parametrize("item", [3, "item-3"])
def test_a_payload_of_the_very_codes_may_be_newer(index: Index, item: ItemId) -> None:
    reading = read(index)
    row = IDS.index(item)
    index.add([item], CODES[row : row + 1], [{"new": 1}])
    assert told(named(reading, True))[item] == {"new": 1}


def test_a_reading_is_of_no_use_once_the_partition_has_changed(redis_url: str) -> None:
    with Index.create(redis_url, "read", LAYOUT, bucket_items=8) as index:
        index.add(range(6), CODES[:6], [{}] * 6)
        reading = read(index)
        index.add(range(6, 40), CODES[6:], [{}] * 34)
        assert named(reading, True) is None
