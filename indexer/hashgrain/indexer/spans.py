"""Where the records that one reading gives lie, and which of them are a query's candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.hamming import word_type
from hashgrain.indexer.records import Records


@dataclass(frozen=True, eq=False)
class Span:
    """What one shard gives to a reading.

    Attributes:
        buckets: intp (P,), positions in the directories' `occupied`, ascending.
        start: int64 (P,), the first row of each bucket.
        count: int64 (P,), how many rows it has.
        number: uint32 (rows,), the item's number of each row.
        fine: uint8 (rows, fine bytes), the packed fine code of each row.
    """

    buckets: NDArray[np.intp]
    start: NDArray[np.int64]
    count: NDArray[np.int64]
    number: NDArray[np.uint32]
    fine: NDArray[np.uint8]

    @classmethod
    def of(cls, buckets: NDArray[np.intp], records: Records) -> Span:
        """The records of some buckets, in their order; `records.bucket` counts along `buckets`."""
        count = np.bincount(records.bucket, minlength=len(buckets))
        fine = np.ascontiguousarray(records.fine)
        return cls(buckets, np.cumsum(count) - count, count, records.number.astype(np.uint32), fine)

    @cached_property
    def words(self) -> NDArray[np.unsignedinteger]:
        """The fine codes, one after another, as the widest words that divide one of them."""
        return self.fine.reshape(-1).view(word_type(self.fine.shape[1]))

    def locate(self, wanted: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First row and number of rows, int64 (P,), of other buckets in any order; none of what is not here."""
        from hashgrain.indexer.scanning import locate  # loads the compiler: only for those who search

        if wanted is self.buckets:
            return self.start, self.count
        rows = np.empty((2, len(wanted)), np.int64)
        locate(self.buckets, self.start, self.count, wanted, rows)
        return rows[0], rows[1]


@dataclass(frozen=True, eq=False)
class Candidates:
    """The rows of a query's buckets.

    Attributes:
        buckets: intp (P,), positions in the directories' `occupied`, in the query's order.
        spans: one per shard, in order.
        rows: by shard, first row and number of rows of each bucket, int64 (P,).
    """

    buckets: NDArray[np.intp]
    spans: Sequence[Span]
    rows: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]

    @classmethod
    def of(cls, buckets: NDArray[np.intp], spans: Sequence[Span]) -> Candidates:
        """Find the rows of some buckets."""
        return cls(buckets, spans, [span.locate(buckets) for span in spans])

    def __len__(self) -> int:
        return self._total

    @cached_property
    def _total(self) -> int:
        return sum(int(count.sum()) for _, count in self.rows)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """int64 (P,), live records of each bucket in all shards."""
        (_, sizes), *others = self.rows
        return sum((count for _, count in others), start=sizes)

    def first(self, buckets: int) -> Candidates:
        """Those of the first so many buckets."""
        if buckets >= len(self.buckets):
            return self
        rows = [(start[:buckets], count[:buckets]) for start, count in self.rows]
        return Candidates(self.buckets[:buckets], self.spans, rows)
