"""`check_index`: whether a stored index keeps to its layout, and repairs.

The rules are those that `keys` states. A check goes through each shard in small steps, so nobody waits for it, and
what is read in two steps may be of two moments. So nothing is told by that alone: whatever seems wrong is read once
more by a script, in one step of the server in which a write is either done or not begun, and only what is wrong
then is a finding. (Others wait for that step, some milliseconds for a bucket of thousands of records.) Items that
are written, replaced or deleted while the check goes on are checked or passed over.

A repair is one script, too. It runs only if everything that it was decided by is still as it was seen, else it is
thought over again. After repairs the whole check is done again, and what it finds again has not been repaired.

What is repaired is what can be told with certainty from the rest of the shard. Of several records of one item the one
stays that the item's place names, else the first; no other record that may belong to an id is taken away. The one
repair that needs leave of its own, `forget_lost`, takes away what is left of an item whose record or name is gone, so
that its id can be added again.

A record has its place on the page that the hash of its handle names. So the check first reads all buckets, remembers
which handle lies in which bucket, divided by hashes, and then compares that with the pages, slice by slice. Where much
seems wrong, it reads everything once more: what writers have changed meanwhile does not seem wrong twice. Memory here:
12 bytes for each item of a shard, a group of buckets or pages, and the findings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer.check.buckets import check_buckets
from hashgrain.indexer.check.examination import Examination
from hashgrain.indexer.check.headers import check_header, read_headers
from hashgrain.indexer.check.items import check_items, check_rest
from hashgrain.indexer.check.keyspace import Beyond, scan_keys
from hashgrain.indexer.check.kinds import ONCE_REPAIRED
from hashgrain.indexer.check.payloads import check_hole_lists, check_payloads
from hashgrain.indexer.check.report import CheckReport, Examined, Finding
from hashgrain.indexer.check.totals import (
    check_beyond,
    check_live,
    check_pages,
    check_partition,
    check_stamp,
    check_types,
    sizes,
)
from hashgrain.indexer.stored.generations import stored_name
from hashgrain.indexer.stored.header import Header
from hashgrain.indexer.stored.keys import ShardKeys
from hashgrain.indexer.wire.connection import DEFAULT_TIMEOUTS, Connection, Timeouts
from hashgrain.indexer.wire.store_errors import translated

__all__ = ["CheckReport", "Examined", "Finding", "Progress", "check_index"]

ROUNDS = 5
"""How often a check with repairs is done at most: one repair can be the ground for another."""

Progress = Callable[[int, int], object]
"""Called with the number of entries examined so far, and about how many there are (both begin anew each round)."""


def check_index(
    redis_url: str,
    name: str,
    repair: bool = False,
    *,
    forget_lost: bool = False,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    progress: Progress | None = None,
) -> CheckReport:
    """Verify every rule of an index's stored layout, and mend what is broken, while the index is in use.

    Args:
        redis_url: `redis://`, `rediss://` or `unix://` address.
        name: of the index (its live generation, unless it is "name@2").
        repair: mend what can be mended with certainty.
        forget_lost: take away, too, what is left of items whose record or name is lost; needs `repair`.
        timeouts: deadlines of every call.
        progress: called every so often.

    Raises:
        InvalidInput: the address or name cannot be used, or `forget_lost` goes without `repair`.
        IndexMissing: there is no such index, or it was dropped meanwhile.
        SchemaMismatch: its layout is of a version that this code does not know.
        StoreUnavailable, StoreFull, StoreError.
    """
    if forget_lost and not repair:
        raise InvalidInput("forget_lost changes the index, so it goes with repair=True only; look first, then repair")
    connection = Connection.to(redis_url, timeouts)
    try:
        name = stored_name(connection, name)
        done: dict[tuple[Any, ...], Finding] = {}
        for _ in range(ROUNDS if repair else 1):
            findings, examined, mended = _round(connection, name, repair, forget_lost, progress)
            done |= {_identity(finding): finding for finding in findings}
            if not mended:
                break
        if mended:  # of what the last round has changed, nobody knows yet how it turned out
            findings, examined, _ = _round(connection, name, False, False, progress)
            done |= {_identity(finding): finding for finding in findings}
    finally:
        connection.close()
    left = {_identity(finding) for finding in findings}
    report = [finding if identity in left else _repaired(finding) for identity, finding in done.items()]
    return CheckReport(name, tuple(report), examined)


def _round(
    connection: Connection, name: str, repair: bool, forget_lost: bool, progress: Progress | None
) -> tuple[list[Finding], Examined, bool]:
    """One check of everything; returns what is wrong, how much was looked at, and whether anything was changed."""
    shards, findings = read_headers(connection, name)
    examined, mended = Examined(), False
    if not shards:
        return findings, examined, mended
    advance = _counter(connection, shards, progress)
    examinations = [Examination(connection, keys, header, repair, forget_lost, advance) for keys, header in shards]
    beyond = [Beyond(0, 0) for _ in range(shards[0][1].shards)]
    for shard in examinations:
        beyond[shard.keys.shard] = sizes(shard)
    findings += scan_keys(connection, name, beyond)
    for shard in examinations:
        check_header(shard, shards[0][1])
        if check_types(shard):
            _examine(shard, beyond[shard.keys.shard])
        findings += shard.findings
        examined += shard.examined
        mended |= shard.mended
    return findings, examined, mended


def _examine(shard: Examination, beyond: Beyond) -> None:
    """Check one shard. The order matters: each step relies on what the ones before have learnt and mended."""
    check_stamp(shard)
    pages_known = check_pages(shard, beyond)
    if not check_partition(shard):
        return
    check_buckets(shard)
    check_hole_lists(shard)
    if pages_known:
        check_beyond(shard, beyond)
        check_items(shard)
        check_payloads(shard)
        check_rest(shard)
    check_live(shard)


def _counter(
    connection: Connection, shards: Sequence[tuple[ShardKeys, Header]], progress: Progress | None
) -> Callable[[int], object]:
    if progress is None:
        return lambda entries: None
    total = 0
    with translated(connection.address):
        for keys, _ in shards:
            pipe: Any = connection.of(keys.meta).client.pipeline(transaction=False)
            pipe.hget(keys.meta, "live")
            pipe.hlen(keys.payloads)
            live, payloads = pipe.execute(raise_on_error=False)
            # Every item is met twice: in its bucket, and on its page.
            total += 2 * int(live if isinstance(live, bytes) and live.isdigit() else 0)
            total += payloads if isinstance(payloads, int) else 0
    done = 0

    def advance(entries: int) -> None:
        nonlocal done
        done += entries
        progress(done, total)

    return advance


def _repaired(finding: Finding) -> Finding:
    return replace(finding, repaired=True, remedy=ONCE_REPAIRED.get(finding.kind, ""))


def _identity(finding: Finding) -> tuple[Any, ...]:
    """What stays the same when a check finds a thing again; numbers that change while the index is in use do not."""
    return finding.kind, finding.key, finding.item, finding.found if finding.item is None else ""
