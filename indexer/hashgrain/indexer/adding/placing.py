"""Items with the buckets that they go to, as the scripts take them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.adding.collection import Collection
from hashgrain.indexer.stored.handles import hashes_of
from hashgrain.indexer.stored.keys import NARROW
from hashgrain.indexer.stored.partition import Partition
from hashgrain.indexer.stored.records import needs_wide
from hashgrain.indexer.stored.shard import Shard


def packed(
    shard: Shard,
    items: Collection,
    partition: Partition,
    bucket: NDArray[np.int64],
    far: NDArray[np.int64],
    near: NDArray[np.int64],
) -> tuple[bytes, bytes]:
    """The buckets that some items go to, and the items: see chosen.lua and add.lua. Widens those that must be wider.

    Args:
        shard: theirs.
        items: one or more.
        partition: of the shard, as it was read.
        bucket, far, near: int64 (N,), where each goes, and how far its fine and its coarse code lie from the centroid.

    Raises:
        StoreError: see `Shard.write`.
    """
    numbers, which = np.unique(bucket, return_inverse=True)
    wide = needs_wide(items.handles) & (partition.handle_bytes[bucket] == NARROW)
    if wide.any():
        for number in np.unique(bucket[wide]).tolist():
            shard.write("widen", number)
        shard.reroute()
    radii = np.zeros((2, len(numbers)), np.int64)
    np.maximum.at(radii[0], which, far)
    np.maximum.at(radii[1], which, near)
    chosen = columns(
        numbers.astype("<u4"),
        partition.fine[numbers],
        partition.packed_coarse[numbers],
        radii[0].astype("<u2"),
        radii[1].astype("<u1"),
    )
    hashes, handles = keys_of(items.handles)
    attributes = () if items.attributes is None else (items.attributes,)
    return chosen, columns(which.astype("<u2"), hashes, items.fine, items.packed_coarse, *attributes, handles)


def keys_of(handles: NDArray[np.int64]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Hashes and handles of some items, little-endian."""
    return hashes_of(handles).astype("<u4"), handles.astype("<i8")


def columns(*parts: NDArray[Any]) -> bytes:
    """Arrays of as many rows, side by side, row by row as bytes."""
    rows = [np.ascontiguousarray(column).view(np.uint8).reshape(len(column), -1) for column in parts]
    return np.concatenate(rows, axis=1).tobytes()
