"""One shard of an index: everything that is asked of Redis for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import IndexCorrupt, IndexMissing, InvalidInput, StoreError
from hashgrain.indexer.stored.handles import handle_fields, hashes_of, is_hashed, page_of
from hashgrain.indexer.stored.header import LIVE, LOADING, PAST, Header
from hashgrain.indexer.stored.identifiers import ItemId, decode_id
from hashgrain.indexer.stored.keys import PLACE_BYTES, ShardKeys
from hashgrain.indexer.stored.lua import script
from hashgrain.indexer.stored.partition import Partition
from hashgrain.indexer.stored.payloads import Payload, decode_payload
from hashgrain.indexer.stored.records import script_widths
from hashgrain.indexer.wire.connection import Connection
from hashgrain.indexer.wire.store_errors import translated

Command = Sequence[Any]


@dataclass(frozen=True, eq=False)
class Directory:
    """A shard's buckets at one moment.

    Attributes:
        partition: their centroids; as long as Redis shows its stamp, it is true.
        live: how many items they hold together.
        pages: how many pages the places and names of the items are divided among.
        merged: how often a bucket was merged into others since the index was created.
    """

    partition: Partition
    live: int
    pages: int
    merged: int = 0


class Shard:
    """One shard. Every write is one atomic step of the server, and so is `read`.

    Args:
        connection: the server that holds the shard.
        keys: its keys.
        header: its header as it was when the index was opened.
        follows: whether the index was opened by its name alone, so that a generation which is no longer live is not
            meant. Opened by its number it can still be read.

    Attributes:
        connection, keys, header: the same; the connection is that of the shard.
        reading: the connection on which searches read, which may be to a replica (see `scatter`).
    """

    def __init__(self, connection: Connection, keys: ShardKeys, header: Header, follows: bool = True) -> None:
        self.connection = connection = connection.of(keys.meta)
        self.reading = connection.reader
        self.keys = keys
        self.header = header
        self._scripts: dict[str, Any] = {
            name: connection.client.register_script(script(name))
            for name in ("add", "delete", "split", "merge", "vacate", "widen")
        }
        self._routes: Partition | None = None
        self._readable = (LIVE,) if follows else (LIVE, PAST)

    def write(self, name: str, *arguments: Any) -> list[Any]:
        """Run a script that works on items; returns what it replies after its 'ok'.

        Args:
            name: `add`, `delete`, `split`, `merge`, `vacate` or `widen`.
            arguments: its ARGV from the fourth on.

        Raises:
            Stale, Narrow: the caller's directory is out of date; nothing was written.
            Superseded: the index was switched to another generation; nothing was written.
            StoreFull, IndexMissing, IndexCorrupt, InvalidInput, StoreError: nothing was written.
        """
        first = (self.header.incarnation, self.keys.prefix, script_widths(self.header.layout))
        with translated(self.connection.address):
            reply: list[Any] = self._scripts[name](keys=self.keys.fixed(), args=[*first, *arguments])
        if reply[0] == b"ok":
            return reply[1:]
        raise self._refusal(*reply)

    def directory(self) -> Directory:
        """Read which buckets are there.

        Raises:
            IndexMissing: the index was dropped, or dropped and created anew, since it was opened; see `gone`.
            IndexCorrupt: the partition cannot be read.
        """
        with translated(self.connection.address):
            pipe: Any = self.connection.client.pipeline(transaction=False)
            for command in self.asking_directory():
                pipe.execute_command(*command)
            replies = pipe.execute()
        return self.as_directory(*replies)

    def asking_directory(self) -> list[Command]:
        """The commands that `directory` sends."""
        # The header is read last: where it is still this index's, so was the partition before. (Not by MULTI: Redis
        # refuses to queue even reads when `maxmemory` is reached.)
        return [["MGET", self.keys.stamp, self.keys.partition], ["HGETALL", self.keys.meta]]

    def as_directory(self, partition_of: Sequence[bytes | None], fields: Any) -> Directory:
        """What `directory` makes of the answers to its commands."""
        stamp, stored = partition_of
        if not fields:
            raise self.gone()
        header = Header.from_fields(fields, self.keys.meta)
        if not header.same_index(self.header) or header.state not in self._readable:
            raise self.gone(header.state)
        if stamp is None:
            raise self.gone()
        partition = Partition.parse(stamp, stored or b"", self.header.layout, self.keys.partition)
        return Directory(partition, header.live, header.pages, header.merged)

    def routes(self) -> Partition:
        """The partition that items are placed by, as it was when it was last read; see `reroute`.

        Raises:
            IndexMissing, IndexCorrupt: see `directory`.
        """
        routes = self._routes
        if routes is None:
            routes = self._routes = self.directory().partition
        return routes

    def reroute(self) -> None:
        """Have the partition read anew before more items are placed."""
        self._routes = None

    def read(self, directory: Directory, numbers: NDArray[np.integer]) -> list[bytes] | None:
        """Read some buckets of the directory, by number, or None where the directory is out of date.

        Raises:
            IndexMissing: the index was dropped since it was opened.
            IndexCorrupt: a bucket that the directory names is not there.
        """
        client: Any = self.connection.client
        with translated(self.connection.address):
            reply = client.execute_command(*self.asking(numbers))
        return self.as_read(directory, numbers, reply)

    def asking(self, numbers: NDArray[np.integer]) -> Command:
        """The command that `read` sends."""
        return ["MGET", self.keys.stamp, *self.keys.buckets(numbers.tolist())]

    def as_read(
        self, directory: Directory, numbers: NDArray[np.integer], reply: Sequence[bytes | None]
    ) -> list[bytes] | None:
        """What `read` makes of the answer to its command."""
        stamp: bytes | None = reply[0]
        buckets = list(reply[1:])
        if stamp is None:
            raise self.gone()
        if stamp != directory.partition.stamp:
            return None
        if None in buckets:
            missing = self.keys.bucket(int(numbers[buckets.index(None)]))
            raise IndexCorrupt(
                f"{missing} is missing, though {self.keys.partition} names it; a bucket was "
                "deleted or evicted: set maxmemory-policy to noeviction, and run `hashgrain index check --repair`"
            )
        return [bucket for bucket in buckets if bucket is not None]

    def names(
        self, handles: NDArray[np.int64], pages: int, payloads: bool
    ) -> tuple[list[ItemId | None], list[Payload | None]]:
        """Ids and, where asked for, payloads of some items; the id is None where the item is no longer there."""
        commands = self.naming(handles, pages, payloads)
        if not commands:
            return self.named(handles, [], pages, payloads)
        with translated(self.connection.address):
            pipe: Any = self.connection.client.pipeline(transaction=False)
            for command in commands:
                pipe.execute_command(*command)
            replies = pipe.execute()
        return self.named(handles, replies, pages, payloads)

    def naming(self, handles: NDArray[np.int64], pages: int, payloads: bool) -> list[list[Any]]:
        """The commands that look up ids of some items and, where asked for, payloads; none where their handles say all.

        Args:
            handles: int64 (n,), of the items.
            pages: how many pages there are, as the directory says. Where there are more by now, a name may not be
                found, and the directory is to be read anew.
            payloads: whether payloads are asked for.
        """
        commands: list[list[Any]] = []
        if payloads and len(handles):
            commands.append(["HMGET", self.keys.payloads, *handle_fields(handles)])
        for page, members in _by_page(handles, pages):
            commands.append(["HMGET", self.keys.names(page), *handle_fields(handles[members])])
        return commands

    def named(
        self, handles: NDArray[np.int64], replies: Sequence[Any], pages: int, payloads: bool
    ) -> tuple[list[ItemId | None], list[Payload | None]]:
        """What the answers to the commands of `naming` say; the id is None where the item is no longer there."""
        ids: list[ItemId | None] = handles.tolist()
        told: list[Payload | None] = [None] * len(ids)
        rest = iter(replies)
        if payloads and ids:
            told = [decode_payload(item, self.keys.payloads) for item in next(rest)]
        for (_, members), encoded in zip(_by_page(handles, pages), rest, strict=True):
            for member, item in zip(members.tolist(), encoded, strict=True):
                ids[member] = None if item is None else decode_id(item)
        return ids, told

    def count(self) -> int:
        """How many items the shard holds.

        Raises:
            IndexMissing: the index was dropped since it was opened.
        """
        with translated(self.connection.address):
            reply: Any = self.connection.client.hmget(self.keys.meta, ["live", "incarnation", "state"])
        live, incarnation, state = reply
        said = (state or b"").decode(errors="replace")
        if incarnation != b"%d" % self.header.incarnation or said not in self._readable or live is None:
            raise self.gone(said)
        return int(live)

    def gone(self, state: str = "") -> IndexMissing:
        """The error of an index that is not the one that was opened any more, or not in the state that it was in."""
        if state == PAST:
            return Superseded(
                f"{self.keys.name!r} is a generation that is no longer live: it can be read by its number and not "
                "written; `hashgrain index switch` makes it live again"
            )
        if state == LOADING:
            return IndexMissing(
                f"index {self.keys.name!r} is being loaded in bulk, or that was cut short; wait, or drop it with "
                f"`hashgrain index drop {self.keys.name} --yes` and build it again"
            )
        return IndexMissing(
            f"index {self.keys.name!r} was dropped since it was opened; open it again if it was created anew, "
            "else create it"
        )

    def _refusal(self, status: bytes, found: Any = b"", more: Any = b"") -> StoreError | InvalidInput:
        shown = found.decode(errors="replace") if isinstance(found, bytes) else str(found)
        mend = f"run `hashgrain index check {self.keys.name} --repair`"
        if status == b"missing":
            return self.gone(shown)
        if status == b"stale":
            return Stale(f"bucket {shown} of {self.keys.partition} has changed")
        if status == b"narrow":
            return Narrow(int(found))
        if status == b"collision":
            return InvalidInput(
                f"the ids {decode_id(found)!r} and {decode_id(more)!r} have the same 61-bit hash, so the index cannot "
                "hold both; give the new item another id"
            )
        if status == b"broken":
            return IndexCorrupt(f"{shown} holds {more} bytes, no multiple of the width of its records; {mend}")
        if status == b"torn":
            return IndexCorrupt(
                f"{shown} holds {more} bytes, no multiple of the {PLACE_BYTES} bytes of a place; {mend}"
            )
        if status == b"absent":
            return IndexCorrupt(f"{shown} is missing, though {self.keys.partition} names it; {mend}")
        return IndexCorrupt(f"{shown} does not say where an item of its page lies; {mend}")


class Superseded(IndexMissing):
    """The generation that was opened is no longer live; the index is to be opened anew."""


class Stale(StoreError):
    """A writer went by a partition that has changed since; it reads it anew and tries again."""


class Narrow(StoreError):
    """A bucket cannot hold a handle of 8 bytes until it is widened."""

    def __init__(self, bucket: int) -> None:
        super().__init__(f"bucket {bucket} has 4-byte handles")
        self.bucket = bucket


def _by_page(handles: NDArray[np.int64], pages: int) -> list[tuple[int, NDArray[np.intp]]]:
    """By page of names, ascending, the positions of the handles that are hashes."""
    hashed = np.flatnonzero(is_hashed(handles))
    if not len(hashed):
        return []
    page = page_of(hashes_of(handles[hashed]), pages)
    return [(int(one), hashed[page == one]) for one in np.unique(page)]
