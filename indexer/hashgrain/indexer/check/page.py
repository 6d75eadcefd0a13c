"""A page of places, and everything that belongs to some of its hashes, at one moment."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hashgrain.codes.errors import IndexCorrupt, InvalidInput
from hashgrain.indexer.check.bucket import Bucket
from hashgrain.indexer.check.examination import WRONG_TYPE, Examination, Look, Value
from hashgrain.indexer.check.gathered import WITHOUT_HINT, Suspects, place_hashes, read_places
from hashgrain.indexer.handles import FIRST_HASHED, handle_of, hashes_of, page_of
from hashgrain.indexer.identifiers import ItemId, decode_id, encode_ids
from hashgrain.indexer.keys import HOLES, PLACE_BYTES


class Lying(NamedTuple):
    """Where a record lies: its bucket, and which of the bucket's records it is, holes left out."""

    bucket: int
    position: int


@dataclass(frozen=True, eq=False)
class Page:
    """A page of places, and what belongs to some hashes.

    Attributes:
        number: of the page.
        text: its bytes, empty where there is no such page.
        places: its whole places as numbers, without hints (see `gathered`).
        buckets: those where the hashes have records, or are said to have some; None what is no bucket.
        unknown: buckets that are there, but cannot be read.
        copies: hash → handle → where its records lie.
        absent: hash → handles that were seen, and have no record.
        names: handle → its encoded id, for handles that are hashes.
        payloads: handles that have a payload.
        found: what was looked at, and what was there.
    """

    number: int
    text: bytes
    places: list[int]
    buckets: dict[int, Bucket | None]
    unknown: set[int]
    copies: dict[int, dict[int, list[Lying]]]
    absent: dict[int, list[int]]
    names: dict[int, Value]
    payloads: set[int]
    found: dict[Look, Value]

    @property
    def torn(self) -> int:
        """Bytes that stand after the last whole place."""
        return len(self.text) % PLACE_BYTES

    def record(self, lying: Lying) -> bytes:
        """The bytes of a record."""
        bucket = self.buckets[lying.bucket]
        return b"" if bucket is None else bucket.live[lying.position].tobytes()

    def placed(self, hash_: int) -> Counter[int]:
        """Bucket → how many places of a hash name it."""
        return Counter(place >> 32 for place in self.places if place & 0xFFFFFFFF == hash_)

    def is_named(self, handle: int) -> bool:
        """Whether the id of a handle is known; where names cannot be read, that is told elsewhere."""
        name = self.names.get(handle)
        return handle < FIRST_HASHED or name == WRONG_TYPE or handle_named(name) == handle

    def id_of(self, handle: int) -> ItemId | None:
        """The id of a handle, where it is known."""
        if handle < FIRST_HASHED:
            return handle if handle >= -FIRST_HASHED else None
        name = self.names.get(handle)
        return readable_id(name) if handle_named(name) == handle else None


def look_at(shard: Examination, number: int, suspects: Suspects) -> Page | int | None:
    """Look at a page; gives the number of pages where that has changed, None where another service has the key."""
    keys = shard.keys
    count, page = Look("field", keys.meta, b"pages"), Look("text", keys.places(number))
    buckets: set[int] = set().union(*(seen[0] for seen in suspects.seen.values()))
    handles: set[int] = set().union(*(seen[1] for seen in suspects.seen.values()))
    for _ in shard.attempts():
        looks = [count, page]
        looks += [look for bucket in buckets for look in (shard.entry(bucket), Look("text", keys.bucket(bucket)))]
        looks += [look for handle in handles for look in _about(shard, number, handle)]
        found = dict(zip(looks, shard.peek(looks), strict=True))
        pages = found[count]
        if not isinstance(pages, bytes) or not pages.isdigit():
            raise IndexCorrupt(f"{keys.meta} lost its number of pages while it was being checked; check it again")
        if int(pages) != shard.pages:
            return int(pages)
        if found[page] == WRONG_TYPE:
            return None
        seen = _assemble(shard, number, suspects, buckets, handles, found)
        named = {place >> 32 for place in seen.places if place & 0xFFFFFFFF in suspects.seen}
        having = {handle for copies in seen.copies.values() for handle in copies}
        if named <= buckets and having <= handles:
            return seen
        buckets |= named
        handles |= having
    raise AssertionError("attempts end with an error")


def _about(shard: Examination, page: int, handle: int) -> list[Look]:
    payload = Look("has", shard.keys.payloads, handle_field(handle))
    return (
        [payload] if handle < FIRST_HASHED else [payload, Look("field", shard.keys.names(page), handle_field(handle))]
    )


def _assemble(
    shard: Examination,
    number: int,
    suspects: Suspects,
    buckets: set[int],
    handles: set[int],
    found: dict[Look, Value],
) -> Page:
    text = found[Look("text", shard.keys.places(number))]
    text = text if isinstance(text, bytes) else b""
    read = {bucket: _bucket(shard, bucket, found) for bucket in sorted(buckets)}
    copies: dict[int, dict[int, list[Lying]]] = {hash_: {} for hash_ in suspects.seen}
    wanted = np.fromiter(suspects.seen, np.uint32, len(suspects.seen))
    for bucket, there in read.items():
        if isinstance(there, Bucket):
            hashes = hashes_of(there.handles)
            for position in np.flatnonzero(np.isin(hashes, wanted)).tolist():
                mine = copies[int(hashes[position])].setdefault(int(there.handles[position]), [])
                mine.append(Lying(bucket, position))
    absent: dict[int, list[int]] = {}
    ordered = np.array(sorted(handles), np.int64)
    for handle, hash_ in zip(ordered.tolist(), hashes_of(ordered).tolist(), strict=True):
        if handle not in copies.get(hash_, {}):
            absent.setdefault(hash_, []).append(handle)
    about = {handle: [found.get(look) for look in _about(shard, number, handle)] for handle in handles}
    return Page(
        number=number,
        text=text,
        places=(read_places(text) & WITHOUT_HINT).tolist(),
        buckets={bucket: there if isinstance(there, Bucket) else None for bucket, there in read.items()},
        unknown={bucket for bucket, there in read.items() if there is False},
        copies=copies,
        absent=absent,
        names={handle: said[1] for handle, said in about.items() if len(said) > 1},
        payloads={handle for handle, said in about.items() if said[0]},
        found=found,
    )


def _bucket(shard: Examination, number: int, found: dict[Look, Value]) -> Bucket | bool | None:
    """A bucket, None where there is none, False where it cannot be read."""
    entry, text = found[shard.entry(number)], found[Look("text", shard.keys.bucket(number))]
    if not entry or not isinstance(entry, bytes) or text is None:
        return None
    if number in shard.unknown or not isinstance(text, bytes) or entry[-1] not in HOLES:
        return False
    bucket = Bucket(number, entry, text, None, shard.header.layout)
    return bucket if not bucket.torn else False


def misplaced(page: Page, pages: int) -> list[int]:
    """The places of a page that belong on another, where there are so many pages."""
    numbers = np.array(page.places, np.uint64)
    wrong: list[int] = numbers[page_of(place_hashes(numbers), pages) != page.number].tolist()
    return wrong


def readable_id(encoded: Value) -> ItemId | None:
    """The id, or None where these bytes are not what any id is encoded as."""
    try:
        item = decode_id(encoded) if isinstance(encoded, bytes) else None
        return item if item is not None and encode_ids([item]) == [encoded] else None
    except (IndexCorrupt, InvalidInput):
        return None


def handle_named(encoded: Value) -> int | None:
    """The handle of an encoded id that needs a name, or None where these bytes are none."""
    if not isinstance(encoded, bytes) or readable_id(encoded) is None:
        return None
    handle = handle_of(encoded)
    return handle if handle >= FIRST_HASHED else None


def handle_field(handle: int) -> bytes:
    """A handle as the field of a hash."""
    return handle.to_bytes(8, "little", signed=True)
