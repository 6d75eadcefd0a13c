"""`check_index`: whether a stored index keeps to its layout, and repairs.

The rules are those that `keys` states. A check goes through each shard in small steps, so nobody waits for it, and
what is read in two steps may be of two moments. So nothing is told by that alone: whatever seems wrong is read once
more by a script, in one step of the server in which a write is either done or not begun, and only what is wrong
then is a finding. (Others wait for that step, some milliseconds for a bucket of thousands of records.) Items that
are written, replaced or deleted while the check goes on are checked or passed over.

A repair is one script, too. It runs only if everything that it was decided by is still as it was seen, else it is
thought over again. After repairs the whole check is done again, and what it finds again has not been repaired.

What is repaired is what can be told with certainty from the rest of the shard; no record that belongs to an id is
ever taken away. The one repair that needs leave of its own, `forget_lost`, takes away what is left of an item whose
record is gone, so that its id can be added again.

Memory here: two bits per number that a shard has given out, one bit per coarse code and shard, a megabyte of buckets
with the ids and places of their records (or one bucket, if that is larger; a second one where two contradict each
other), a page of 1,000 ids or of 100 payloads, and the findings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer.check.buckets import check_buckets
from hashgrain.indexer.check.examination import Examination
from hashgrain.indexer.check.headers import check_header, read_headers
from hashgrain.indexer.check.items import check_places, check_records
from hashgrain.indexer.check.keyspace import scan_keys
from hashgrain.indexer.check.kinds import ONCE_REPAIRED
from hashgrain.indexer.check.names import check_names, check_payloads
from hashgrain.indexer.check.number_set import NumberSet
from hashgrain.indexer.check.report import CheckReport, Examined, Finding
from hashgrain.indexer.check.totals import check_counts, check_dead, check_map, check_types, check_version
from hashgrain.indexer.connection import DEFAULT_TIMEOUTS, Connection, Timeouts
from hashgrain.indexer.header import Header
from hashgrain.indexer.keys import ShardKeys
from hashgrain.indexer.store_errors import translated

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
        name: of the index.
        repair: mend what can be mended with certainty.
        forget_lost: take away, too, what is left of items whose record is lost; needs `repair`.
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
    first = shards[0][1]
    buckets, strange = scan_keys(connection, name, first)
    findings += strange
    advance = _counter(connection, shards, progress)
    for keys, header in shards:
        shard = Examination(connection, keys, header, repair, forget_lost, advance)
        _examine(shard, first, buckets[keys.shard])
        findings += shard.findings
        examined += shard.examined
        mended |= shard.mended
    return findings, examined, mended


def _examine(shard: Examination, first: Header, stored: NumberSet) -> None:
    """Check one shard. The order matters: each step relies on what the ones before have learnt and mended."""
    check_header(shard, first)
    if not check_types(shard):
        return
    check_version(shard)
    check_places(shard)
    coarse = [stored.numbers(), check_map(shard), check_dead(shard)]
    check_buckets(shard, np.unique(np.concatenate(coarse)).tolist())
    check_records(shard)
    check_names(shard)
    check_payloads(shard)
    check_counts(shard)


def _counter(
    connection: Connection, shards: Sequence[tuple[ShardKeys, Header]], progress: Progress | None
) -> Callable[[int], object]:
    if progress is None:
        return lambda entries: None
    with translated(connection.address):
        pipe = connection.client.pipeline(transaction=False)
        for keys, _ in shards:
            for key in (keys.nums, keys.nums, keys.ids, keys.payloads):  # nums twice: once for the records
                pipe.hlen(key)
        total = sum(size for size in pipe.execute(raise_on_error=False) if isinstance(size, int))
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
