"""The way of items into an index: divided among the shards, cut into batches, placed in buckets."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import StoreFull, StoreUnavailable
from hashgrain.indexer.adding.clustering import nearest_centroids, within_radii
from hashgrain.indexer.adding.collection import Collection
from hashgrain.indexer.adding.merging import merge_sparse
from hashgrain.indexer.adding.placing import columns, keys_of, packed
from hashgrain.indexer.adding.splitting import split_overfull
from hashgrain.indexer.results import Written
from hashgrain.indexer.stored.handles import handles_of, hashes_of, is_hashed, shards_of
from hashgrain.indexer.stored.identifiers import ItemId, encode_ids
from hashgrain.indexer.stored.keys import WIDE
from hashgrain.indexer.stored.partition import Partition
from hashgrain.indexer.stored.shard import Narrow, Shard, Stale

BATCH_ITEMS = 50
"""Items that one step of the server writes: while it does (about a millisecond), nobody else is served."""

BATCH_BYTES = 4 << 20
"""Bytes of ids and payloads in one such step; one item alone may exceed it."""

ATTEMPTS = 100
"""How often a batch is placed anew while other writers split the buckets that it was placed in."""


def add_items(shards: Sequence[Shard], items: Collection) -> Written:
    """Write items batch by batch, shard by shard.

    Raises:
        StoreFull: with the number of items that were written before.
        StoreError: see `Shard.write`.
    """
    written = replaced = 0
    for shard, rows in _by_shard(items.handles, shards):
        for batch in _batches(items, rows):
            try:
                replaced += _add(shard, items[batch])
            except StoreFull as exc:
                raise StoreFull(f"{exc} ({written} of {len(items)} items were written before it)") from exc
            written += len(batch)
    return Written(written - replaced, replaced)


def delete_ids(shards: Sequence[Shard], ids: Iterable[ItemId]) -> int:
    """Delete items batch by batch, shard by shard; returns how many were there.

    Raises:
        InvalidInput: an id cannot be one.
        StoreError: see `Shard.write`.
    """
    encoded = list(dict.fromkeys(encode_ids(ids)))
    handles = handles_of(encoded)
    deleted = 0
    for shard, rows in _by_shard(handles, shards):
        for start in range(0, len(rows), BATCH_ITEMS):
            batch = rows[start : start + BATCH_ITEMS]
            named: list[Any] = []
            for place in np.flatnonzero(is_hashed(handles[batch])).tolist():
                named += (place, encoded[batch[place]])
            gone, *told = shard.write("delete", columns(*keys_of(handles[batch])), *named)
            deleted += int(gone)
            _tidy(shard, told)
    return deleted


def _add(shard: Shard, items: Collection) -> int:
    """Write one batch; returns how many items replaced one of the same id."""
    hashed = is_hashed(items.handles).tolist()
    more: list[Any] = []
    for place in range(len(items)):
        name = items.encoded[place] if items.encoded is not None and hashed[place] else b""
        payload = b"" if items.payloads is None else items.payloads[place]
        if name or payload:
            more += (place, name, payload)
    for attempt in range(ATTEMPTS):
        partition = shard.routes()
        try:
            replaced, *told = shard.write("add", *_placed(shard, items, partition), *more)
        except Narrow as exc:
            shard.write("widen", exc.bucket)
            shard.reroute()
        except Stale:
            shard.reroute()
            if attempt > 1:
                time.sleep(random.uniform(0, 0.001 * min(attempt, 20)))
        else:
            _tidy(shard, told)
            return int(replaced)
    raise StoreUnavailable(
        f"other writers have split the buckets under {ATTEMPTS} attempts to write; let fewer write at once"
    )


def _placed(shard: Shard, items: Collection, partition: Partition) -> tuple[bytes, bytes]:
    """The buckets that a batch goes to, and the batch, as add.lua takes them."""
    # Of buckets with one centroid the first would get all and overflow, so each batch begins to count at another.
    first = int(hashes_of(items.handles[:1])[0]) % len(partition)
    nearest = nearest_centroids(items.fine, items.packed_coarse, partition, first)
    return packed(shard, items, partition, *within_radii(items.fine, items.packed_coarse, partition, first, *nearest))


def _tidy(shard: Shard, told: Sequence[int]) -> None:
    """Split and merge buckets; `told` has number and items of each, in turn."""
    sizes = dict(zip(told[0::2], told[1::2], strict=True))
    limit = shard.header.bucket_items
    with suppress(StoreFull):  # the items are written or deleted; the buckets stay as they are until there is memory
        split_overfull(shard, [number for number, items in sizes.items() if items > limit])
        merge_sparse(shard, [number for number, items in sizes.items() if items <= limit])


def _by_shard(handles: NDArray[np.int64], shards: Sequence[Shard]) -> Iterator[tuple[Shard, NDArray[np.intp]]]:
    """Each shard with the places of its items, ascending."""
    if len(shards) == 1:
        yield shards[0], np.arange(len(handles))
        return
    shard_of = shards_of(handles, len(shards))
    for number, shard in enumerate(shards):
        yield shard, np.flatnonzero(shard_of == number)


def _batches(items: Collection, rows: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    start, size = 0, 0
    for place, row in enumerate(rows.tolist()):
        weight = WIDE if items.encoded is None else len(items.encoded[row])
        weight += 0 if items.payloads is None else len(items.payloads[row])
        if place > start and (place - start == BATCH_ITEMS or size + weight > BATCH_BYTES):
            yield rows[start:place]
            start, size = place, 0
        size += weight
    if len(rows) > start:
        yield rows[start:]
