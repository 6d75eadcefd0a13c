"""Every bucket of a shard: read in groups, and what seems wrong once more, atomically."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hashgrain.indexer.check import kinds
from hashgrain.indexer.check.bucket import Bucket
from hashgrain.indexer.check.examination import WRONG_TYPE, Change, Examination, Look, Value
from hashgrain.indexer.check.gathered import WITHOUT_HINT, GatheredRecords, pack_places, read_places
from hashgrain.indexer.check.kinds import Kind
from hashgrain.indexer.check.report import Examined
from hashgrain.indexer.stored.handles import hashes_of, page_of
from hashgrain.indexer.stored.keys import HOLES
from hashgrain.indexer.wire.store_errors import translated

GROUP_RECORDS = 1 << 16
"""About how many records are read together."""

Problems = list[tuple[Kind, str]]


def check_buckets(shard: Examination) -> None:
    """Check every bucket for itself, and mend it; fills `shard.records` and `shard.unknown`, needs `shard.pages`."""
    shard.records = GatheredRecords(shard.pages)
    for group in _groups(shard):
        sound = [one if isinstance(one, Bucket) and not one.problems() else _settle(shard, one) for one in group]
        items = _gather(shard, [bucket for bucket in sound if bucket is not None])
        shard.advance(items)
        shard.examined += Examined(buckets=len(group), items=items)


def gather_again(shard: Examination) -> None:
    """Read all buckets once more: fills `shard.records` with what is there now."""
    shard.records = GatheredRecords(shard.pages)
    for group in _groups(shard):
        _gather(shard, [one for one in group if isinstance(one, Bucket) and one.number not in shard.unknown])


def _gather(shard: Examination, buckets: Sequence[Bucket]) -> int:
    counts = [len(bucket.handles) for bucket in buckets]
    if buckets:
        numbers = np.repeat([bucket.number for bucket in buckets], counts)
        shard.records.add(np.concatenate([bucket.handles for bucket in buckets]), numbers)
    return sum(counts)


def _groups(shard: Examination) -> Iterator[list[Bucket | int]]:
    """All buckets in groups; of what cannot be read, the number."""
    client, keys, width = shard.connection.client, shard.keys, shard.entry_bytes
    at_once = max(1, GROUP_RECORDS // max(1, shard.header.bucket_items))
    start = 0
    while True:
        numbers = range(start, start + at_once)
        with translated(shard.connection.address):
            pipe: Any = client.pipeline(transaction=False)
            pipe.getrange(keys.partition, start * width, (start + at_once) * width - 1)
            pipe.mget(keys.buckets(numbers))
            pipe.hmget(keys.holes, list(numbers))
            entries, texts, holes = pipe.execute()
        group: list[Bucket | int] = []
        for at in range(len(entries) // width):
            entry = entries[at * width : (at + 1) * width]
            readable = texts[at] is not None and entry[-1] in HOLES
            bucket = Bucket(start + at, entry, texts[at] or b"", holes[at], shard.header.layout)
            group.append(bucket if readable and not bucket.torn else start + at)
        if group:
            yield group
        if len(group) < at_once:
            return
        start += at_once


def _settle(shard: Examination, suspect: Bucket | int) -> Bucket | None:
    """Judge a bucket by what is there at one moment, mend it, tell what was wrong; gives what can be read of it."""
    number = suspect if isinstance(suspect, int) else suspect.number
    key = shard.keys.bucket(number)
    looks = [shard.entry(number), Look("text", key), Look("field", shard.keys.holes, number)]
    for _ in shard.attempts():
        found = shard.peek(looks)
        bucket, problems, changes = _judge(shard, number, found)
        if not shard.repair or not changes or shard.mend(dict(zip(looks, found, strict=True)), changes):
            break
    for kind, words in problems:
        shard.tell(kind, shard.keys.partition if kind in kinds.OF_ENTRIES else key, words)
    if bucket is None:
        shard.unknown.add(number)
    return bucket


def _judge(shard: Examination, number: int, found: Sequence[Value]) -> tuple[Bucket | None, Problems, list[Change]]:
    entry, text, holes = found
    key = shard.keys.bucket(number)
    if not entry or not isinstance(entry, bytes):
        return None, [], []  # the partition was cut off since
    if text == WRONG_TYPE:
        return None, [(kinds.TAKEN_KEY, "no string of records")], []
    missing = text is None
    bucket = Bucket(number, entry, text if isinstance(text, bytes) else b"", _bytes(holes), shard.header.layout)
    problems: Problems = [(kinds.MISSING_BUCKET, "no such key, though the partition has an entry for it")] * missing
    readable = _readable(shard, bucket)
    if readable is None:
        words = f"{len(bucket.text)} bytes, no multiple of the {bucket.width} bytes of a record"
        return None, [(kinds.SHIFTED_BUCKET, words)], []
    if readable.entry != entry:
        words = f"handles of {entry[-1]} bytes, though those in bucket {number} have {readable.entry[-1]}"
        problems.append((kinds.HANDLE_BYTES, words))
    if readable.torn:
        words = f"{len(bucket.text)} bytes, no multiple of the {readable.width} bytes of a record"
        problems.append((kinds.TORN_BUCKET, f"{words}; its {len(readable.rows)} whole ones are accounted for"))
    problems += readable.problems()
    changes: list[Change] = []
    mended = readable.mended()
    if missing or mended.text != text:
        changes.append(("SET", key, mended.text))
    if mended.holes != holes:
        listed = mended.holes
        changes.append(("HSET", shard.keys.holes, number, listed) if listed else ("HDEL", shard.keys.holes, number))
    if mended.entry != entry:
        changes.append(("SETRANGE", shard.keys.partition, number * shard.entry_bytes, mended.entry))
        changes.append(("INCR", shard.keys.stamp))
    return readable, problems, changes


def _readable(shard: Examination, bucket: Bucket) -> Bucket | None:
    """The bucket, or where its records do not fit, as it is with another width of handles and without a torn end.

    None where not all of its records are accounted for by places, so that it is not certain where they begin.
    """
    if bucket.entry[-1] in HOLES and not bucket.torn:
        return bucket
    widths = sorted(HOLES, key=lambda width: width != bucket.entry[-1])
    forms = [bucket.with_handles_of(width) for width in widths]
    return next((form for form in forms if _accounted_for(shard, form)), None)


def _accounted_for(shard: Examination, bucket: Bucket) -> bool:
    """Whether every whole record has a place of its own."""
    hashes = hashes_of(bucket.handles)
    wanted = pack_places(hashes, np.full(len(hashes), bucket.number))
    pages = np.unique(page_of(hashes, shard.pages)).tolist()
    texts = shard.peek([Look("text", shard.keys.places(page)) for page in pages])
    there = np.concatenate([np.empty(0, np.uint64), *(read_places(text) for text in texts if isinstance(text, bytes))])
    there &= WITHOUT_HINT
    values, counts = np.unique(wanted, return_counts=True)
    known, placed = np.unique(there, return_counts=True)
    if not np.isin(values, known).all():
        return False
    return bool((placed[np.searchsorted(known, values)] >= counts).all())


def _bytes(value: Value) -> bytes | None:
    return value if isinstance(value, bytes) else None
