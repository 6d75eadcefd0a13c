"""Records: the bytes of buckets and the arrays that a search computes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import IndexCorrupt
from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.keys import NUMBER_BYTES, TOMBSTONE, ShardKeys


def record_width(layout: CodeLayout) -> int:
    """Bytes of one record."""
    return NUMBER_BYTES + layout.fine_bytes


@dataclass(frozen=True, eq=False)
class Records:
    """Live records of several buckets: element n of every array belongs to record n.

    Attributes:
        bucket: int64 (N,), which of the buckets the record lies in, as a position in the caller's list of them.
        number: int64 (N,), the item's number in that shard.
        fine: uint8 (N, fine bytes), the packed fine codes.
    """

    bucket: NDArray[np.int64]
    number: NDArray[np.int64]
    fine: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.number)

    @classmethod
    def parse(
        cls,
        logs: Sequence[bytes],
        bucket: NDArray[np.int64],
        layout: CodeLayout,
        keys: ShardKeys,
        coarse: NDArray[np.uint32],
    ) -> Records:
        """Read the logs of some buckets of one shard, and leave out what is dead.

        Args:
            logs: the bytes of each bucket.
            bucket: int64 (buckets,), the value for `Records.bucket` of each.
            layout: the code lengths.
            keys: of the shard that they were read from.
            coarse: uint32 (buckets,), the coarse code of each.

        Raises:
            IndexCorrupt: a bucket's length is no multiple of the record width.
        """
        width = record_width(layout)
        lengths = np.array([len(log) for log in logs], np.int64)
        if np.any(lengths % width):
            broken = int(np.flatnonzero(lengths % width)[0])
            raise IndexCorrupt(
                f"{keys.bucket(int(coarse[broken]))} holds {lengths[broken]} bytes, no multiple of the {width} bytes "
                "of a record; drop the index and build it again"
            )
        rows = np.frombuffer(b"".join(logs), np.uint8).reshape(-1, width)
        stamps = rows[:, :NUMBER_BYTES].copy().view(">u4").ravel().astype(np.int64)
        live = _live(stamps)
        return cls(
            bucket=np.repeat(bucket, lengths // width)[live],
            number=stamps[live],
            fine=rows[live, NUMBER_BYTES:],
        )


def _live(stamps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which records are neither tombstones nor buried by one; a number lies in one bucket of its shard only."""
    tombstones = stamps >= TOMBSTONE
    if not tombstones.any():
        return ~tombstones
    buried: NDArray[np.bool_] = np.isin(stamps, stamps[tombstones] - TOMBSTONE)
    return ~tombstones & ~buried
