"""A page of places, and everything that belongs to some of its hashes, at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from hashgrain.codes.errors import IndexCorrupt, InvalidInput
from hashgrain.indexer.check.bucket import Bucket
from hashgrain.indexer.check.examination import WRONG_TYPE, Examination, Look, Value
from hashgrain.indexer.check.gathered import WITHOUT_HINT, Suspects, place_hashes, read_places
from hashgrain.indexer.stored.handles import FIRST_HASHED, handle_of, hashes_of, page_of
from hashgrain.indexer.stored.identifiers import ItemId, decode_id, encode_ids
from hashgrain.indexer.stored.keys import HOLES, PLACE_BYTES


class Lying(NamedTuple):
    """Where a record lies: its bucket, and which of the bucket's records it is, holes left out."""

    bucket: int
    position: int


class Page:
    """A page of places as it was at one moment, with what belongs to some hashes.

    Args:
        shard: that it belongs to.
        number: of the page.
        suspects: the hashes.
        found: what was looked at, and what was there.

    Attributes:
        text: its bytes, empty where there is no such page.
        places: its whole places as numbers, without hints (see `gathered`).
        copies: hash → handle → where its records lie, in the buckets that were looked at.
    """

    def __init__(self, shard: Examination, number: int, suspects: Suspects, found: dict[Look, Value]) -> None:
        self.number, self.found = number, found
        self._shard, self._suspects = shard, suspects
        text = found[Look("text", shard.keys.places(number))]
        self.text = text if isinstance(text, bytes) else b""
        self.places: list[int] = (read_places(self.text) & WITHOUT_HINT).tolist()
        self.copies: dict[int, dict[int, list[Lying]]] = {hash_: {} for hash_ in suspects.seen}
        self._buckets = {bucket: self._read(bucket) for bucket in sorted(self.looked_into())}
        there = [bucket for bucket in self._buckets.values() if bucket is not None]
        handles = np.concatenate([np.empty(0, np.int64), *(bucket.handles for bucket in there)])
        lying = [Lying(bucket.number, position) for bucket in there for position in range(len(bucket.handles))]
        hashes, wanted = hashes_of(handles), np.fromiter(suspects.seen, np.uint32, len(suspects.seen))
        for at in np.flatnonzero(np.isin(hashes, wanted)).tolist():
            self.copies[int(hashes[at])].setdefault(int(handles[at]), []).append(lying[at])

    @property
    def torn(self) -> int:
        """Bytes that stand after the last whole place."""
        return len(self.text) % PLACE_BYTES

    def looked_into(self) -> set[int]:
        """The buckets that were looked at, if they were there or not."""
        return {bucket for bucket in self._named() if self._shard.entry(bucket) in self.found}

    def unseen(self) -> tuple[set[int], set[int]]:
        """Buckets and handles that belong to the hashes, and were not looked at."""
        handles = {handle for copies in self.copies.values() for handle in copies}
        return self._named() - self.looked_into(), {one for one in handles if self._about(one)[0] not in self.found}

    def placed(self, hash_: int) -> Counter[int]:
        """Bucket → how many places of a hash name it."""
        return Counter(place >> 32 for place in self.places if place & 0xFFFF_FFFF == hash_)

    def misplaced(self) -> list[int]:
        """The places that belong on another page."""
        numbers = np.array(self.places, np.uint64)
        wrong: list[int] = numbers[page_of(place_hashes(numbers), self._shard.pages) != self.number].tolist()
        return wrong

    def bucket(self, number: int) -> Bucket | None:
        """A bucket, or None where there is none that can be read."""
        return self._buckets.get(number)

    def is_unknown(self, bucket: int) -> bool:
        """Whether a bucket has bytes that cannot be read, so that nobody knows what lies in it."""
        return self.bucket(bucket) is None and bool(self.found.get(Look("text", self._shard.keys.bucket(bucket))))

    def record(self, lying: Lying) -> bytes:
        """The bytes of a record."""
        bucket = self._buckets[lying.bucket]
        return b"" if bucket is None else bucket.live[lying.position].tobytes()

    def remains(self, hash_: int) -> list[int]:
        """Handles of a hash that have no record, but a name or payload, ascending."""
        seen = self._suspects.seen[hash_][1] - self.copies[hash_].keys()
        return sorted(handle for handle in seen if self.name(handle) or self.has_payload(handle))

    def name(self, handle: int) -> Value:
        """The encoded id that is stored for a handle."""
        return self.found.get(Look("field", self._shard.keys.names(self.number), handle_field(handle)))

    def has_payload(self, handle: int) -> bool:
        """Whether a payload is stored for a handle."""
        return self.found.get(self._about(handle)[0]) == 1

    def is_named(self, handle: int) -> bool:
        """Whether the id of a handle is known; where names cannot be read, that is told elsewhere."""
        name = self.name(handle)
        return handle < FIRST_HASHED or name == WRONG_TYPE or handle_named(name) == handle

    def id_of(self, handle: int) -> ItemId | None:
        """The id of a handle, where it is known."""
        if handle < FIRST_HASHED:
            return handle if handle >= -FIRST_HASHED else None
        return readable_id(self.name(handle)) if handle_named(self.name(handle)) == handle else None

    def _about(self, handle: int) -> list[Look]:
        return about(self._shard, self.number, handle)

    def _named(self) -> set[int]:
        named = {place >> 32 for place in self.places if place & 0xFFFF_FFFF in self._suspects.seen}
        return named.union(*(seen[0] for seen in self._suspects.seen.values()))

    def _read(self, number: int) -> Bucket | None:
        entry = self.found[self._shard.entry(number)]
        text = self.found[Look("text", self._shard.keys.bucket(number))]
        if number in self._shard.unknown or not isinstance(text, bytes) or not isinstance(entry, bytes):
            return None
        bucket = Bucket(number, entry, text, None, self._shard.header.layout)
        return bucket if entry and entry[-1] in HOLES and not bucket.torn else None


def look_at(shard: Examination, number: int, suspects: Suspects) -> Page | int | None:
    """Look at a page; gives the number of pages where that has changed, None where another service has the key."""
    keys = shard.keys
    count, text = Look("field", keys.meta, b"pages"), Look("text", keys.places(number))
    looks = [count, text]
    buckets: Iterable[int] = set().union(*(seen[0] for seen in suspects.seen.values()))
    handles: Iterable[int] = set().union(*(seen[1] for seen in suspects.seen.values()))
    for _ in shard.attempts():
        looks += [look for bucket in buckets for look in (shard.entry(bucket), Look("text", keys.bucket(bucket)))]
        looks += [look for handle in handles for look in about(shard, number, handle)]
        found = dict(zip(looks, shard.peek(looks), strict=True))
        pages = found[count]
        if not isinstance(pages, bytes) or not pages.isdigit():
            raise IndexCorrupt(f"{keys.meta} lost its number of pages while it was being checked; check it again")
        if int(pages) != shard.pages:
            return int(pages)
        if found[text] == WRONG_TYPE:
            return None
        page = Page(shard, number, suspects, found)
        buckets, handles = page.unseen()
        if not buckets and not handles:
            return page
    raise AssertionError("attempts end with an error")


def about(shard: Examination, page: int, handle: int) -> list[Look]:
    """What to look at of a handle: its payload, and its name where it needs one."""
    payload = Look("has", shard.keys.payloads, handle_field(handle))
    return (
        [payload] if handle < FIRST_HASHED else [payload, Look("field", shard.keys.names(page), handle_field(handle))]
    )


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
