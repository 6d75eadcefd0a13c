"""The keys that bear an index's name: what goes beyond its buckets and pages, and strange ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hashgrain.indexer.check import kinds
from hashgrain.indexer.check.report import Finding
from hashgrain.indexer.stored.keys import ShardKeys, index_keys
from hashgrain.indexer.wire.connection import Connection
from hashgrain.indexer.wire.store_errors import translated


@dataclass
class Beyond:
    """What the scan has found of a shard.

    Attributes:
        bucket_count, page_count: how many there are, as the shard says.
        buckets, places, names: numbers of the keys that are beyond that.
        last_page: the largest number of a page, or -1.
    """

    bucket_count: int
    page_count: int
    buckets: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    names: list[int] = field(default_factory=list)
    last_page: int = -1

    def note(self, kind: bytes, number: int) -> None:
        """Note a key."""
        numbers = {b"b": self.buckets, b"p": self.places, b"n": self.names}[kind]
        if number >= (self.bucket_count if kind == b"b" else self.page_count):
            numbers.append(number)
        if kind != b"b":
            self.last_page = max(self.last_page, number)


def scan_keys(connection: Connection, name: str, shards: Sequence[Beyond]) -> list[Finding]:
    """Find all keys of an index; fills in what is beyond each shard's buckets and pages, and gives what has no use.

    It goes through the whole database in small steps, so it takes longer the more keys there are, and blocks nobody.
    """
    fixed = {key.encode() for shard in range(len(shards)) for key in ShardKeys(name, shard).fixed()}
    numbered = re.compile(rb"hg:\{%s:([0-9]+)\}:([bpn]):([0-9a-f]{6})" % re.escape(name.encode()))
    strange: set[bytes] = set()
    with translated(connection.address):
        for key in connection.scan(index_keys(name)):
            match: Any = numbered.fullmatch(key)
            if match and int(match[1]) < len(shards):
                shards[int(match[1])].note(match[2], int(match[3], 16))
            elif key not in fixed:
                strange.add(key)
    kind, words = kinds.STRANGE_KEY, "a key that the layout does not have"
    return [
        Finding(kind.name, key.decode(errors="replace"), words, kind.consequence, kind.remedy.format(name=name))
        for key in sorted(strange)
    ]
