"""Records: the bytes of buckets and the arrays that a search computes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import IndexCorrupt
from hashgrain.codes.layout import CodeLayout
from hashgrain.codes.packing import coarse_keys
from hashgrain.indexer.stored.fields import fields_of
from hashgrain.indexer.stored.keys import HOLES, NARROW, WIDE, ShardKeys


def code_bytes(layout: CodeLayout) -> int:
    """Bytes of a record that its codes take, which are also those of a centroid."""
    return layout.fine_bytes + layout.coarse_bytes


def body_bytes(layout: CodeLayout) -> int:
    """Bytes of a record that its codes and attributes take: what precedes the handle."""
    return code_bytes(layout) + fields_of(layout).size


def coarse_type(layout: CodeLayout) -> np.dtype[np.unsignedinteger]:
    """The dtype in which coarse codes are compared: uint16, or uint32 where they have more bits."""
    return np.dtype(np.uint16 if layout.coarse_bits <= 16 else np.uint32)


def script_widths(layout: CodeLayout) -> str:
    """Both, as the scripts on items take them."""
    return f"{code_bytes(layout)} {body_bytes(layout)}"


def needs_wide(handles: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which handles cannot be stored in 4 bytes."""
    wide: NDArray[np.bool_] = ((handles >> 32) != 0) | (handles == HOLES[NARROW])
    return wide


def pack_records(
    fine: NDArray[np.uint8],
    coarse: NDArray[np.uint8],
    handles: NDArray[np.int64],
    handle_bytes: int,
    attributes: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """The records of some items of one bucket, uint8 (N, width).

    Args:
        fine: uint8 (N, fine bytes), packed.
        coarse: uint8 (N, coarse bytes), packed.
        handles: int64 (N,); with 4 handle bytes, none that `needs_wide`.
        handle_bytes: 4 or 8.
        attributes: uint8 (N, bytes), see `fields`; None where the index has none.
    """
    stored = handles.astype("<i8").view(np.uint8).reshape(-1, WIDE)[:, :handle_bytes]
    parts = [fine, coarse, stored] if attributes is None else [fine, coarse, attributes, stored]
    return np.concatenate(parts, axis=1)


@dataclass(frozen=True, eq=False)
class Records:
    """Records of several buckets, one bucket after another, without the holes: N of them.

    Attributes:
        count: int64 (B,), how many records each bucket has.
        handle: uint32 or int64 (N,), the items' handles; uint32 where every bucket spends 4 bytes on them.
        coarse: (N,), the coarse codes as numbers; see `coarse_type`.
        fine: uint8 (N, fine bytes), the packed fine codes.
        attributes: uint8 (N, bytes), see `fields`; None where the index has none.
    """

    count: NDArray[np.int64]
    handle: NDArray[np.uint32] | NDArray[np.int64]
    coarse: NDArray[np.unsignedinteger]
    fine: NDArray[np.uint8]
    attributes: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.handle)

    @property
    def bucket(self) -> NDArray[np.int64]:
        """int64 (N,), the position of each record's bucket among them."""
        return np.repeat(np.arange(len(self.count)), self.count)

    @classmethod
    def parse(
        cls,
        buckets: Sequence[bytes],
        handle_bytes: NDArray[np.uint8],
        numbers: NDArray[np.integer],
        layout: CodeLayout,
        keys: ShardKeys,
    ) -> Records:
        """Read some buckets of one shard.

        Args:
            buckets: the bytes of each.
            handle_bytes: uint8 (buckets,), 4 or 8: how many each spends on a handle.
            numbers: (buckets,), the number of each, for messages.
            layout: the code lengths.
            keys: of the shard that they were read from.

        Raises:
            IndexCorrupt: a bucket's length is no multiple of its record width.
        """
        lengths = np.fromiter(map(len, buckets), np.int64, len(buckets))
        widths = body_bytes(layout) + handle_bytes.astype(np.int64)
        count, rest = np.divmod(lengths, widths)
        if rest.any():
            broken = int(np.flatnonzero(rest)[0])
            raise IndexCorrupt(
                f"{keys.bucket(int(numbers[broken]))} holds {lengths[broken]} bytes, no multiple of the "
                f"{widths[broken]} bytes of a record; drop the index and build it again"
            )
        wide = handle_bytes == WIDE
        if not wide.any():
            return cls._of_rows(b"".join(buckets), count, NARROW, layout)
        if wide.all():
            return cls._of_rows(b"".join(buckets), count, WIDE, layout)
        bucket, parts = [], []
        for width, chosen in ((NARROW, np.flatnonzero(~wide)), (WIDE, np.flatnonzero(wide))):
            parts.append(cls._of_rows(b"".join([buckets[n] for n in chosen.tolist()]), count[chosen], width, layout))
            bucket.append(chosen[parts[-1].bucket])
        order = np.argsort(np.concatenate(bucket), kind="stable")
        return cls(
            np.bincount(np.concatenate(bucket), minlength=len(buckets)),
            np.concatenate([part.handle.astype(np.int64) for part in parts])[order],
            np.concatenate([part.coarse for part in parts])[order],
            np.concatenate([part.fine for part in parts])[order],
            np.concatenate([part.attributes for part in parts])[order] if fields_of(layout) else None,
        )

    @classmethod
    def _of_rows(cls, joined: bytes, count: NDArray[np.int64], handle_bytes: int, layout: CodeLayout) -> Records:
        """The records of buckets of one width, of which each has so many, holes included."""
        rows = np.frombuffer(joined, _record_type(layout, handle_bytes))
        handle = rows["handle"].copy()  # what lies apart is slow to compare
        holes = handle == HOLES[handle_bytes]
        if holes.any():
            live = np.flatnonzero(~holes)
            rows, handle = rows[live], handle[live]
            count = np.bincount(np.repeat(np.arange(len(count)), count)[live], minlength=len(count))
        return cls(
            count,
            handle,
            coarse=coarse_keys(packed_codes(rows["coarse"]), layout.coarse_bits).astype(coarse_type(layout)),
            fine=packed_codes(rows["fine"]),
            attributes=packed_codes(rows["attributes"]) if fields_of(layout) else None,
        )


def live_rows(stored: bytes, handle_bytes: int, layout: CodeLayout) -> NDArray[np.void]:
    """The records of buckets of one width that are no holes, with the fields fine, coarse, attributes and handle."""
    rows = np.frombuffer(stored, _record_type(layout, handle_bytes))
    live: NDArray[np.void] = rows[rows["handle"] != HOLES[handle_bytes]]
    return live


@cache
def _record_type(layout: CodeLayout, handle_bytes: int) -> np.dtype[np.void]:
    """A record as NumPy sees it: it copies fields far faster than columns of bytes."""
    handle = "<u4" if handle_bytes == NARROW else "<i8"
    codes = [("fine", f"V{layout.fine_bytes}"), ("coarse", f"V{layout.coarse_bytes}")]
    attributes = [("attributes", f"V{fields.size}")] if (fields := fields_of(layout)) else []
    return np.dtype([*codes, *attributes, ("handle", handle)])


def packed_codes(codes: NDArray[np.void]) -> NDArray[np.uint8]:
    """A copy of packed codes, uint8 (N, bytes), that are one field of something stored."""
    return codes.copy().view(np.uint8).reshape(len(codes), codes.dtype.itemsize)
