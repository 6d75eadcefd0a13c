"""The partition of a shard: the centroid of every bucket, and how far its items lie from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import IndexCorrupt
from hashgrain.codes.layout import CodeLayout
from hashgrain.codes.packing import coarse_keys
from hashgrain.indexer.loops.words import Words, as_words
from hashgrain.indexer.stored.keys import NARROW, RADII_BYTES, WIDE
from hashgrain.indexer.stored.records import code_bytes, packed_codes


def entry_bytes(layout: CodeLayout) -> int:
    """Bytes of one entry of a stored partition."""
    return code_bytes(layout) + RADII_BYTES


@dataclass(frozen=True, eq=False)
class Partition:
    """The buckets of a shard at one moment; element n of every array belongs to bucket n.

    Attributes:
        stamp: as long as Redis shows the same, the partition is true.
        fine: uint8 (B, fine bytes), the packed fine codes of the centroids.
        packed_coarse: uint8 (B, coarse bytes), their packed coarse codes.
        coarse: uint32 (B,), the same as numbers.
        fine_radius: int64 (B,), no record's fine code is farther from the centroid's, in bits.
        coarse_radius: int64 (B,), the same for the coarse codes.
        handle_bytes: uint8 (B,), what a handle takes in the bucket's records: 4 or 8.
    """

    stamp: bytes
    fine: NDArray[np.uint8]
    packed_coarse: NDArray[np.uint8]
    coarse: NDArray[np.uint32]
    fine_radius: NDArray[np.int64]
    coarse_radius: NDArray[np.int64]
    handle_bytes: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.fine)

    @cached_property
    def words(self) -> Words:
        """The centroids as the loops that look for the nearest take them: made once, for all batches of a writer."""
        return as_words(self.fine, self.packed_coarse)

    @classmethod
    def parse(cls, stamp: bytes, stored: bytes, layout: CodeLayout, key: str) -> Partition:
        """Read a stored partition.

        Args:
            stamp: what Redis shows with it.
            stored: the bytes of the key.
            layout: the code lengths.
            key: its name, for messages.

        Raises:
            IndexCorrupt: it is empty, cut off within an entry, or says another width of handles than 4 or 8.
        """
        width = entry_bytes(layout)
        if not stored or len(stored) % width:
            raise IndexCorrupt(
                f"{key} holds {len(stored)} bytes, not one or more entries of {width} bytes; "
                "drop the index and build it again"
            )
        entries = np.frombuffer(stored, _entry_type(layout))
        coarse = packed_codes(entries["coarse"])
        handle_bytes = entries["handle_bytes"].copy()
        known = (handle_bytes == NARROW) | (handle_bytes == WIDE)
        if not known.all():
            wrong = int(np.flatnonzero(~known)[0])
            raise IndexCorrupt(
                f"{key} says that handles take {handle_bytes[wrong]} bytes in bucket {wrong}, which can be {NARROW} or "
                f"{WIDE} only; drop the index and build it again"
            )
        return cls(
            stamp,
            packed_codes(entries["fine"]),
            coarse,
            coarse_keys(coarse, layout.coarse_bits),
            entries["fine_radius"].astype(np.int64),
            entries["coarse_radius"].astype(np.int64),
            handle_bytes,
        )


def pack_entries(
    fine: NDArray[np.uint8],
    packed_coarse: NDArray[np.uint8],
    fine_radius: Sequence[int] | NDArray[np.int64],
    coarse_radius: Sequence[int] | NDArray[np.int64],
    handle_bytes: Sequence[int] | NDArray[np.uint8],
) -> bytes:
    """Entries of a partition as they are stored; the arguments are as the attributes of `Partition`."""
    radii = np.asarray(fine_radius).astype("<u2").view(np.uint8).reshape(-1, 2)
    rest = np.stack([np.asarray(coarse_radius).astype(np.uint8), np.asarray(handle_bytes).astype(np.uint8)], axis=1)
    return np.concatenate([fine, packed_coarse, radii, rest], axis=1).tobytes()


def empty_partition(layout: CodeLayout) -> bytes:
    """The partition of a shard without items: one bucket, whose centroid is all zeros."""
    fine, coarse = np.zeros((1, layout.fine_bytes), np.uint8), np.zeros((1, layout.coarse_bytes), np.uint8)
    return pack_entries(fine, coarse, [0], [0], [NARROW])


def _entry_type(layout: CodeLayout) -> np.dtype[np.void]:
    """An entry as NumPy sees it: it copies fields far faster than columns of bytes."""
    radii = [("fine_radius", "<u2"), ("coarse_radius", "u1"), ("handle_bytes", "u1")]
    return np.dtype([("fine", f"V{layout.fine_bytes}"), ("coarse", f"V{layout.coarse_bytes}"), *radii])
