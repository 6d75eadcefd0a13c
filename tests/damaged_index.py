"""A small index and its twin, and hands that reach into the stored bytes to damage them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import redis

from hashgrain.codes import CodeLayout
from hashgrain.indexer import Index, ReferenceIndex
from hashgrain.indexer.stored.handles import FIRST_HASHED, handle_of, hashes_of, page_of
from hashgrain.indexer.stored.identifiers import ItemId, encode_ids
from hashgrain.indexer.stored.keys import HOLES, PLACE_BYTES, ShardKeys
from random_codes import random_codes

LAYOUT = CodeLayout(12, 64)
CODES = 10
"""Bytes of a record's codes, and of a centroid."""
ENTRY = 14
NAME = "x"
BUCKET_ITEMS = 16
"""Few, so that a small index has many buckets."""

IDS: list[ItemId] = [n if n % 2 == 0 else f"photo-{n}" for n in range(400)]
"""Integers, which need no names, and strings, which do."""
DELETED: list[ItemId] = [4, "photo-17", 30]
PLAIN, NAMED = 20, "photo-21"
"""An item without a name, and one with a name; both have payloads."""
BARE = 24
"""An item without a name or payload."""


@dataclass(frozen=True)
class Stored:
    """The keys of one shard, and what is under them, read by plain means."""

    client: redis.Redis
    keys: ShardKeys

    def text(self, key: str) -> bytes:
        found: Any = self.client.get(key)
        return found or b""

    def pages(self) -> int:
        found: Any = self.client.hget(self.keys.meta, "pages")
        return int(found)

    def page(self, handle: int) -> int:
        """The page on which an item's place and name belong."""
        return int(page_of(hashes_of(np.array([handle])), self.pages())[0])

    def places(self, page: int) -> list[bytes]:
        text = self.text(self.keys.places(page))
        return [text[at : at + PLACE_BYTES] for at in range(0, len(text), PLACE_BYTES)]

    def count(self) -> int:
        """How many buckets there are."""
        return len(self.text(self.keys.partition)) // ENTRY

    def width(self, bucket: int) -> int:
        return CODES + self.text(self.keys.partition)[bucket * ENTRY + ENTRY - 1]

    def records(self, bucket: int) -> list[bytes]:
        """The whole records of a bucket, holes too."""
        text, width = self.text(self.keys.bucket(bucket)), self.width(bucket)
        return [text[at : at + width] for at in range(0, len(text) - width + 1, width)]

    def handles(self, bucket: int) -> list[int]:
        """The handles of those."""
        return [int.from_bytes(record[CODES:], "little", signed=len(record) > 14) for record in self.records(bucket)]

    def bucket(self, item: ItemId) -> int:
        """The bucket that holds an item."""
        return next(number for number in range(self.count()) if handle(item) in self.handles(number))

    def record(self, item: ItemId) -> bytes:
        bucket = self.bucket(item)
        return self.records(bucket)[self.handles(bucket).index(handle(item))]

    def members(self, bucket: int) -> set[int]:
        """Handles of the items in a bucket."""
        return set(self.handles(bucket)) - set(HOLES.values())

    def place(self, item: ItemId) -> tuple[str, bytes]:
        """The key of the page of an item's place, and the place."""
        wanted = hash_bytes(item) + self.bucket(item).to_bytes(3, "little")
        page = self.page(handle(item))
        return self.keys.places(page), next(place for place in self.places(page) if place[:7] == wanted)

    def replace(self, key: str, old: bytes, new: bytes) -> None:
        """Replace bytes that are there once."""
        text = self.text(key)
        assert text.count(old) == 1
        self.client.set(key, text.replace(old, new))

    def set_entry(self, bucket: int, change: Callable[[bytearray], object]) -> None:
        """Change the entry of a bucket."""
        entry = bytearray(self.text(self.keys.partition)[bucket * ENTRY : (bucket + 1) * ENTRY])
        change(entry)
        self.client.setrange(self.keys.partition, bucket * ENTRY, bytes(entry))

    def with_holes(self) -> int:
        """A bucket that has holes."""
        return int(min(self.client.hkeys(self.keys.holes)))  # type: ignore[arg-type]


def handle(item: ItemId) -> int:
    return handle_of(encode_ids([item])[0])


def field(item: ItemId) -> bytes:
    """An item's handle as the field of a hash."""
    return handle(item).to_bytes(8, "little", signed=True)


def hash_bytes(item: ItemId) -> bytes:
    return int(hashes_of(np.array([handle(item)]))[0]).to_bytes(4, "little")


def record(stored: Stored, bucket: int, number: int) -> bytes:
    """A record of any handle, with the codes of a bucket's centroid."""
    entry = stored.text(stored.keys.partition)[bucket * ENTRY : (bucket + 1) * ENTRY]
    return entry[:CODES] + number.to_bytes(8, "little", signed=True)[: entry[-1]]


def wide_bucket(stored: Stored) -> int:
    """A bucket whose handles take 8 bytes, and that any record may lie in."""
    bucket = next(number for number in range(stored.count()) if stored.width(number) == CODES + 8)
    stored.set_entry(bucket, lambda entry: entry.__setitem__(slice(CODES, CODES + 3), b"\x40\x00\x0c"))
    return bucket


UNKNOWN = FIRST_HASHED + 7
"""A handle of no id that anybody has."""


def build(redis_url: str, shards: int = 1) -> tuple[Index, ReferenceIndex, Stored]:
    """400 items in buckets of some, on a few pages; some replaced, some deleted, some of the holes still there."""
    index = Index.create(redis_url, NAME, LAYOUT, fingerprint="abc", shards=shards, bucket_items=BUCKET_ITEMS)
    twin = ReferenceIndex(LAYOUT)
    codes = random_codes(len(IDS), LAYOUT, flips=0.04)
    payloads = [{"n": n} if n % 6 else None for n in range(len(IDS))]
    for one in (index, twin):
        one.add(IDS, codes, payloads)
        one.add([6, "photo-5"], codes[:2], [{"n": 500}, None])
        one.delete(DELETED)
    stored = Stored(redis.Redis.from_url(redis_url), ShardKeys(NAME, 0))
    assert stored.client.hlen(stored.keys.holes) > 0, "some holes must be left"
    assert stored.pages() > 1
    return index, twin, stored


def require_equal(index: Index, twin: ReferenceIndex) -> None:
    """Every search that reads everything answers as the twin's."""
    for query in (random_codes(6, LAYOUT, 1), random_codes(6, LAYOUT, 2, flips=0.03)):
        for question in ({"exact": True, "k": 400}, {"exact": True, "k": 5, "rank": "fine"}):
            wanted, found = (one.search(query, payloads=True, **question) for one in (twin, index))  # type: ignore[arg-type]
            assert [hit.ids for hit in found] == [hit.ids for hit in wanted]
            assert [hit.distances.tolist() for hit in found] == [hit.distances.tolist() for hit in wanted]
            assert [hit.payloads for hit in found] == [hit.payloads for hit in wanted]
    assert len(index) == len(twin)
