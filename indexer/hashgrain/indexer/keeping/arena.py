"""Buckets of one shard that a searcher keeps: their records, one bucket after another in three arrays.

Rows are only appended, and what is taken away is left behind as garbage until everything is copied into new arrays. So
whoever holds the arrays of one moment, with the rows of a bucket, can read them without a lock as long as it likes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.searching.spans import Span, narrow
from hashgrain.indexer.stored.fields import fields_of
from hashgrain.indexer.stored.records import Records, coarse_type

_ABSENT = -1
_SLACK = 12  # new arrays have a twelfth of room: so much of them is garbage or empty at most
_TRIM_TO = 0.85  # of the budget: copying everything for each bucket that comes in would cost more than reading it
_UNTIDY = 16  # where more than one bucket in so many does not follow upon the one before, all are put in order
_FEW = 16  # buckets, one in so many, that a single reading finds faster than all of them are made ready


class Arena:
    """Records of some of a shard's buckets, which it knows by their numbers; not safe to share between threads.

    A row takes what it takes in Redis, but for coarse codes of other lengths than 16 bits (they take 2 or 4 bytes)
    and for narrow handles beside a wide one (all take 8 bytes as long as there is one).

    Args:
        layout: the code lengths.
        budget: bytes that all arrays may take after `trim`.

    Attributes:
        size: how many buckets it has places for.
        kept: how many it holds.
        held: how many rows these have.
    """

    def __init__(self, layout: CodeLayout, budget: int) -> None:
        self._layout = layout
        self._budget = budget
        self.clear()

    def clear(self) -> None:
        """Let go of everything."""
        self.size = self.kept = self.held = self._end = 0
        self._handle: NDArray[np.uint32] | NDArray[np.int64] = np.empty(0, np.uint32)
        self._coarse: NDArray[np.unsignedinteger] = np.empty(0, coarse_type(self._layout))
        self._fine: NDArray[np.uint8] = np.empty((0, self._layout.fine_bytes), np.uint8)
        self._attributes: NDArray[np.uint8] = np.empty((0, fields_of(self._layout).size), np.uint8)
        self._start: NDArray[np.uint32] = np.empty(0, np.uint32)
        self._count: NDArray[np.int32] = np.empty(0, np.int32)
        self._used: NDArray[np.uint32] = np.empty(0, np.uint32)
        self._whole: Span | None = None
        self._changed = self._ordered = False

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, garbage and room to grow included."""
        rows = self._handle.nbytes + self._coarse.nbytes + self._fine.nbytes + self._attributes.nbytes
        return self._places_nbytes + rows

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        codes = self._coarse.itemsize + self._layout.fine_bytes
        return self._handle.itemsize + codes + fields_of(self._layout).size

    @property
    def _places_nbytes(self) -> int:
        """Of each bucket's place, and of the same as `span` gives it."""
        return self.size * (self._start.itemsize + self._count.itemsize + self._used.itemsize + 16)

    @property
    def _room(self) -> int:
        """Rows that the budget allows."""
        return max(self._budget - self._places_nbytes, 0) // self.row_bytes

    def align(self, buckets: int) -> None:
        """Have places for this many buckets, or more: where a partition has fewer by now, the others are let go of."""
        more = buckets - self.size
        if more > 0:
            self._start = np.append(self._start, np.zeros(more, np.uint32))
            self._count = np.append(self._count, np.full(more, _ABSENT, np.int32))
            self._used = np.append(self._used, np.zeros(more, np.uint32))
            self.size = buckets

    def missing(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of some buckets that it does not hold."""
        if self.kept == self.size:
            return numbers[:0]
        absent: NDArray[np.int64] = numbers[self._count[numbers] == _ABSENT]
        return absent

    def put(self, numbers: NDArray[np.int64], records: Records) -> None:
        """Hold buckets that it does not; `numbers`, ascending, are those of the buckets of `records`."""
        self._touch()
        self._reserve(len(records))
        if self._handle.dtype == np.uint32 and narrow(records.handle).dtype != np.uint32:
            self._handle = self._handle.astype(np.int64)
        end = self._end + len(records)
        self._handle[self._end : end] = records.handle
        self._coarse[self._end : end] = records.coarse
        self._fine[self._end : end] = records.fine
        if records.attributes is not None:
            self._attributes[self._end : end] = records.attributes
        count = records.count
        self._start[numbers] = self._end + np.cumsum(count) - count
        self._count[numbers] = count
        self._end = end
        self.held += len(records)
        self.kept += len(numbers)

    def drop(self, numbers: NDArray[np.int64]) -> int:
        """Let go of some buckets, each named once; returns how many it held."""
        numbers = numbers[numbers < self.size]
        numbers = numbers[self._count[numbers] != _ABSENT]
        self._let_go(numbers)
        return len(numbers)

    def span(
        self, numbers: NDArray[np.int64], positions: NDArray[np.int64], everywhere: NDArray[np.int64], tick: int
    ) -> Span:
        """Where some buckets lie, all of which it holds, and perhaps others; marks them as used at `tick`.

        Args:
            numbers: int64 (P,), ascending.
            positions: int64 (P,), their positions in the directories.
            everywhere: int64 (B,), the positions of all of the shard's buckets; the same array as long as that is so.
            tick: the moment.
        """
        size = len(everywhere)
        every = len(numbers) == size
        self._used[slice(size) if every else numbers] = tick & 0xFFFFFFFF  # where it wraps, some seem old: no harm
        if every and not self._ordered:
            self._order(size)
        if self._whole is not None and self._whole.buckets is everywhere:
            return self._whole
        changed, self._changed = self._changed, False
        if changed and len(numbers) * _FEW < len(everywhere):
            return self._span(positions, self._start[numbers], self._count[numbers])
        self._whole = self._span(everywhere, self._start[:size], np.maximum(self._count[:size], 0))
        return self._whole

    def trim(self) -> int:
        """Where the budget is exceeded, let go of the buckets not used for longest; returns how many."""
        if self.nbytes <= self._budget:
            return 0
        before, most = self.kept, int(_TRIM_TO * self._room)
        if self.held > most:
            kept = np.flatnonzero(self._count != _ABSENT)
            recent = kept[np.argsort(self._used[kept], kind="stable")[::-1]]
            self._let_go(recent[np.cumsum(self._count[recent]) > most])
        self._renew(min(self.held + self.held // _SLACK, self._room))
        return before - self.kept

    def tidy(self) -> None:
        """Give back what is garbage or empty, if that is more than a twelfth."""
        if len(self._handle) > self.held + self.held // _SLACK:
            self._renew(self.held)

    def _touch(self) -> None:
        """Take note that it will no longer hold what it holds now."""
        self._whole = None
        self._changed, self._ordered = True, False

    def _let_go(self, numbers: NDArray[np.int64]) -> None:
        if len(numbers):
            self._touch()
            self.held -= int(self._count[numbers].sum())
            self.kept -= len(numbers)
            self._count[numbers] = _ABSENT

    def _span(self, positions: NDArray[np.int64], start: NDArray[np.uint32], count: NDArray[np.int32]) -> Span:
        where = start.astype(np.int64), count.astype(np.int64)
        attributes = self._attributes if self._attributes.shape[1] else None
        return Span(positions, *where, self._handle, self._coarse, self._fine, attributes)

    def _order(self, size: int) -> None:
        """Have the rows of nearly all buckets, of which there are so many, follow upon each other: nearly one run."""
        start, count = self._start[:size].astype(np.int64), self._count[:size]
        apart = int(np.count_nonzero(start[1:] != start[:-1] + count[:-1]))
        if apart * _UNTIDY > size:
            self._renew(self.held)
        self._ordered = True

    def _reserve(self, more: int) -> None:
        """Make room for more rows at the end."""
        if self._end + more > len(self._handle):
            rows = self.held + more
            self._renew(max(rows, min(rows + rows // _SLACK, self._room)))

    def _renew(self, size: int) -> None:
        """Copy all buckets, in order of number, into new arrays with so many rows."""
        self._touch()
        kept = np.flatnonzero(self._count != _ABSENT)
        start, count = self._start[kept].astype(np.int64), self._count[kept].astype(np.int64)
        runs = _runs(start, count)
        handle = _copied(self._handle, runs, size)
        if handle.dtype == np.int64:  # the wide ones may be gone
            handle[self.held :] = 0
            handle = narrow(handle)
        self._handle = handle
        self._coarse, self._fine = _copied(self._coarse, runs, size), _copied(self._fine, runs, size)
        self._attributes = _copied(self._attributes, runs, size)
        self._start[kept] = np.cumsum(count) - count
        self._end = self.held


def _runs(start: NDArray[np.int64], count: NDArray[np.int64]) -> list[slice]:
    """The rows of some buckets, in order; those that follow upon each other are one run."""
    if not len(start):
        return []
    end = start + count
    first = np.flatnonzero(np.append(True, start[1:] != end[:-1]))
    last = np.append(first[1:], len(start)) - 1
    return [slice(*rows) for rows in zip(start[first].tolist(), end[last].tolist(), strict=True)]


def _copied(rows: NDArray[Any], runs: list[slice], size: int) -> NDArray[Any]:
    """A new array of so many rows that begins with the runs."""
    new = np.empty((size, *rows.shape[1:]), rows.dtype)
    if runs:
        held = sum(run.stop - run.start for run in runs)
        np.concatenate([rows[run] for run in runs], out=new[:held])
    return new
