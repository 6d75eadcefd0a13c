"""The hash `nums`: every id's place, and whether its record is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hashgrain.indexer.check import kinds
from hashgrain.indexer.check.examination import Change, Examination, Look, Value, readable_id
from hashgrain.indexer.check.report import Examined
from hashgrain.indexer.check.snapshot import AT_ONCE, fields_of, live_numbers, read_place
from hashgrain.indexer.identifiers import shard_of
from hashgrain.indexer.keys import bucket_name
from hashgrain.indexer.store_errors import translated

Item = tuple[bytes, bytes]
"""An encoded id and its place."""


def pages(shard: Examination, key: str, count: int = AT_ONCE) -> Iterator[list[tuple[bytes, bytes]]]:
    """Fields and values of a hash in pages; what is there all the time comes at least once."""
    cursor = -1
    while cursor:
        with translated(shard.connection.address):
            reply: Any = shard.connection.client.hscan(key, max(cursor, 0), count=count)
        cursor, page = reply
        yield list(page.items())


def check_places(shard: Examination) -> None:
    """Check that every id belongs here, and that the number it claims bears its name; fills `shard.claimed`."""
    for page in pages(shard, shard.keys.nums):
        shard.advance(len(page))
        shard.examined += Examined(items=len(page))
        for item in page:
            _check_id(shard, item)
        placed = [(item, target) for item in page if (target := _target(shard, item[1])) is not None]
        shard.unreadable |= len(placed) < len(page)
        numbers = [number for _, (number, _) in placed]
        shard.claimed.add(numbers)
        shard.largest = max([shard.largest, *numbers])
        names = fields_of(shard, shard.keys.ids, numbers)
        for (item, (number, _)), name in zip(placed, names, strict=True):
            if name != item[0]:
                _settle_name(shard, item, number)


def check_records(shard: Examination) -> None:
    """Check that every id has its record; needs `shard.claimed` and `shard.seen`, reads nothing where they agree."""
    if shard.claimed.within(shard.seen) and not shard.unreadable:
        return
    for page in pages(shard, shard.keys.nums):
        by_bucket: dict[int | None, list[Item]] = {}
        for item in page:
            target = _target(shard, item[1])
            if item[0] not in shard.placed and (target is None or target[0] not in shard.seen):
                by_bucket.setdefault(None if target is None else target[1], []).append(item)
        for coarse, suspects in by_bucket.items():
            _settle_records(shard, coarse, suspects)


def _check_id(shard: Examination, item: Item) -> None:
    encoded, place = item
    readable, home = readable_id(encoded) is not None, shard_of(encoded, shard.header.shards)
    if (readable and home == shard.keys.shard) or shard.peek([Look("field", shard.keys.nums, encoded)]) != [place]:
        return
    if readable:
        shard.tell(kinds.FOREIGN_ID, shard.keys.nums, f"an id that belongs to shard {home}", encoded)
    else:
        shard.tell(kinds.FOREIGN_ID, shard.keys.nums, f"{encoded[:40]!r}, which no id is encoded as")


def _settle_name(shard: Examination, item: Item, number: int) -> None:
    """An id claims a number that bears another name, or none."""
    encoded, place = item
    claim, name = Look("field", shard.keys.nums, encoded), Look("field", shard.keys.ids, number)
    for _ in shard.attempts():
        now, found = shard.peek([claim, name])
        if now != place or found == encoded:
            return  # replaced or deleted meanwhile
        expect: dict[Look, Value] = {claim: place, name: found}
        if isinstance(found, bytes):
            rival = Look("field", shard.keys.nums, found)
            (expect[rival],) = shard.peek([rival])
            theirs = expect[rival]
            if isinstance(theirs, bytes) and (_target(shard, theirs) or (-1,))[0] == number:
                shard.tell(kinds.NAME_CONFLICT, shard.keys.nums, f"number {number}, which {found[:40]!r} has", encoded)
                return
        if not shard.repair or shard.mend(expect, [("HSET", shard.keys.ids, number, encoded)]):
            break
    words = "no name" if found is None else f"the name {found!r}"
    shard.tell(kinds.UNNAMED, shard.keys.ids, f"{words} for number {number}, which this id has", encoded)


def _settle_records(shard: Examination, coarse: int | None, suspects: list[Item]) -> None:
    """Ids whose places name one bucket (or cannot be read) seem to have no record there."""
    bucket = [] if coarse is None else [Look("text", shard.keys.bucket(coarse))]
    claims = [Look("field", shard.keys.nums, encoded) for encoded, _ in suspects]
    found = shard.peek([*claims, *bucket])
    places, log = found[: len(claims)], found[-1] if bucket else None
    log = log if isinstance(log, bytes) else None
    if log is not None and len(log) % shard.width:
        return  # told as a bucket of a broken length
    there = live_numbers(log, shard.width)
    for (encoded, place), now in zip(suspects, places, strict=True):
        target = _target(shard, place)
        if now != place or (target is not None and target[0] in there):
            continue
        words = f"the place {place.decode(errors='replace')!r}"
        words += (
            ", which cannot be read" if coarse is None else f", but bucket {bucket_name(coarse)} has no such record"
        )
        shard.tell(kinds.LOST_RECORD, shard.keys.nums, words, encoded)
        if shard.forget_lost:
            _forget(shard, encoded, place)


def _forget(shard: Examination, encoded: bytes, place: bytes) -> None:
    keys, target = shard.keys, _target(shard, place)
    claim = Look("field", keys.nums, encoded)
    for _ in shard.attempts():
        expect: dict[Look, Value] = {claim: place}
        # The first command is one that Redis allows when `maxmemory` is reached, and the rest goes with it.
        changes: list[Change] = [("HDEL", keys.nums, encoded), ("HINCRBY", keys.meta, "live", -1)]
        if target is not None:
            bears = Look("field", keys.ids, target[0])
            (expect[bears],) = shard.peek([bears])
            if expect[bears] == encoded:
                changes += [("HDEL", keys.ids, target[0]), ("HDEL", keys.payloads, target[0])]
        if shard.mend(expect, changes) or shard.peek([claim]) != [place]:
            return


def _target(shard: Examination, place: bytes) -> tuple[int, int] | None:
    return read_place(place, shard.header.layout.coarse_bits)
