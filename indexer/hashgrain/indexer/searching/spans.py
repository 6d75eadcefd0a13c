"""Where the records that one reading gives lie, and which of them are the candidates of some queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.hamming import word_type
from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.loops import loops
from hashgrain.indexer.stored.keys import HOLES, NARROW
from hashgrain.indexer.stored.records import Records, coarse_type

_UNBOUNDED = 1 << 62


def narrow(handles: NDArray[np.uint32] | NDArray[np.int64]) -> NDArray[np.uint32] | NDArray[np.int64]:
    """The same handles as uint32, if they all fit: the fewer bytes a searcher keeps, the better."""
    if handles.dtype == np.uint32:
        return handles
    largest = handles.view(np.uint64).max(initial=0)  # so seen, one below 0 is larger than all others
    return handles.astype(np.uint32) if largest < HOLES[NARROW] else handles


@dataclass(frozen=True, eq=False)
class Span:
    """What one shard gives to a reading.

    Attributes:
        buckets: int64 (P,), positions in the directories, ascending.
        start: int64 (P,), the first row of each bucket.
        count: int64 (P,), how many rows it has.
        handle: uint32 or int64 (rows,), the item's handle of each row.
        coarse: uint16 or uint32 (rows,), the coarse code of each row as a number; see `coarse_type`.
        fine: uint8 (rows, fine bytes), the packed fine code of each row.
        attributes: uint8 (rows, bytes), see `fields`; None where the index has none.
        origin: int64 (rows,), of what a filter has left of another span, the rows of that; else None.
    """

    buckets: NDArray[np.int64]
    start: NDArray[np.int64]
    count: NDArray[np.int64]
    handle: NDArray[np.uint32] | NDArray[np.int64]
    coarse: NDArray[np.unsignedinteger]
    fine: NDArray[np.uint8]
    attributes: NDArray[np.uint8] | None = None
    origin: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, buckets: NDArray[np.int64], records: Records, layout: CodeLayout) -> Span:
        """The records of some buckets, in their order."""
        coarse = records.coarse.astype(coarse_type(layout), copy=False)
        start = np.cumsum(records.count) - records.count
        return cls(buckets, start, records.count, narrow(records.handle), coarse, records.fine, records.attributes)

    @cached_property
    def words(self) -> NDArray[np.unsignedinteger]:
        """The fine codes, one after another, as the widest words that divide one of them."""
        return self.fine.reshape(-1).view(word_type(self.fine.shape[1]))

    def filtered(self, wanted: NDArray[np.int64], keep: Callable[[NDArray[np.uint8]], NDArray[np.bool_]]) -> Span:
        """The rows of some buckets that a filter keeps.

        Args:
            wanted: int64 (n,), positions, ascending.
            keep: tells by the attributes of rows which are kept, bool.
        """
        start, count = self.locate(wanted)
        total = int(count.sum())
        assert self.attributes is not None
        if 2 * total >= len(self.attributes):  # to look at all is quicker then than to copy some
            kept, at = keep(self.attributes), start
        else:
            some = np.empty((total, self.attributes.shape[1]), np.uint8)
            loops().gather(self.attributes, start, count, some)
            kept, at = keep(some), np.cumsum(count) - count
        origin, left = np.empty(total + 1, np.int64), np.empty(len(wanted), np.int64)  # one more, to write in vain
        origin = origin[: loops().pick(kept, at, start, count, origin, left)]
        fine = self.words.reshape(len(self.fine), -1).take(origin, axis=0)
        return Span(
            wanted,
            np.cumsum(left) - left,
            left,
            self.handle.take(origin),
            self.coarse.take(origin),
            fine.view(np.uint8),
            origin=origin,
        )

    def locate(self, wanted: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First row and number of rows, int64 (P,), of other buckets in any order; none of what is not here."""
        if wanted is self.buckets:
            return self.start, self.count
        rows = np.empty((2, len(wanted)), np.int64)
        loops().locate(self.buckets, self.start, self.count, wanted, rows)
        return rows[0], rows[1]


@dataclass(eq=False)
class Candidates:
    """The rows that some queries are compared with.

    Attributes:
        buckets: int64 (P,), positions in the directories: those of one query after another, each in the query's order.
            Queries may share a part of it.
        begin, end: int64 (Q,), which part of `buckets` is that of each query.
        records: int64 (Q,), how many records it has.
        spans: one per shard, in order.
        rows: by shard, first row and number of rows of each of the buckets, int64 (P,).
    """

    buckets: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    records: NDArray[np.int64]
    spans: Sequence[Span]
    rows: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]

    @classmethod
    def of(
        cls,
        buckets: NDArray[np.int64],
        begin: NDArray[np.int64],
        end: NDArray[np.int64],
        spans: Sequence[Span],
        budget: int | None = None,
    ) -> Candidates:
        """Find the rows of some buckets: of all, or of each query's first that hold as many records as the budget."""
        rows = [span.locate(buckets) for span in spans]
        (_, sizes), *others = rows  # a bucket lies in one shard
        for _, count in others:
            sizes = sizes + count
        taken, records = np.empty((2, len(begin)), np.int64)
        loops().spend_each(sizes, begin, end, _UNBOUNDED if budget is None else min(budget, _UNBOUNDED), taken, records)
        return cls(buckets, begin, taken, records, spans, rows)

    def __len__(self) -> int:
        return len(self.begin)

    def __getitem__(self, queries: NDArray[np.intp]) -> Candidates:
        """Those of some queries, in that order."""
        part = self.begin[queries], self.end[queries], self.records[queries]
        return Candidates(self.buckets, *part, self.spans, self.rows)
