"""How the shards of an index lie on the servers of a cluster.

A shard lies where its hash tag puts it, by CRC16: with as many shards as servers, one has often none and another two.
So an index that is made without a number of shards gets the one that spreads best.
"""

from __future__ import annotations

from collections import Counter

from hashgrain.indexer.stored.header import require_shards
from hashgrain.indexer.stored.keys import ShardKeys
from hashgrain.indexer.wire.connection import Connection
from hashgrain.indexer.wire.store_errors import translated

MOST_EACH = 4
"""Shards that a server gets on the average, at most: every search asks every shard."""


def shards_for(connection: Connection, name: str, shards: int | None) -> int:
    """How many shards an index is to have that is stored under a name: as many as asked for, else 1 on a server alone.

    In a cluster it is the number, from one to four per server, by which the fullest server has the least beyond its
    share; of several such numbers the least.

    Raises:
        InvalidInput: an index cannot have so many.
        StoreUnavailable, StoreError: the servers cannot be asked.
    """
    if shards is not None:
        return require_shards(shards)
    with translated(connection.address):
        if not connection.is_cluster:
            return 1
        servers = len(connection.servers())
        on = [connection.server_of(ShardKeys(name, shard).meta) for shard in range(MOST_EACH * servers)]
    return min(range(servers, len(on) + 1), key=lambda number: (max(Counter(on[:number]).values()) / number, number))
