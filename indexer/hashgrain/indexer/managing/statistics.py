"""An index in figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.results import IndexStats
from hashgrain.indexer.stored.fields import fields_of
from hashgrain.indexer.stored.records import body_bytes
from hashgrain.indexer.stored.shard import Shard
from hashgrain.indexer.wire.store_errors import translated

_AT_ONCE = 1000


def index_stats(shards: Sequence[Shard]) -> IndexStats:
    """Add up the figures of all shards.

    Raises:
        IndexMissing, IndexCorrupt, StoreUnavailable.
    """
    header = shards[0].header
    found = [measure(shard) for shard in shards]
    memory_of = {part: sum(shard.memory_of[part] for shard in found) for part in found[0].memory_of}
    return IndexStats(
        name=shards[0].keys.name,
        layout=CodeLayout(header.layout.coarse_bits, header.layout.fine_bits),
        fingerprint=header.fingerprint,
        shards=len(shards),
        items=sum(shard.items for shard in found),
        buckets=sum(len(shard.records) for shard in found),
        largest_bucket=max(int(shard.records.max()) for shard in found),
        holes=sum(shard.holes for shard in found),
        payloads=sum(shard.payloads for shard in found),
        memory=sum(memory_of.values()),
        memory_of=memory_of,
        fields=dict(fields_of(header.layout).kinds),
    )


@dataclass(frozen=True, eq=False)
class Measured:
    """One shard in figures.

    Attributes:
        items, holes, payloads: how many there are.
        records: int64 (B,), of every bucket, holes included.
        memory_of: bytes by what they are spent on, see `IndexStats`.
        radii: int64 (B,), how far an item may lie from its bucket's centroid, fine and coarse bits together.
    """

    items: int
    records: NDArray[np.int64]
    holes: int
    payloads: int
    memory_of: dict[str, int]
    radii: NDArray[np.int64]


def measure(shard: Shard) -> Measured:
    """Measure a shard, bucket by bucket.

    Raises:
        IndexMissing, IndexCorrupt, StoreUnavailable.
    """
    directory = shard.directory()
    client, keys = shard.connection.client, shard.keys
    widths = directory.partition.handle_bytes.astype(np.int64) + body_bytes(shard.header.layout)
    buckets = keys.buckets(range(len(widths)))
    with translated(shard.connection.address):
        holes: Any = client.hvals(keys.holes)
        payloads: Any = client.hlen(keys.payloads)
        lengths = [reply or 0 for reply in _asked(client, "STRLEN", buckets)]
    pages = range(directory.pages)
    parts: dict[str, Iterable[str | bytes]] = {
        "buckets": buckets,
        "places": map(keys.places, pages),
        "names": map(keys.names, pages),
        "payloads": [keys.payloads],
        "rest": [keys.meta, keys.stamp, keys.partition, keys.holes],
    }
    with translated(shard.connection.address):
        memory_of = {part: sum(size or 0 for size in _asked(client, "MEMORY USAGE", of)) for part, of in parts.items()}
    partition = directory.partition
    return Measured(
        directory.live,
        np.array(lengths) // widths,
        sum(len(some) // 2 for some in holes),
        payloads,
        memory_of,
        partition.fine_radius + partition.coarse_radius,
    )


def _asked(client: Any, command: str, keys: Iterable[str | bytes]) -> list[int | None]:
    """What a command says of each of some keys, asked in steps."""
    named = list(keys)
    replies: list[int | None] = []
    for start in range(0, len(named), _AT_ONCE):
        pipe = client.pipeline(transaction=False)
        for key in named[start : start + _AT_ONCE]:
            pipe.execute_command(command, key)
        replies += pipe.execute()
    return replies
