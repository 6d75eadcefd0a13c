"""An index in figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashgrain.indexer.records import code_bytes
from hashgrain.indexer.results import IndexStats
from hashgrain.indexer.shard import Shard
from hashgrain.indexer.store_errors import translated

_AT_ONCE = 1000


def index_stats(shards: Sequence[Shard]) -> IndexStats:
    """Add up the figures of all shards.

    Raises:
        IndexMissing, IndexCorrupt, StoreUnavailable.
    """
    header = shards[0].header
    found = [_measure(shard) for shard in shards]
    return IndexStats(
        name=shards[0].keys.name,
        layout=header.layout,
        fingerprint=header.fingerprint,
        shards=len(shards),
        items=sum(shard.items for shard in found),
        buckets=sum(shard.buckets for shard in found),
        largest_bucket=max(shard.largest for shard in found),
        holes=sum(shard.holes for shard in found),
        payloads=sum(shard.payloads for shard in found),
        memory=sum(shard.memory for shard in found),
    )


@dataclass(frozen=True)
class _Measured:
    items: int
    buckets: int
    largest: int
    holes: int
    payloads: int
    memory: int


def _measure(shard: Shard) -> _Measured:
    directory = shard.directory()
    client, keys = shard.connection.client, shard.keys
    widths = directory.partition.handle_bytes.astype(np.int64) + code_bytes(shard.header.layout)
    buckets = keys.buckets(range(len(widths)))
    lengths: list[int] = []
    memory = 0
    with translated(shard.connection.address):
        holes: Any = client.hvals(keys.holes)
        payloads: Any = client.hlen(keys.payloads)
        for start in range(0, len(buckets), _AT_ONCE):
            pipe = client.pipeline(transaction=False)
            for key in buckets[start : start + _AT_ONCE]:
                pipe.strlen(key)
                pipe.memory_usage(key)
            replies = pipe.execute()
            lengths += replies[0::2]
            memory += sum(size or 0 for size in replies[1::2])
        for start in range(0, directory.pages, _AT_ONCE):
            pipe = client.pipeline(transaction=False)
            for page in range(start, min(start + _AT_ONCE, directory.pages)):
                pipe.memory_usage(keys.places(page))
                pipe.memory_usage(keys.names(page))
            memory += sum(size or 0 for size in pipe.execute())
        memory += sum(client.memory_usage(key) or 0 for key in keys.fixed())
    return _Measured(
        items=directory.live,
        buckets=len(buckets),
        largest=int((np.array(lengths) // widths).max()),
        holes=sum(len(positions) // 2 for positions in holes),
        payloads=int(payloads),
        memory=memory,
    )
