"""Buckets that have lost most of their items are merged into their neighbours, so that an index shrinks by itself.

The writer that left a bucket with less than a quarter of what it may hold, and half of it holes, moves its items to
the nearest other buckets, and takes it away: the last bucket takes its number. Both are one step of the server each,
done only if nothing has changed that they were decided by. No bucket is filled to more than three quarters by that, so
that it is not split again at once; where one would be, the small bucket stays until it has shrunk further. (SPFresh,
SOSP 2023, merges the cells of a vector index in this way.) A writer that is cut short leaves a
small or an empty bucket behind, which is no harm: splits fill empty ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import IndexCorrupt
from hashgrain.codes.hamming import popcount
from hashgrain.indexer.adding.clustering import nearest_words
from hashgrain.indexer.adding.collection import Collection
from hashgrain.indexer.adding.placing import packed
from hashgrain.indexer.adding.splitting import read_bucket
from hashgrain.indexer.loops.words import as_words
from hashgrain.indexer.stored.fields import fields_of
from hashgrain.indexer.stored.handles import hashes_of
from hashgrain.indexer.stored.records import body_bytes, live_rows, packed_codes
from hashgrain.indexer.stored.shard import Narrow, Shard, Stale
from hashgrain.indexer.wire.store_errors import translated

ATTEMPTS = 3
"""How often a bucket is read anew where others change it; after that it stays until it has shrunk further."""

_SPARSE = 0.25  # of its items, below which a bucket is merged
_FULL = 0.75  # of its items, up to which a bucket takes those of another


def merge_sparse(shard: Shard, buckets: Iterable[int]) -> None:
    """Take away those of some buckets that hold little or nothing. Where the index is damaged they stay as they are.

    Raises:
        StoreFull, IndexMissing, StoreError: the items are where they were, or where they belong.
    """
    with suppress(IndexCorrupt):
        for number in sorted(buckets, reverse=True):  # the last bucket takes the number of one that goes
            _merge(shard, number)


def _merge(shard: Shard, number: int) -> None:
    layout = shard.header.layout
    for _ in range(ATTEMPTS):
        found = read_bucket(shard, number)
        if found is None:
            return
        stored, entry, buckets = found
        rows = live_rows(stored, entry[-1], layout)
        if buckets == 1 or len(rows) >= max(1, _SPARSE * shard.header.bucket_items):
            return
        try:
            if len(rows):
                arguments = _move(shard, number, rows, stored)
                if arguments is None:
                    return
                moved = shard.write("merge", *arguments) == [1]
            else:
                moved = True
            if moved and _vacate(shard, number, buckets):
                return
        except (Stale, Narrow):
            pass
        shard.reroute()


def _move(shard: Shard, number: int, rows: NDArray[np.void], stored: bytes) -> tuple[Any, ...] | None:
    """What merge.lua takes to move a bucket's items to the nearest others; None where these have no room."""
    partition, layout = shard.routes(), shard.header.layout
    others = np.flatnonzero(np.arange(len(partition)) != number)
    if not len(others):
        return None
    fine, coarse = packed_codes(rows["fine"]), packed_codes(rows["coarse"])
    nearest, total = nearest_words(as_words(fine, coarse), partition.words[others])
    bucket = others[nearest]
    numbers, more = np.unique(bucket, return_counts=True)
    if (_items_in(shard, numbers, partition.handle_bytes[numbers]) + more > _FULL * shard.header.bucket_items).any():
        return None
    near = popcount(coarse ^ partition.packed_coarse[bucket]).sum(axis=1, dtype=np.int64)
    attributes = packed_codes(rows["attributes"]) if fields_of(layout) else None
    items = Collection(rows["handle"].astype(np.int64), fine, coarse, None, None, attributes)
    digest = hashlib.sha1(stored, usedforsecurity=False).hexdigest()
    return *packed(shard, items, partition, bucket, total - near, near), number, digest


def _items_in(shard: Shard, numbers: NDArray[np.int64], handle_bytes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How many items some buckets hold, int64 (n,)."""
    with translated(shard.connection.address):
        pipe: Any = shard.connection.client.pipeline(transaction=False)
        pipe.hmget(shard.keys.holes, numbers.tolist())
        for number in numbers.tolist():
            pipe.strlen(shard.keys.bucket(number))
        holes, *lengths = pipe.execute()
    widths = body_bytes(shard.header.layout) + handle_bytes.astype(np.int64)
    found: NDArray[np.int64] = np.array(lengths, np.int64) // widths - np.array([len(one or b"") // 2 for one in holes])
    return found


def _vacate(shard: Shard, number: int, buckets: int) -> bool:
    """Take an empty bucket of so many away; False where something has changed meanwhile."""
    layout = shard.header.layout
    found = read_bucket(shard, buckets - 1)
    if found is None:
        return False
    stored, entry, _ = found
    rows = live_rows(stored, entry[-1], layout)
    hashes = b"" if number == buckets - 1 else hashes_of(rows["handle"].astype(np.int64)).astype("<u4").tobytes()
    digest = hashlib.sha1(stored, usedforsecurity=False).hexdigest()
    done = shard.write("vacate", number, buckets - 1, digest, hashes) == [1]
    shard.reroute()
    return done
