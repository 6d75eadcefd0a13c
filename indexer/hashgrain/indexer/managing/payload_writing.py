"""Payloads of items that are there, written without their codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hashgrain.indexer.managing.fetching import keyed, refusal
from hashgrain.indexer.stored.fields import fields_of
from hashgrain.indexer.stored.handles import handles_of, is_hashed, shards_of
from hashgrain.indexer.stored.identifiers import ItemId, decode_id, encode_ids, last_of_each
from hashgrain.indexer.stored.lua import script
from hashgrain.indexer.stored.payloads import encode_payloads
from hashgrain.indexer.stored.records import script_widths
from hashgrain.indexer.stored.shard import Shard
from hashgrain.indexer.wire.store_errors import translated

BATCH_ITEMS = 50
"""Items that one step of the server writes."""

BATCH_BYTES = 4 << 20
"""Bytes of ids and payloads in one such step; one item alone may exceed it."""


def set_payloads(
    shards: Sequence[Shard], ids: Iterable[ItemId], payloads: Sequence[Mapping[str, Any] | None]
) -> list[ItemId]:
    """Give items other payloads, batch by batch; returns those of the ids that are not there.

    Raises:
        InvalidInput: an id or payload cannot be stored, or there are not as many of each; nothing was written.
        StoreFull, IndexMissing, IndexCorrupt, StoreUnavailable: of each batch all was written or nothing.
    """
    encoded = encode_ids(ids)
    stored = encode_payloads(payloads, list(map(decode_id, encoded)))
    rows = np.array(last_of_each(encoded), np.intp)
    handles = handles_of(encoded)
    unknown: list[int] = []
    shard_of = shards_of(handles, len(shards))
    attributes = fields_of(shards[0].header.layout).pack(stored, list(map(decode_id, encoded)))
    for number, shard in enumerate(shards):
        for batch in _batches([row for row in rows.tolist() if shard_of[row] == number], encoded, stored):
            named = is_hashed(handles[batch]).tolist()
            parts: list[bytes] = []
            for row, hashed in zip(batch, named, strict=True):
                parts += (encoded[row] if hashed else b"", stored[row])
            items = keyed(handles[batch])
            there = _run(shard, np.concatenate([items, attributes[batch]], axis=1).tobytes(), parts)
            unknown += [row for row, known in zip(batch, there, strict=True) if not known]
    return [decode_id(encoded[row]) for row in sorted(unknown)]


def _run(shard: Shard, items: bytes, parts: Sequence[bytes]) -> bytes:
    """Run the script; returns a byte for each item, 1 where it is there."""
    client = shard.connection.client
    first = (shard.header.incarnation, shard.keys.prefix, script_widths(shard.header.layout))
    with translated(shard.connection.address):
        reply: Any = client.register_script(script("payloads"))(keys=shard.keys.fixed(), args=[*first, items, *parts])
    if reply[0] != b"ok":
        raise refusal(shard, *reply)
    there: bytes = reply[1]
    return there


def _batches(rows: Sequence[int], encoded: Sequence[bytes], stored: Sequence[bytes]) -> Iterable[list[int]]:
    batch: list[int] = []
    size = 0
    for row in rows:
        weight = len(encoded[row]) + len(stored[row])
        if batch and (len(batch) == BATCH_ITEMS or size + weight > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += weight
    if batch:
        yield batch
