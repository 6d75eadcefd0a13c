"""One shard of an index: everything that is asked of Redis for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import IndexCorrupt, IndexMissing, InvalidInput, StoreError
from hashgrain.indexer.connection import Connection
from hashgrain.indexer.header import LIVE, Header
from hashgrain.indexer.identifiers import ItemId, decode_id
from hashgrain.indexer.keys import TOMBSTONE, ShardKeys, bucket_name
from hashgrain.indexer.lua import script
from hashgrain.indexer.payloads import Payload, decode_payload
from hashgrain.indexer.records import record_width
from hashgrain.indexer.store_errors import translated


@dataclass(frozen=True, eq=False)
class Directory:
    """A shard's non-empty buckets at one moment.

    Attributes:
        version: of the occupancy map; as long as Redis shows the same, the directory is true.
        occupied: uint32 (B,), their coarse codes as numbers, ascending.
        live: how many items they hold together.
    """

    version: bytes
    occupied: NDArray[np.uint32]
    live: int


class ItemRow(NamedTuple):
    """One item on its way into a shard: encoded id, coarse code as a number, packed fine code, JSON or empty."""

    encoded: bytes
    coarse: int
    fine: bytes
    payload: bytes


class Shard:
    """One shard. Every write is one atomic step of the server, and so is `read`.

    Args:
        connection: the server that holds the shard.
        keys: its keys.
        header: its header as it was when the index was opened.
    """

    def __init__(self, connection: Connection, keys: ShardKeys, header: Header) -> None:
        self.connection = connection
        self.keys = keys
        self.header = header
        self._add = connection.client.register_script(script("add"))
        self._delete = connection.client.register_script(script("delete"))

    def add(self, items: Sequence[ItemRow]) -> int:
        """Write items, each id once; returns how many replaced one of the same id.

        Raises:
            StoreFull, IndexMissing, IndexCorrupt, StoreError: nothing of `items` was written.
        """
        arguments: list[Any] = []
        for item in items:
            arguments += (item.encoded, bucket_name(item.coarse), item.fine, item.payload)
        return self._write(self._add, arguments)

    def delete(self, encoded: Sequence[bytes]) -> int:
        """Delete items, each id once; returns how many there were.

        Raises:
            IndexMissing, IndexCorrupt, StoreError: nothing was deleted.
        """
        return self._write(self._delete, list(encoded))

    def directory(self) -> Directory:
        """Read which buckets are there.

        Raises:
            IndexMissing: the index was dropped, or dropped and created anew, since it was opened.
        """
        # The header is read last: where it is still this index's, so was the map before. (Not by MULTI: Redis refuses
        # to queue even reads when `maxmemory` is reached.)
        with translated(self.connection.address):
            pipe = self.connection.client.pipeline(transaction=False)
            pipe.mget(self.keys.version, self.keys.occupied)
            pipe.hgetall(self.keys.meta)
            (version, bits), fields = pipe.execute()
        if version is None or not fields:
            raise self._gone()
        header = Header.from_fields(fields, self.keys.meta)
        if not header.same_index(self.header) or header.state != LIVE:
            raise self._gone()
        flags = np.unpackbits(np.frombuffer(bits or b"", np.uint8))
        occupied = np.flatnonzero(flags).astype(np.uint32)
        if len(occupied) and occupied[-1] >> self.header.layout.coarse_bits:
            raise IndexCorrupt(
                f"{self.keys.occupied} marks bucket {occupied[-1]}, a {self.header.layout.coarse_bits}-bit coarse code "
                f"ends at {(1 << self.header.layout.coarse_bits) - 1}; drop the index and build it again"
            )
        return Directory(version, occupied, header.live)

    def read(self, directory: Directory, coarse: NDArray[np.uint32]) -> list[bytes] | None:
        """Read the logs of some buckets of the directory, or None where the directory is out of date.

        Raises:
            IndexMissing: the index was dropped since it was opened.
            IndexCorrupt: a bucket that the directory names is not there.
        """
        keys = self.keys.buckets(coarse.tolist())
        with translated(self.connection.address):
            reply: Any = self.connection.client.mget([self.keys.version.encode(), *keys])
        version: bytes | None = reply[0]
        logs: list[bytes | None] = reply[1:]
        if version is None:
            raise self._gone()
        if version != directory.version:
            return None
        if None in logs:
            raise IndexCorrupt(
                f"{keys[logs.index(None)].decode()} is missing, though {self.keys.occupied} names it; a bucket was "
                "deleted or evicted: set maxmemory-policy to noeviction, drop the index and build it again"
            )
        return [log for log in logs if log is not None]

    def names(self, numbers: NDArray[np.int64], payloads: bool) -> tuple[list[ItemId | None], list[Payload | None]]:
        """Ids and, where asked for, payloads of some items; the id is None where the item is no longer there."""
        if not len(numbers):
            return [], []
        with translated(self.connection.address):
            pipe: Any = self.connection.client.pipeline(transaction=False)
            for command in self.naming(numbers, payloads):
                pipe.execute_command(*command)
            replies = pipe.execute()
        return self.named(replies)

    def naming(self, numbers: NDArray[np.int64], payloads: bool) -> list[list[Any]]:
        """The commands that `names` sends for some items, one or more."""
        fields = [b"%d" % number for number in numbers.tolist()]
        # Payloads first: a number keeps its payload as long as its id, so where the id is there now, the payload was.
        keys = [self.keys.payloads, self.keys.ids] if payloads else [self.keys.ids]
        return [["HMGET", key, *fields] for key in keys]

    def named(self, replies: Sequence[Any]) -> tuple[list[ItemId | None], list[Payload | None]]:
        """What `names` makes of the answers to its commands."""
        *stored, encoded = replies
        ids = [None if item is None else decode_id(item) for item in encoded]
        if not stored:
            return ids, [None] * len(ids)
        return ids, [decode_payload(item, self.keys.payloads) for item in stored[0]]

    def count(self) -> int:
        """How many items the shard holds.

        Raises:
            IndexMissing: the index was dropped since it was opened.
        """
        with translated(self.connection.address):
            reply: Any = self.connection.client.hmget(self.keys.meta, ["live", "incarnation", "state"])
        live, incarnation, state = reply
        if incarnation != b"%d" % self.header.incarnation or state != LIVE.encode() or live is None:
            raise self._gone()
        return int(live)

    def _write(self, registered: Any, arguments: list[Any]) -> int:
        width = record_width(self.header.layout)
        with translated(self.connection.address):
            status, *details = registered(
                keys=self.keys.fixed(), args=[self.header.incarnation, self.keys.bucket_prefix, width, *arguments]
            )
        if status == b"ok":
            return int(details[0])
        raise self._refusal(status, *details)

    def _refusal(self, status: bytes, found: Any = b"", length: int = 0) -> StoreError | InvalidInput:
        shown = found.decode(errors="replace") if isinstance(found, bytes) else str(found)
        again = "drop the index and build it again"
        if status == b"missing":
            return self._gone()
        if status == b"exhausted":
            return StoreError(
                f"index {self.keys.name!r} has given out {shown} of the {TOMBSTONE} item numbers of shard "
                f"{self.keys.shard} (every write of an id takes one); build it again, with more shards"
            )
        if status == b"full":
            return StoreError(
                f"bucket {shown} holds {length} bytes, a Redis string takes 512 MiB; "
                "build the index again with more coarse bits or more shards"
            )
        if status == b"broken":
            width = record_width(self.header.layout)
            return IndexCorrupt(f"{shown} holds {length} bytes, no multiple of the {width} bytes of a record; {again}")
        if status == b"absent":
            return IndexCorrupt(f"{shown} is missing, though an item is said to lie in it; {again}")
        return IndexCorrupt(f"{self.keys.nums} holds a place that cannot be read for the id {shown!r}; {again}")

    def _gone(self) -> IndexMissing:
        return IndexMissing(
            f"index {self.keys.name!r} was dropped since it was opened; open it again if it was created anew, "
            "else create it"
        )
