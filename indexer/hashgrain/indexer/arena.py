"""Buckets of one shard that a searcher keeps: their live records, one bucket after another in two arrays.

Rows are only appended, and what is taken away is left behind as garbage until everything is moved into new arrays. So
whoever holds the arrays of one moment, with the rows of a bucket, can read them without a lock as long as it likes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.keys import NUMBER_BYTES
from hashgrain.indexer.records import Records
from hashgrain.indexer.spans import Span

_ABSENT = -1
_SLACK = 8  # arrays grow by an eighth, so that at most about that much of them is empty
_TRIM_TO = 0.85  # of the budget: moving everything for each bucket that comes in would cost more than reading it


class Arena:
    """Records of some of a shard's buckets; not safe to share between threads.

    Args:
        fine_bytes: of one fine code.
        budget: bytes that all arrays may take after `trim`.

    Attributes:
        occupied: uint32 (B,), the coarse codes that it has places for, ascending.
        held: rows that belong to a bucket.
    """

    def __init__(self, fine_bytes: int, budget: int) -> None:
        self._budget = budget
        self.row_bytes = NUMBER_BYTES + fine_bytes
        self._fine_bytes = fine_bytes
        self.clear()

    def clear(self) -> None:
        """Let go of everything."""
        self.occupied: NDArray[np.uint32] = np.empty(0, np.uint32)
        self.held = 0
        self._end = 0
        self._number: NDArray[np.uint32] = np.empty(0, np.uint32)
        self._fine: NDArray[np.uint8] = np.empty((0, self._fine_bytes), np.uint8)
        self._new_places(0)

    def _new_places(self, buckets: int) -> None:
        self._start: NDArray[np.uint32] = np.zeros(buckets, np.uint32)  # a shard gives out 2**31 numbers
        self._count: NDArray[np.int32] = np.full(buckets, _ABSENT, np.int32)
        self._used: NDArray[np.uint32] = np.zeros(buckets, np.uint32)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, garbage and room to grow included."""
        return self._number.nbytes + self._fine.nbytes + self._places_nbytes

    @property
    def _places_nbytes(self) -> int:
        return self._start.nbytes + self._count.nbytes + self._used.nbytes

    @property
    def buckets(self) -> int:
        """How many buckets it holds."""
        return int(np.count_nonzero(self._count != _ABSENT))

    def align(self, occupied: NDArray[np.uint32]) -> None:
        """Have a place for each of these coarse codes, and for no other, and keep what is held of them."""
        old, start, count, used = self.occupied, self._start, self._count, self._used
        self.occupied = occupied
        self._new_places(len(occupied))
        if len(old) and len(occupied):
            at = np.minimum(np.searchsorted(old, occupied), len(old) - 1)
            same = old[at] == occupied
            for mine, theirs in ((self._start, start), (self._count, count), (self._used, used)):
                mine[same] = theirs[at[same]]
        self.held = int(self._count[self._count > 0].sum())

    def missing(self, places: NDArray[np.intp]) -> NDArray[np.intp]:
        """Those of the places that hold no bucket."""
        absent: NDArray[np.intp] = places[self._count[self._at(places)] == _ABSENT]
        return absent

    def put(self, places: NDArray[np.intp], records: Records) -> None:
        """Hold buckets at places where none is; `records.bucket` counts along `places`, ascending."""
        count = np.bincount(records.bucket, minlength=len(places))
        self._reserve(len(records))
        end = self._end + len(records)
        self._number[self._end : end] = records.number
        self._fine[self._end : end] = records.fine
        self._start[places] = self._end + np.cumsum(count) - count
        self._count[places] = count
        self._end = end
        self.held += len(records)

    def drop(self, coarse: NDArray[np.uint32]) -> int:
        """Let go of the buckets of some coarse codes, each once; returns how many were held."""
        if not len(self.occupied):
            return 0
        at = np.minimum(np.searchsorted(self.occupied, coarse), len(self.occupied) - 1)
        at = at[(self.occupied[at] == coarse) & (self._count[at] != _ABSENT)]
        self.held -= int(self._count[at].sum())
        self._count[at] = _ABSENT
        return len(at)

    def span(self, places: NDArray[np.intp], buckets: NDArray[np.intp], tick: int) -> Span:
        """Where the buckets at some places lie, all of which are held; marks them as used at `tick`.

        Args:
            places: intp (P,), ascending.
            buckets: intp (P,), what `Span.buckets` is to call them.
            tick: the moment.
        """
        at = self._at(places)
        self._used[at] = tick & 0xFFFFFFFF  # where it wraps around, some buckets seem old: no harm
        if len(places) == len(self.occupied) and not self._in_order():
            self._move(places)
        start, count = self._start[at].astype(np.int64), self._count[at].astype(np.int64)
        return Span(buckets, start, count, self._number, self._fine)

    def trim(self) -> int:
        """Where the budget is exceeded, let go of the buckets not used for longest; returns how many."""
        if self.nbytes <= self._budget:
            return 0
        kept = np.flatnonzero(self._count != _ABSENT)
        before = len(kept)
        if self.held > _TRIM_TO * self._room:
            recent = kept[np.argsort(self._used[kept], kind="stable")[::-1]]
            fits = np.cumsum(self._count[recent]) <= _TRIM_TO * self._room
            gone = recent[~fits]
            self.held -= int(self._count[gone].sum())
            self._count[gone] = _ABSENT
            kept = np.sort(recent[fits])
        self._move(kept)
        return before - len(kept)

    @property
    def _room(self) -> int:
        """Rows that the budget allows."""
        return max(self._budget - self._places_nbytes, 0) // self.row_bytes

    def _at(self, places: NDArray[np.intp]) -> NDArray[np.intp] | slice:
        """The same places, which ascend, as the slice that they are where they are all."""
        return slice(None) if len(places) == len(self.occupied) else places

    def _in_order(self) -> bool:
        """Whether the held rows are those from 0 on, bucket by bucket."""
        return self.held == self._end and bool(np.all(self._start[1:] >= self._start[:-1]))

    def _move(self, places: NDArray[np.intp]) -> None:
        """Copy the buckets at all places that hold one into new arrays, in order."""
        count = self._count[places].astype(np.int64)
        rows = _rows(self._start[places].astype(np.int64), count)
        self._number, self._fine = self._number[rows], self._fine[rows]
        if isinstance(rows, slice):  # a view would keep the old arrays
            self._number, self._fine = self._number.copy(), self._fine.copy()
        self._start[places] = np.cumsum(count) - count
        self._end = len(self._number)

    def _reserve(self, more: int) -> None:
        """Make room for more rows at the end."""
        if self._end + more <= len(self._number):
            return
        if self._end > self.held + self.held // _SLACK:
            self._move(np.flatnonzero(self._count != _ABSENT))
        rows = self._end + more
        size = max(rows, min(rows + rows // _SLACK, self._room))
        number, fine = np.empty(size, np.uint32), np.empty((size, self._fine_bytes), np.uint8)
        number[: self._end], fine[: self._end] = self._number[: self._end], self._fine[: self._end]
        self._number, self._fine = number, fine


def _rows(start: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64] | slice:
    """The rows of some buckets, in order; as a slice where they follow upon each other."""
    if not len(count):
        return slice(0, 0)
    end = np.cumsum(count)
    shift = start - (end - count)
    if shift[0] == shift[-1] and np.all(shift == shift[0]):
        return slice(int(start[0]), int(start[0] + end[-1]))
    rows: NDArray[np.int64] = np.arange(end[-1])
    rows += np.repeat(shift, count)
    return rows
