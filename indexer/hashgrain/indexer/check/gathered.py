"""What a check gathers of a shard before it compares: records, and what seems to be wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.stored.handles import hashes_of, page_of
from hashgrain.indexer.stored.keys import PLACE_BYTES

_MOST_SLICES = 256

WITHOUT_HINT = np.uint64((1 << 56) - 1)
"""What is left of a place, as a number, when its hint is taken away: hints may be out of date without harm."""


class GatheredRecords:
    """Handle and bucket of every record, in slices by the low bits of the handles' hashes: 12 bytes each.

    Those bits are also the low bits of the number of the page on which the place is, so a slice is compared with
    pages of its own.

    Args:
        pages: how many pages there are at least.

    Attributes:
        slices: how many slices there are, a power of two.
    """

    def __init__(self, pages: int) -> None:
        self.slices = min(1 << (pages.bit_length() - 1), _MOST_SLICES)
        self._handles: list[list[NDArray[np.int64]]] = [[] for _ in range(self.slices)]
        self._buckets: list[list[NDArray[np.int32]]] = [[] for _ in range(self.slices)]
        self._sorted = [False] * self.slices

    def add(self, handles: NDArray[np.int64], buckets: NDArray[np.int64]) -> None:
        """Put records in: int64 (N,) each."""
        parts = hashes_of(handles) & np.uint32(self.slices - 1)
        order = np.argsort(parts, kind="stable")
        borders = np.searchsorted(parts[order], np.arange(1, self.slices))
        for part, members in enumerate(np.split(order, borders)):
            if len(members):
                self._handles[part].append(handles[members])
                self._buckets[part].append(buckets[members].astype(np.int32))

    def part(self, part: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The handles of a slice, ascending, and their buckets, int64 (N,) each; no more can be put in."""
        if not self._sorted[part]:
            handles = np.concatenate([np.empty(0, np.int64), *self._handles[part]])
            order = np.argsort(handles, kind="stable")
            buckets = np.concatenate([np.empty(0, np.int32), *self._buckets[part]])
            self._handles[part], self._buckets[part] = [handles[order]], [buckets[order]]
            self._sorted[part] = True
        return self._handles[part][0], self._buckets[part][0].astype(np.int64)

    def lacks(self, handles: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of some handles have no record."""
        parts = hashes_of(handles) & np.uint32(self.slices - 1)
        absent = np.ones(len(handles), bool)
        for part in np.unique(parts):
            members = np.flatnonzero(parts == part)
            known = self.part(int(part))[0]
            at = np.searchsorted(known, handles[members])
            inside = at < len(known)
            absent[members[inside]] = known[at[inside]] != handles[members[inside]]
        return absent


class Suspects:
    """Hashes with which something seems to be wrong, with the buckets and handles that were seen of them.

    Attributes:
        seen: hash → buckets, handles.
        pages: pages that hold something that does not belong there.
    """

    def __init__(self) -> None:
        self.seen: dict[int, tuple[set[int], set[int]]] = {}
        self.pages: set[int] = set()

    def add(self, hash_: int, buckets: Iterable[int] = (), handles: Iterable[int] = ()) -> None:
        """Note a hash."""
        known = self.seen.setdefault(hash_, (set(), set()))
        known[0].update(buckets)
        known[1].update(handles)

    def only(self, hashes: Iterable[int]) -> Suspects:
        """Some of the hashes, and no page for itself."""
        chosen = Suspects()
        chosen.seen = {hash_: self.seen[hash_] for hash_ in hashes}
        return chosen

    def by_page(self, pages: int) -> Iterator[tuple[int, Suspects]]:
        """All of them by page, where there are so many pages."""
        hashes = np.fromiter(self.seen, np.uint32, len(self.seen))
        members: dict[int, list[int]] = {page: [] for page in self.pages}
        for hash_, page in zip(hashes.tolist(), page_of(hashes, pages).tolist(), strict=True):
            members.setdefault(page, []).append(hash_)
        for page, mine in sorted(members.items()):
            yield page, self.only(mine)


def pack_places(hashes: NDArray[np.uint32], buckets: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Places as numbers, uint64 (N,), without hints: the hash in the lower half, then the bucket."""
    return hashes.astype(np.uint64) | buckets.astype(np.uint64) << np.uint64(32)


def read_places(text: bytes) -> NDArray[np.uint64]:
    """The whole places of a page as numbers, with their hints in the highest byte."""
    return np.frombuffer(text, "<u8", len(text) // PLACE_BYTES).astype(np.uint64)


def write_places(places: Sequence[int]) -> bytes:
    """The page that holds some places."""
    return np.array(places, "<u8").tobytes()


def place_hashes(places: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Their hashes, uint32 (N,)."""
    return (places & np.uint64(0xFFFF_FFFF)).astype(np.uint32)
