"""All items of an index, one after another, while it is in use.

Items are listed in an order that nothing moves them in (see `hash_order`), page by page, and a page is read in one step
of the server: its places, and whole items for all of them. So an item that is there from the beginning to the end is
listed exactly once, with codes, name and payload of one moment; one that is added, replaced or deleted meanwhile is
listed as it was before or after, or (added, deleted) not at all; none is listed twice.

What a page does not say is the handles of its items. They are gathered before, from the buckets, for many pages at
once. Where a page turns out to hold others when it is read, they are looked for in the buckets that its places name,
and the page is read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import IndexCorrupt, StoreUnavailable
from hashgrain.indexer.adding.collection import Collection
from hashgrain.indexer.managing.fetching import STEPS, Fetched, Wanted, fetch, joined
from hashgrain.indexer.stored.handles import hashes_of, page_of, shards_of
from hashgrain.indexer.stored.hash_order import END, end_of_page, hash_at, positions_of
from hashgrain.indexer.stored.keys import BUCKET_BYTES, HASH_BYTES, PAGE_ITEMS
from hashgrain.indexer.stored.records import Records
from hashgrain.indexer.stored.shard import Shard
from hashgrain.indexer.wire.store_errors import translated

GATHERED = 1 << 20
"""Items whose handles are gathered at once, more or less: 16 bytes each."""

ATTEMPTS = 100
"""How often something is read anew while writers change it."""

_BUCKETS, _PAGES = 128, 1024  # that one command reads


@dataclass(frozen=True, order=True)
class Position:
    """A place in the list: behind the item of this handle.

    Attributes:
        shard: number of the shard.
        at: see `hash_order`.
        handle: of an item there, or less than all of them.
    """

    shard: int = 0
    at: int = 0
    handle: int = -(1 << 63)


def listed(shards: Sequence[Shard], after: Position = Position(), gathered: int = GATHERED) -> Iterator[Collection]:
    """All items behind a position, in order, some hundreds at a time, in bounded memory.

    Args:
        shards: of the index.
        after: see `Position`.
        gathered: items whose handles are gathered at once.

    Raises:
        IndexMissing: the index was dropped since it was opened.
        IndexCorrupt: the stored layout contradicts itself.
        StoreUnavailable: also where writers changed a part of it faster than it could be read.
    """
    for shard in shards[after.shard :]:
        start, behind = (after.at, after.handle) if shard.keys.shard == after.shard else (0, Position.handle)
        while start < END:
            found = _Range.gather(shard, start, gathered)
            for items in found.items():
                at = positions_of(hashes_of(items.handles))
                kept = np.flatnonzero((at > after.at) | (items.handles > behind)) if start == after.at else None
                some = items if kept is None else items[kept]
                if len(some):
                    yield some
            start, behind = found.end, Position.handle


def for_good(shards: Sequence[Shard]) -> list[Shard]:
    """The same shards, to be read to the end, though another generation may become the live one.

    Raises:
        IndexMissing: they are no longer those of the index that is meant.
    """
    for shard in shards:
        shard.count()
    return [Shard(shard.connection, shard.keys, shard.header, follows=False) for shard in shards]


def position_of(handle: int, shards: int) -> Position:
    """The position behind an item of an index that has so many shards."""
    one = np.array([handle], np.int64)
    return Position(int(shards_of(one, shards)[0]), int(positions_of(hashes_of(one))[0]), handle)


@dataclass(frozen=True, eq=False)
class _Range:
    """Some neighbouring pages of a shard, and the handles that were seen of them.

    Attributes:
        shard: the shard.
        bounds: where each page began and the last one ended, ascending.
        handles: int64 (N,), in the order of the list.
        at: int64 (N,), their positions.
    """

    shard: Shard
    bounds: Sequence[int]
    handles: NDArray[np.int64]
    at: NDArray[np.int64]

    @property
    def end(self) -> int:
        """Where the range ends."""
        return self.bounds[-1]

    @classmethod
    def gather(cls, shard: Shard, start: int, items: int) -> _Range:
        """Learn the handles of about so many items from a position on."""
        pages = shard.directory().pages
        bounds = [start]
        while bounds[-1] < END and len(bounds) <= max(1, items // PAGE_ITEMS):
            bounds.append(end_of_page(bounds[-1], pages))
        texts = _read_pages(shard, bounds[:-1], pages)
        buckets = np.unique(np.concatenate([_places(text)[1] for text in texts]))
        return cls(shard, bounds, *_seen_in(shard, buckets, start, bounds[-1]))

    def items(self) -> Iterator[Collection]:
        """The items, read page by page."""
        pages = list(zip(self.bounds[:-1], self.bounds[1:], strict=True))
        for first in range(0, len(pages), STEPS):
            some = pages[first : first + STEPS]
            found = []
            for (low, high), reply in zip(some, fetch(self.shard, [self._wanted(*page) for page in some]), strict=True):
                done = low
                while done < high:  # a page that has been divided since ends before
                    read, done = self._whole(done, high, reply if done == low else None)
                    found.append(read)
            yield joined(found)

    def _wanted(self, low: int, high: int, more: NDArray[np.int64] | None = None) -> Wanted:
        first, last = np.searchsorted(self.at, [low, high])
        handles = self.handles[first:last]
        return Wanted(handles if more is None else np.union1d(handles, more), hash_at(low))

    def _whole(self, low: int, high: int, reply: Fetched | None) -> tuple[Collection, int]:
        """The items from a position to the end of its page, of one moment, and where that is."""
        more = np.empty(0, np.int64)
        for _ in range(ATTEMPTS):
            if reply is None:
                reply = fetch(self.shard, [self._wanted(low, high, more)])[0]
            end = min(high, end_of_page(low, reply.pages))
            hashes, buckets = _places(reply.page)
            place, at = positions_of(hashes), positions_of(hashes_of(reply.items.handles))
            there = (place >= low) & (place < end)
            mine = np.flatnonzero((at >= low) & (at < end))
            if np.array_equal(np.sort(at[mine]), np.sort(place[there])):
                return reply.items[mine[np.lexsort((reply.items.handles[mine], at[mine]))]], end
            more = np.union1d(more, _seen_in(self.shard, np.unique(buckets[there]), low, end)[0])
            reply = None
        raise IndexCorrupt(
            f"{self.shard.keys.places(0)} and the pages after it name items that no bucket holds; run `hashgrain index "
            f"check {self.shard.keys.name} --repair`"
        )


def _read_pages(shard: Shard, starts: Sequence[int], pages: int) -> list[bytes]:
    numbers = page_of(np.array([hash_at(start) for start in starts], np.uint32), pages).tolist()
    texts: list[bytes] = []
    with translated(shard.connection.address):
        for first in range(0, len(numbers), _PAGES):
            keys = [shard.keys.places(page) for page in numbers[first : first + _PAGES]]
            stored: Any = shard.connection.client.mget(keys)
            texts += [text or b"" for text in stored]
    return texts


def _places(page: bytes) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Hashes and numbers of buckets of a page's places."""
    places = np.frombuffer(page, "<u8", len(page) // 8)
    buckets = places >> np.uint64(8 * HASH_BYTES) & np.uint64((1 << 8 * BUCKET_BYTES) - 1)
    return (places & np.uint64(0xFFFF_FFFF)).astype(np.uint32), buckets.astype(np.int64)


def _seen_in(
    shard: Shard, buckets: NDArray[np.int64], low: int, high: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The handles of the items in some buckets whose positions lie in a range, in order, and these positions."""
    found = [np.empty(0, np.int64)]
    directory = shard.directory()
    for first in range(0, len(buckets), _BUCKETS):
        for _ in range(ATTEMPTS):
            numbers = buckets[first : first + _BUCKETS]
            numbers = numbers[numbers < len(directory.partition)]  # others were merged into these since
            stored = shard.read(directory, numbers)
            if stored is not None:
                break
            directory = shard.directory()
        else:
            raise StoreUnavailable(
                f"index {shard.keys.name!r} changed under {ATTEMPTS} attempts to list a part of it; list it while "
                "fewer write"
            )
        widths = directory.partition.handle_bytes[numbers]
        seen = Records.parse(stored, widths, numbers, shard.header.layout, shard.keys).handle.astype(np.int64)
        at = positions_of(hashes_of(seen))
        found.append(seen[(at >= low) & (at < high)])
    handles = np.unique(np.concatenate(found))
    at = positions_of(hashes_of(handles))
    order = np.lexsort((handles, at))
    return handles[order], at[order]
