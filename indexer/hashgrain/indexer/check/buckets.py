"""Every bucket of a shard: read in groups, and those that seem wrong once more, atomically."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hashgrain.indexer.check.examination import Examination
from hashgrain.indexer.check.judgement import Verdict, judge
from hashgrain.indexer.check.report import Examined
from hashgrain.indexer.check.snapshot import AT_ONCE, Snapshot, atomic_snapshot, live_numbers, loose_snapshots
from hashgrain.indexer.store_errors import translated

GROUP_BYTES = 1 << 20
"""Bytes of buckets that are read together; one bucket alone may exceed it."""


def check_buckets(shard: Examination, coarse: Sequence[int]) -> None:
    """Check buckets, given by their coarse codes, and mend what can be mended.

    Fills `shard.seen`, and needs `shard.claimed`.
    """
    for start in range(0, len(coarse), AT_ONCE):
        lengths = _lengths(shard, coarse[start : start + AT_ONCE])
        for code in [code for code, length in lengths.items() if length is None]:
            _note(shard, _settle(shard, code))
        for group in _groups({code: length for code, length in lengths.items() if length is not None}):
            for bucket in loose_snapshots(shard, group):
                _note(shard, _settle(shard, bucket.coarse) if _judge(shard, bucket).problems else bucket)


def _settle(shard: Examination, coarse: int) -> Snapshot:
    """Judge a bucket by an atomic snapshot, mend it, and tell what was wrong; returns the snapshot."""
    for _ in shard.attempts():
        bucket = atomic_snapshot(shard, coarse)
        verdict = _judge(shard, bucket)
        if not shard.repair or not verdict.changes or shard.mend(verdict.expect, verdict.changes):
            break
    for problem in verdict.problems:
        shard.tell(problem.kind, shard.keys.bucket(coarse), problem.found, problem.encoded)
        if problem.encoded is not None:
            shard.placed.add(problem.encoded)
    return bucket


def _judge(shard: Examination, bucket: Snapshot) -> Verdict:
    return judge(bucket, shard.keys, shard.header.layout.coarse_bits, shard.claimed)


def _note(shard: Examination, bucket: Snapshot) -> None:
    """Remember which numbers have a record; those of a bucket with a broken length may be none."""
    shard.advance(len(bucket.stamps))
    shard.examined += Examined(buckets=int(bucket.log is not None), records=len(bucket.stamps))
    if bucket.torn:
        return
    shard.seen.add(live_numbers(bucket.log, shard.width))
    registered = [number for number, (encoded, _) in bucket.entries.items() if encoded is not None]
    dead = bucket.buried.intersection(bucket.stamps)
    shard.largest = max([shard.largest, *registered, *dead])


def _lengths(shard: Examination, coarse: Sequence[int]) -> dict[int, int | None]:
    """Bytes of every bucket; None where the key is of another type."""
    with translated(shard.connection.address):
        pipe = shard.connection.client.pipeline(transaction=False)
        for key in shard.keys.buckets(coarse):
            pipe.strlen(key)
        replies = pipe.execute(raise_on_error=False)
    return {code: reply if isinstance(reply, int) else None for code, reply in zip(coarse, replies, strict=True)}


def _groups(lengths: Mapping[int, int]) -> Iterator[list[int]]:
    group: list[int] = []
    size = 0
    for code, length in lengths.items():
        if group and size + length > GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(code)
        size += length
    if group:
        yield group
