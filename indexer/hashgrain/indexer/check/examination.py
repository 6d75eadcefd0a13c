"""One shard under examination: how it is looked at and changed atomically, and what was learnt so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hashgrain.codes.errors import IndexCorrupt, IndexMissing, InvalidInput, StoreUnavailable
from hashgrain.indexer.check.kinds import Kind
from hashgrain.indexer.check.number_set import NumberSet
from hashgrain.indexer.check.report import Examined, Finding
from hashgrain.indexer.connection import Connection
from hashgrain.indexer.header import Header
from hashgrain.indexer.identifiers import ItemId, decode_id, encode_ids
from hashgrain.indexer.keys import ShardKeys
from hashgrain.indexer.lua import script
from hashgrain.indexer.records import record_width
from hashgrain.indexer.store_errors import translated

ATTEMPTS = 100
"""How often a repair is thought over again because writers changed what it was decided by."""

Value = bytes | int | None
Change = Sequence[str | bytes | int]


class Look(NamedTuple):
    """One place of a shard; see `scripts/looks.lua`."""

    how: str
    key: str
    field: bytes | int = b""


class Examination:
    """One shard under examination.

    Args:
        connection: the server.
        keys: the shard's keys.
        header: the shard's header (its `next` and `live` are not relied on).
        repair: whether to mend what can be mended with certainty.
        forget_lost: whether to take away what is left of items whose record is lost.
        advance: called with the number of entries examined since.

    Attributes:
        claimed: numbers that ids claim.
        seen: numbers that have a live record.
        placed: encoded ids of whose records something has been told.
        unreadable: whether a place cannot be read.
        largest: the largest number in use, or -1.
        findings: what was found wrong.
        mended: whether anything was changed.
        examined: what was looked at.
    """

    def __init__(
        self,
        connection: Connection,
        keys: ShardKeys,
        header: Header,
        repair: bool,
        forget_lost: bool,
        advance: Callable[[int], object],
    ) -> None:
        self.connection = connection
        self.keys = keys
        self.header = header
        self.width = record_width(header.layout)
        self.repair = repair
        self.forget_lost = forget_lost
        self.advance = advance
        self.claimed, self.seen = NumberSet(), NumberSet()
        self.placed: set[bytes] = set()
        self.unreadable = False
        self.largest = -1
        self.findings: list[Finding] = []
        self.mended = False
        self.examined = Examined(shards=1)
        self._scripts = {name: connection.client.register_script(script(name)) for name in ("peek", "mend", "snapshot")}

    def tell(self, kind: Kind, key: str, found: str, encoded: bytes | None = None) -> None:
        """Note what is wrong."""
        remedy = kind.remedy.format(name=self.keys.name)
        item = None if encoded is None else readable_id(encoded)
        self.findings.append(Finding(kind.name, key, found, kind.consequence, remedy, item))

    def peek(self, looks: Sequence[Look]) -> list[Value]:
        """What several places hold at one moment.

        Raises:
            IndexMissing: the index was dropped since the check began.
        """
        found: list[Value] = self.run("peek", *(part for look in looks for part in look))
        return found

    def mend(self, expect: Mapping[Look, Value], changes: Sequence[Change]) -> bool:
        """Run commands in one step, if all places still hold what is expected; returns whether they did.

        Raises:
            IndexMissing: the index was dropped since the check began.
            StoreFull: `maxmemory` is reached, and nothing was changed.
        """
        arguments: list[Any] = [len(expect)]
        for look, value in expect.items():
            wanted = b"-" if value is None else b"=" + (value if isinstance(value, bytes) else b"%d" % value)
            arguments += (*look, wanted)
        for change in changes:
            arguments += (len(change), *change)
        done = bool(self.run("mend", *arguments)[0])
        self.mended |= done
        return done

    def run(self, name: str, *arguments: Any) -> list[Any]:
        """Run a script on the shard; see `scripts/buckets.lua` for what it is given first."""
        with translated(self.connection.address):
            status, *found = self._scripts[name](
                keys=self.keys.fixed(), args=[self.header.incarnation, self.keys.bucket_prefix, self.width, *arguments]
            )
        if status == b"missing":
            raise IndexMissing(f"index {self.keys.name!r} was dropped while it was being checked")
        return [status, *found] if name == "snapshot" else found

    def attempts(self) -> Iterator[int]:
        """Count attempts at one repair, as many as there may be.

        Raises:
            StoreUnavailable: writers changed the place again and again.
        """
        yield from range(ATTEMPTS)
        raise StoreUnavailable(
            f"index {self.keys.name!r} changed under {ATTEMPTS} attempts to repair it; repair while fewer write to it"
        )


def readable_id(encoded: bytes) -> ItemId | None:
    """The id, or None where these bytes are not what any id is encoded as."""
    try:
        item = decode_id(encoded)
        return item if encode_ids([item]) == [encoded] else None
    except (IndexCorrupt, InvalidInput):
        return None
