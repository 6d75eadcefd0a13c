"""A bucket, and what is said elsewhere of its records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from hashgrain.indexer.check.examination import Examination
from hashgrain.indexer.keys import NUMBER_BYTES, TOMBSTONE, bucket_name
from hashgrain.indexer.store_errors import translated

_PLACE = re.compile(rb"(0|[1-9][0-9]{0,9}):([0-9a-f]{6})")

AT_ONCE = 1000
"""Fields or keys that one request asks for."""


@dataclass(frozen=True)
class Snapshot:
    """A bucket, and what is said elsewhere of its records.

    Attributes:
        coarse: the bucket's coarse code as a number.
        width: bytes of a record.
        log: its bytes, or None where there is no such bucket.
        foreign: the type of a key that is no string.
        dead: its number of tombstones, as counted in the hash `dead`.
        bit: its bit in the occupancy map.
        entries: number of a live record → its encoded id, and that id's place.
        names: number → encoded id, of the places that are not in this bucket (atomic snapshots only).
        logs: bucket → log, of the same.
    """

    coarse: int
    width: int
    log: bytes | None
    dead: bytes | None
    bit: int
    foreign: str | None = None
    entries: dict[int, tuple[bytes | None, bytes | None]] = field(default_factory=dict)
    names: dict[bytes, bytes | None] = field(default_factory=dict)
    logs: dict[bytes, bytes | None] = field(default_factory=dict)

    @property
    def torn(self) -> int:
        """Bytes that stand after the last whole record."""
        return len(self.log or b"") % self.width

    @cached_property
    def stamps(self) -> list[int]:
        """Number and tombstone bit of every whole record."""
        return stamps_of(self.log, self.width)

    @cached_property
    def buried(self) -> set[int]:
        """Numbers that have a tombstone."""
        return {stamp - TOMBSTONE for stamp in self.stamps if stamp >= TOMBSTONE}

    @cached_property
    def live(self) -> list[int]:
        """Positions of the records that are neither tombstones nor buried by one."""
        return [at for at, stamp in enumerate(self.stamps) if stamp < TOMBSTONE and stamp not in self.buried]

    def record(self, position: int) -> bytes:
        """The bytes of one record."""
        return (self.log or b"")[position * self.width : (position + 1) * self.width]


def stamps_of(log: bytes | None, width: int) -> list[int]:
    """Number and tombstone bit of every whole record of a log."""
    whole = len(log or b"") // width
    rows = np.frombuffer(log or b"", np.uint8, whole * width).reshape(whole, width)
    stamps: list[int] = rows[:, :NUMBER_BYTES].copy().view(">u4").ravel().tolist()
    return stamps


def live_numbers(log: bytes | None, width: int) -> set[int]:
    """Numbers with a live record in a log."""
    stamps = set(stamps_of(log, width))
    return {stamp for stamp in stamps if stamp < TOMBSTONE and stamp + TOMBSTONE not in stamps}


def read_place(place: bytes | None, coarse_bits: int) -> tuple[int, int] | None:
    """Number and coarse code that a place names, or None where it cannot be read."""
    match = _PLACE.fullmatch(place or b"")
    if match is None:
        return None
    number, coarse = int(match[1]), int(match[2], 16)
    return (number, coarse) if number < TOMBSTONE and not coarse >> coarse_bits else None


def atomic_snapshot(shard: Examination, coarse: int) -> Snapshot:
    """Read a bucket and everything about it in one step of the server, during which nobody else is served."""
    status, *found = shard.run("snapshot", bucket_name(coarse))
    if status == b"foreign":
        return Snapshot(coarse, shard.width, None, None, 0, foreign=found[0].decode())
    log, dead, bit, entries, names, logs = found
    return Snapshot(
        coarse,
        shard.width,
        log,
        dead,
        bit,
        entries={number: (id_, place) for number, id_, place in zip(*(iter(entries),) * 3, strict=True)},
        names=dict(zip(names[::2], names[1::2], strict=True)),
        logs=dict(zip(logs[::2], logs[1::2], strict=True)),
    )


def loose_snapshots(shard: Examination, coarse: Sequence[int]) -> list[Snapshot]:
    """Read buckets in small steps: where writers are at work, the parts may be of different moments."""
    client, keys = shard.connection.client, shard.keys
    with translated(shard.connection.address):
        pipe = client.pipeline(transaction=False)
        pipe.mget(keys.buckets(coarse))
        pipe.hmget(keys.dead, [bucket_name(code) for code in coarse])
        for code in coarse:
            pipe.getbit(keys.occupied, code)
        logs, dead, *bits = pipe.execute()
    bare = [
        Snapshot(code, shard.width, log, count, bit)
        for code, log, count, bit in zip(coarse, logs, dead, bits, strict=True)
    ]
    numbers = [snapshot.stamps[at] for snapshot in bare for at in snapshot.live]
    ids = fields_of(shard, keys.ids, numbers)
    places = iter(fields_of(shard, keys.nums, [item for item in ids if item is not None]))
    about = iter([(item, None if item is None else next(places)) for item in ids])
    for snapshot in bare:
        snapshot.entries.update((snapshot.stamps[at], next(about)) for at in snapshot.live)
    return bare


def fields_of(shard: Examination, key: str, names: Iterable[Any]) -> list[bytes | None]:
    """Fields of a hash, in order, in pages."""
    wanted = list(names)
    found: list[bytes | None] = []
    for start in range(0, len(wanted), AT_ONCE):
        with translated(shard.connection.address):
            page: Any = shard.connection.client.hmget(key, wanted[start : start + AT_ONCE])
        found += page
    return found
