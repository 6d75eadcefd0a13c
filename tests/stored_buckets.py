"""How a settled index lies in Redis: its buckets as `ReferenceIndex` takes them, read without the engine's readers."""

from __future__ import annotations

from typing import Any

import numpy as np
import redis
from numpy.typing import NDArray

from hashgrain.codes.hamming import hamming, popcount
from hashgrain.codes.layout import CodeLayout
from hashgrain.codes.packing import unpack_bits
from hashgrain.indexer import ItemId
from hashgrain.indexer.reference import Bits, ReferenceBucket
from hashgrain.indexer.stored.handles import hashes_of, is_hashed, page_of
from hashgrain.indexer.stored.header import Header
from hashgrain.indexer.stored.identifiers import decode_id
from hashgrain.indexer.stored.keys import ShardKeys
from hashgrain.indexer.stored.partition import Partition
from hashgrain.indexer.stored.records import Records
from hashgrain.indexer.wire.connection import Connection


def stored_buckets(redis_url: str, name: str) -> list[ReferenceBucket]:
    """The buckets of all shards in the order of their positions; nobody may write meanwhile."""
    connection = Connection.to(redis_url)
    try:
        keys = ShardKeys(name, 0)
        all_keys = [ShardKeys(name, shard) for shard in range(_header(connection.of(keys.meta).client, keys).shards)]
        return [bucket for keys in all_keys for bucket in _of_shard(connection.of(keys.meta).client, keys)]
    finally:
        connection.close()


def _header(client: redis.Redis, keys: ShardKeys) -> Header:
    fields: Any = client.hgetall(keys.meta)
    return Header.from_fields(fields, keys.meta)


def _of_shard(client: redis.Redis, keys: ShardKeys) -> list[ReferenceBucket]:
    header = _header(client, keys)
    stamp, stored = client.mget([keys.stamp, keys.partition])  # type: ignore[misc]
    partition = Partition.parse(stamp, stored, header.layout, keys.partition)
    numbers = np.arange(len(partition))
    read: Any = client.mget(keys.buckets(numbers.tolist()))
    records = Records.parse(read, partition.handle_bytes, numbers, header.layout, keys)
    ids = _ids(client, keys, records.handle.astype(np.int64), header.pages)
    return [_bucket(partition, number, records, ids, header.layout) for number in range(len(partition))]


def _bucket(
    partition: Partition, number: int, records: Records, ids: list[ItemId], layout: CodeLayout
) -> ReferenceBucket:
    mine = np.flatnonzero(records.bucket == number)
    coarse = popcount(records.coarse[mine] ^ partition.coarse[number])
    fine = hamming(partition.fine[number : number + 1], records.fine[mine])
    assert coarse.max(initial=0) <= partition.coarse_radius[number], "a record is farther than its bucket's radius says"
    assert fine.max(initial=0) <= partition.fine_radius[number], "a record is farther than its bucket's radius says"
    return ReferenceBucket(
        coarse=_bits(partition.packed_coarse[number], layout.coarse_bits),
        fine=_bits(partition.fine[number], layout.fine_bits),
        coarse_radius=int(partition.coarse_radius[number]),
        fine_radius=int(partition.fine_radius[number]),
        members=[ids[n] for n in mine.tolist()],
    )


def _bits(packed: NDArray[np.uint8], bits: int) -> Bits:
    return tuple(unpack_bits(packed[None], bits)[0].tolist())


def _ids(client: redis.Redis, keys: ShardKeys, handles: NDArray[np.int64], pages: int) -> list[ItemId]:
    """By record, the id: the handle itself, or what is stored under it."""
    ids: list[ItemId] = handles.tolist()
    places = page_of(hashes_of(handles), pages)
    for n in np.flatnonzero(is_hashed(handles)).tolist():
        encoded: Any = client.hget(keys.names(int(places[n])), handles[n].astype("<i8").tobytes())
        ids[n] = decode_id(encoded)
    return ids
