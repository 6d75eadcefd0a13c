"""The keys that bear an index's name: buckets that no map names, and strange ones."""

from __future__ import annotations

import re
from typing import Any

from hashgrain.indexer.check import kinds
from hashgrain.indexer.check.number_set import NumberSet
from hashgrain.indexer.check.report import Finding
from hashgrain.indexer.connection import Connection
from hashgrain.indexer.header import Header
from hashgrain.indexer.keys import ShardKeys, index_keys
from hashgrain.indexer.store_errors import translated

_AT_ONCE = 1000


def scan_keys(connection: Connection, name: str, header: Header) -> tuple[list[NumberSet], list[Finding]]:
    """Find all keys of an index; gives the coarse codes that have a bucket in each shard, and what has no use.

    It goes through the whole database in small steps, so it takes longer the more keys there are, and blocks nobody.
    """
    shards = [ShardKeys(name, shard) for shard in range(header.shards)]
    fixed = {key.encode() for keys in shards for key in keys.fixed()}
    is_bucket = re.compile(rb"hg:\{%s:([0-9]+)\}:b:([0-9a-f]{6})" % re.escape(name.encode()))
    buckets = [NumberSet() for _ in shards]
    strange: set[bytes] = set()
    cursor: int | None = None
    while cursor != 0:
        with translated(connection.address):
            reply: Any = connection.client.scan(cursor or 0, match=index_keys(name), count=_AT_ONCE)
        cursor, page = reply
        codes: dict[int, list[int]] = {}
        for key in page:
            match = is_bucket.fullmatch(key)
            if match and int(match[1]) < len(shards) and not int(match[2], 16) >> header.layout.coarse_bits:
                codes.setdefault(int(match[1]), []).append(int(match[2], 16))
            elif key not in fixed:
                strange.add(key)
        for shard, found in codes.items():
            buckets[shard].add(found)
    kind, words = kinds.STRANGE_KEY, "a key that the layout does not have"
    return buckets, [
        Finding(kind.name, key.decode(errors="replace"), words, kind.consequence, kind.remedy.format(name=name))
        for key in sorted(strange)
    ]
