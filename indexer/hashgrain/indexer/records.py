"""Records: the bytes of buckets and the arrays that a search computes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import IndexCorrupt
from hashgrain.codes.layout import CodeLayout
from hashgrain.codes.packing import coarse_keys
from hashgrain.indexer.fields import fields_of
from hashgrain.indexer.keys import HOLES, NARROW, WIDE, ShardKeys


def code_bytes(layout: CodeLayout) -> int:
    """Bytes of a record that its codes take, which are also those of a centroid."""
    return layout.fine_bytes + layout.coarse_bytes


def body_bytes(layout: CodeLayout) -> int:
    """Bytes of a record that its codes and attributes take: what precedes the handle."""
    return code_bytes(layout) + fields_of(layout).size


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
    """Records of several buckets, without the holes: element n of every array belongs to record n.

    Attributes:
        bucket: int64 (N,), which of the buckets the record lies in, as a position in the caller's list of them.
        handle: int64 (N,), the items' handles.
        coarse: uint32 (N,), the coarse codes as numbers.
        fine: uint8 (N, fine bytes), the packed fine codes.
        attributes: uint8 (N, bytes), see `fields`; None where the index has none.
    """

    bucket: NDArray[np.int64]
    handle: NDArray[np.int64]
    coarse: NDArray[np.uint32]
    fine: NDArray[np.uint8]
    attributes: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.handle)

    @classmethod
    def none(cls, layout: CodeLayout) -> Records:
        """No record at all."""
        nothing = np.empty(0, np.int64)
        return cls(nothing, nothing, np.empty(0, np.uint32), np.empty((0, layout.fine_bytes), np.uint8))

    @classmethod
    def parse(
        cls,
        buckets: Sequence[bytes],
        handle_bytes: NDArray[np.uint8],
        numbers: NDArray[np.integer],
        layout: CodeLayout,
        keys: ShardKeys,
    ) -> Records:
        """Read some buckets of one shard; `bucket` of the result counts along them.

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
        if (lengths % widths).any():
            broken = int(np.flatnonzero(lengths % widths)[0])
            raise IndexCorrupt(
                f"{keys.bucket(int(numbers[broken]))} holds {lengths[broken]} bytes, no multiple of the "
                f"{widths[broken]} bytes of a record; drop the index and build it again"
            )
        counts = lengths // widths
        wide = handle_bytes == WIDE
        if not wide.any():
            return cls._of_rows(b"".join(buckets), np.repeat(np.arange(len(buckets)), counts), NARROW, layout)
        if wide.all():
            return cls._of_rows(b"".join(buckets), np.repeat(np.arange(len(buckets)), counts), WIDE, layout)
        parts = []
        for width, chosen in ((NARROW, np.flatnonzero(~wide)), (WIDE, np.flatnonzero(wide))):
            joined = b"".join([buckets[n] for n in chosen.tolist()])
            parts.append(cls._of_rows(joined, np.repeat(chosen, counts[chosen]), width, layout))
        order = np.argsort(np.concatenate([part.bucket for part in parts]), kind="stable")
        return cls(
            np.concatenate([part.bucket for part in parts])[order],
            np.concatenate([part.handle for part in parts])[order],
            np.concatenate([part.coarse for part in parts])[order],
            np.concatenate([part.fine for part in parts])[order],
            np.concatenate([part.attributes for part in parts])[order] if fields_of(layout) else None,
        )

    @classmethod
    def _of_rows(cls, joined: bytes, bucket: NDArray[np.int64], handle_bytes: int, layout: CodeLayout) -> Records:
        """The records of buckets of one width."""
        rows, live = live_rows(joined, handle_bytes, layout)
        return cls(
            bucket=bucket if live is None else bucket[live],
            handle=rows["handle"].astype(np.int64),
            coarse=coarse_keys(packed_codes(rows["coarse"]), layout.coarse_bits),
            fine=packed_codes(rows["fine"]),
            attributes=packed_codes(rows["attributes"]) if fields_of(layout) else None,
        )


def live_rows(
    stored: bytes, handle_bytes: int, layout: CodeLayout
) -> tuple[NDArray[np.void], NDArray[np.bool_] | None]:
    """The records of buckets of one width as they are stored, with the fields fine, coarse and handle.

    Returns:
        Those that are no holes, and which of all they are; None where that is all.
    """
    rows = np.frombuffer(stored, _record_type(layout, handle_bytes))
    live = rows["handle"] != HOLES[handle_bytes]
    return (rows, None) if live.all() else (rows[live], live)


def _record_type(layout: CodeLayout, handle_bytes: int) -> np.dtype[np.void]:
    """A record as NumPy sees it: it copies fields far faster than columns of bytes."""
    handle = "<u4" if handle_bytes == NARROW else "<i8"
    codes = [("fine", f"V{layout.fine_bytes}"), ("coarse", f"V{layout.coarse_bytes}")]
    attributes = [("attributes", f"V{fields.size}")] if (fields := fields_of(layout)) else []
    return np.dtype([*codes, *attributes, ("handle", handle)])


def packed_codes(codes: NDArray[np.void]) -> NDArray[np.uint8]:
    """A copy of packed codes, uint8 (N, bytes), that are one field of something stored."""
    return codes.copy().view(np.uint8).reshape(len(codes), codes.dtype.itemsize)
