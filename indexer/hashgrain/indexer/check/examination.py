"""One shard under examination: how it is looked at and changed atomically, and what was learnt so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hashgrain.codes.errors import IndexMissing, StoreUnavailable
from hashgrain.indexer.check.gathered import GatheredRecords, Suspects
from hashgrain.indexer.check.kinds import Kind
from hashgrain.indexer.check.report import Examined, Finding
from hashgrain.indexer.stored.header import Header
from hashgrain.indexer.stored.identifiers import ItemId
from hashgrain.indexer.stored.keys import ShardKeys
from hashgrain.indexer.stored.lua import script
from hashgrain.indexer.stored.partition import entry_bytes
from hashgrain.indexer.stored.records import script_widths
from hashgrain.indexer.wire.connection import Connection
from hashgrain.indexer.wire.store_errors import translated

ATTEMPTS = 100
"""How often a look or a repair is thought over again because writers changed what it was decided by."""

WRONG_TYPE = -1
"""What a look finds where another service uses the key."""

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
        header: the shard's header (its `live` and `pages` are not relied on).
        repair: whether to mend what can be mended with certainty.
        forget_lost: whether to take away what is left of items whose record or name is lost.
        advance: called with the number of entries examined since.

    Attributes:
        pages: how many pages there were when last looked.
        records: handle and bucket of every record.
        unknown: buckets whose records cannot be read.
        later: what can be told and mended only when all pages were looked at.
        lost_in: buckets that lack a record which a place says is there.
        misfiled: handles whose names were found where they do not belong.
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
        self.connection = connection = connection.of(keys.meta)
        self.keys = keys
        self.header = header
        self.entry_bytes = entry_bytes(header.layout)
        self.repair = repair
        self.forget_lost = forget_lost
        self.advance = advance
        self.pages = 1
        self.records = GatheredRecords(1)
        self.unknown: set[int] = set()
        self.later = Suspects()
        self.lost_in: set[int] = set()
        self.misfiled: set[int] = set()
        self.findings: list[Finding] = []
        self.mended = False
        self.examined = Examined(shards=1)
        self._scripts = {name: connection.client.register_script(script(name)) for name in ("peek", "mend")}

    def tell(self, kind: Kind, key: str, found: str, item: ItemId | None = None) -> None:
        """Note what is wrong."""
        self.findings.append(
            Finding(kind.name, key, found, kind.consequence, kind.remedy.format(name=self.keys.name), item)
        )

    def peek(self, looks: Sequence[Look]) -> list[Value]:
        """What several places hold at one moment.

        Raises:
            IndexMissing: the index was dropped since the check began.
        """
        found: list[Value] = self._run("peek", *(part for look in looks for part in look))
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
        done = bool(self._run("mend", *arguments)[0])
        self.mended |= done
        return done

    def attempts(self) -> Iterator[int]:
        """Count attempts at one look or repair, as many as there may be.

        Raises:
            StoreUnavailable: writers changed the place again and again.
        """
        yield from range(ATTEMPTS)
        raise StoreUnavailable(
            f"index {self.keys.name!r} changed under {ATTEMPTS} attempts to look at one place of it or to repair it; "
            "check it while fewer write to it"
        )

    def entry(self, bucket: int) -> Look:
        """A look at a bucket's entry of the partition."""
        start = bucket * self.entry_bytes
        return Look("part", self.keys.partition, b"%d:%d" % (start, start + self.entry_bytes - 1))

    def _run(self, name: str, *arguments: Any) -> list[Any]:
        with translated(self.connection.address):
            reply: list[Any] = self._scripts[name](
                keys=self.keys.fixed(),
                args=[self.header.incarnation, self.keys.prefix, script_widths(self.header.layout), *arguments],
            )
        if reply[0] == b"missing":
            raise IndexMissing(f"index {self.keys.name!r} was dropped while it was being checked")
        return reply[1:]
