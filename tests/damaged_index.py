"""A small index and its twin, and hands that reach into the stored bytes to damage them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import redis

from hashgrain.codes import CodeLayout
from hashgrain.indexer import Index, ReferenceIndex
from hashgrain.indexer.keys import TOMBSTONE, ShardKeys
from random_codes import random_codes

LAYOUT = CodeLayout(12, 64)
WIDTH = 12
NAME = "x"


@dataclass(frozen=True)
class Stored:
    """The keys of one shard, and what is under them."""

    client: redis.Redis
    keys: ShardKeys

    def place(self, item: int) -> tuple[int, str]:
        """Number and bucket name of an item."""
        number, bucket = self.field(self.keys.nums, f"i{item}").decode().split(":")
        return int(number), bucket

    def field(self, key: str, name: str | int) -> bytes:
        value: Any = self.client.hget(key, str(name))
        assert isinstance(value, bytes), f"{key} has no {name}"
        return value

    def bucket(self, item: int) -> str:
        """The key of the bucket that holds an item."""
        return self.keys.bucket_prefix + self.place(item)[1]

    def record(self, item: int) -> bytes:
        """The bytes of an item's record."""
        log: Any = self.client.get(self.bucket(item))
        records = [log[at : at + WIDTH] for at in range(0, len(log), WIDTH)]
        return next(record for record in records if record[:4] == struct.pack(">I", self.place(item)[0]))

    def log(self, key: str) -> bytes:
        found: Any = self.client.get(key)
        return found or b""

    def buckets(self) -> list[str]:
        """Keys of all buckets, sorted."""
        return sorted(key.decode() for key in self.client.scan_iter(match=self.keys.bucket_prefix + "*"))

    def free_bucket(self) -> str:
        """The key of a bucket that is not there."""
        taken = set(self.buckets())
        return next(key for code in range(4096) if (key := self.keys.bucket(code)) not in taken)

    def code(self, key: str) -> int:
        return int(key[-6:], 16)


def record(number: int, fine: bytes = bytes(8)) -> bytes:
    """A record of any number."""
    return struct.pack(">I", number) + fine


def tombstone(number: int) -> bytes:
    """The tombstone of a number."""
    return record(TOMBSTONE + number)


def build(redis_url: str, shards: int = 1) -> tuple[Index, ReferenceIndex, Stored]:
    """60 items in buckets of one and of several, some replaced, some deleted, some of the tombstones still there."""
    index = Index.create(redis_url, NAME, LAYOUT, fingerprint="abc", shards=shards)
    twin = ReferenceIndex(LAYOUT, shards)
    codes = random_codes(60, LAYOUT, flips=0.04)
    payloads = [{"n": n} if n % 3 else None for n in range(60)]
    for one in (index, twin):
        one.add(range(60), codes, payloads)
        one.add([5, 6], codes[:2], [{"n": 500}, None])
        one.delete([3, 17])
    stored = Stored(redis.Redis.from_url(redis_url), ShardKeys(NAME, 0))
    assert shards > 1 or stored.client.hlen(stored.keys.dead) > 0, "some tombstones must be waiting"
    return index, twin, stored


def require_equal(index: Index, twin: ReferenceIndex) -> None:
    """Every search answers as the twin's."""
    for query in (random_codes(6, LAYOUT, 1), random_codes(6, LAYOUT, 2, flips=0.03)):
        for question in ({"exact": True, "k": 100}, {"candidates": 10, "k": 5}):
            wanted, found = (one.search(query, payloads=True, **question) for one in (twin, index))  # type: ignore[arg-type]
            assert [hit.ids for hit in found] == [hit.ids for hit in wanted]
            assert [hit.distances.tolist() for hit in found] == [hit.distances.tolist() for hit in wanted]
            assert [hit.payloads for hit in found] == [hit.payloads for hit in wanted]
    assert len(index) == len(twin)
