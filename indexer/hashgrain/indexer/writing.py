"""The way of items into an index: checked as a whole, divided among the shards, cut into batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hashgrain.codes.errors import InvalidInput, StoreFull
from hashgrain.codes.layout import CodeLayout, HashCodes
from hashgrain.codes.packing import coarse_keys
from hashgrain.indexer.identifiers import ItemId, encode_ids, last_of_each, shard_of
from hashgrain.indexer.payloads import encode_payloads
from hashgrain.indexer.results import Written
from hashgrain.indexer.shard import ItemRow, Shard

BATCH_ITEMS = 1000
"""Items that one step of the server writes: while it does (some milliseconds), nobody else is served."""

BATCH_BYTES = 4 << 20
"""Bytes of ids and payloads in one such step; one item alone may exceed it."""


def item_rows(
    ids: Iterable[ItemId],
    codes: HashCodes,
    payloads: Sequence[Mapping[str, Any] | None] | None,
    layout: CodeLayout,
) -> list[ItemRow]:
    """Make the rows to write, each id once: the last of several counts.

    Args:
        ids: one per row of `codes`.
        codes: checked against `layout` before.
        payloads: None, or one (or None) per id.
        layout: the index's code lengths.

    Raises:
        InvalidInput: an id or payload cannot be stored, or there are not as many of each.
    """
    encoded = encode_ids(ids)
    if len(encoded) != len(codes):
        raise InvalidInput(f"got {len(encoded)} ids and {len(codes)} codes; give one id per row of codes")
    names = encoded if payloads is None else [item[1:].decode() for item in encoded]
    stored = encode_payloads(payloads, names)
    coarse: list[int] = coarse_keys(codes.coarse, layout.coarse_bits).tolist()
    fine: list[bytes] = np.ascontiguousarray(codes.fine).view(f"V{layout.fine_bytes}").ravel().tolist()
    rows = list(map(ItemRow, encoded, coarse, fine, stored))
    return [rows[n] for n in last_of_each(encoded)]


def add_rows(shards: Sequence[Shard], rows: Sequence[ItemRow]) -> Written:
    """Write rows batch by batch, shard by shard.

    Raises:
        StoreFull: with the number of items that were written before.
        StoreError: see `Shard.add`.
    """
    written = replaced = 0
    for shard, mine in zip(shards, _by_shard(rows, len(shards)), strict=True):
        for batch in _batches(mine):
            try:
                replaced += shard.add(batch)
            except StoreFull as exc:
                raise StoreFull(f"{exc} ({written} of {len(rows)} items were written before it)") from exc
            written += len(batch)
    return Written(written - replaced, replaced)


def delete_ids(shards: Sequence[Shard], ids: Iterable[ItemId]) -> int:
    """Delete items batch by batch, shard by shard; returns how many were there.

    Raises:
        InvalidInput: an id cannot be one.
        StoreError: see `Shard.delete`.
    """
    mine: list[list[bytes]] = [[] for _ in shards]
    for item in dict.fromkeys(encode_ids(ids)):
        mine[shard_of(item, len(shards))].append(item)
    return sum(
        shard.delete(encoded[start : start + BATCH_ITEMS])
        for shard, encoded in zip(shards, mine, strict=True)
        for start in range(0, len(encoded), BATCH_ITEMS)
    )


def _by_shard(rows: Sequence[ItemRow], shards: int) -> list[list[ItemRow]]:
    if shards == 1:
        return [list(rows)]
    parts: list[list[ItemRow]] = [[] for _ in range(shards)]
    for row in rows:
        parts[shard_of(row.encoded, shards)].append(row)
    return parts


def _batches(rows: Sequence[ItemRow]) -> Iterator[list[ItemRow]]:
    batch: list[ItemRow] = []
    size = 0
    for row in rows:
        weight = len(row.encoded) + len(row.payload)
        if batch and (len(batch) == BATCH_ITEMS or size + weight > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += weight
    if batch:
        yield batch
