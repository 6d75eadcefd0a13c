"""What is wrong with a bucket, and what would mend it: the rules of `keys`, applied to one snapshot."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from hashgrain.indexer.check import kinds
from hashgrain.indexer.check.examination import Change, Look, Value
from hashgrain.indexer.check.kinds import Kind
from hashgrain.indexer.check.number_set import NumberSet
from hashgrain.indexer.check.snapshot import Snapshot, live_numbers, read_place
from hashgrain.indexer.keys import TOMBSTONE, ShardKeys, bucket_name


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a bucket: its kind, in words, and the encoded id that it concerns."""

    kind: Kind
    found: str
    encoded: bytes | None = None


@dataclass
class Verdict:
    """What is wrong with a bucket, and what would mend it.

    Attributes:
        problems: what is wrong.
        expect: what must still be so when the changes are made.
        changes: commands that mend all problems that can be mended; none where nothing can.
        dropped: positions of records that the rewritten bucket leaves out, beside the dead ones.
    """

    problems: list[Problem] = field(default_factory=list)
    expect: dict[Look, Value] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    dropped: set[int] = field(default_factory=set)

    def tell(self, kind: Kind, found: str, encoded: bytes | None = None) -> None:
        """Note a problem."""
        self.problems.append(Problem(kind, found, encoded))


def judge(bucket: Snapshot, keys: ShardKeys, coarse_bits: int, claimed: NumberSet) -> Verdict:
    """Compare a bucket with the layout.

    Args:
        bucket: an atomic snapshot for a verdict to act on; of a loose one, only whether there is any problem counts.
        keys: of the shard.
        coarse_bits: length of a coarse code.
        claimed: numbers that ids claim.
    """
    verdict = Verdict()
    if bucket.foreign:
        verdict.tell(kinds.TAKEN_KEY, f"a {bucket.foreign} instead of a string of records")
        return verdict
    for position in bucket.live:
        _judge_record(verdict, bucket, position, keys, coarse_bits, claimed)
    _judge_repetitions(verdict, bucket)
    if bucket.torn:
        length, width = len(bucket.log or b""), bucket.width
        words = f"{length} bytes, no multiple of the {width} bytes of a record"
        if any(problem.kind is not kinds.UNPLACED for problem in verdict.problems) or _stray_tombstones(bucket):
            # Not only a tail is too much: records seem not to begin where they should, and none can be trusted.
            return Verdict([Problem(kinds.SHIFTED_BUCKET, words)])
        verdict.tell(kinds.TORN_BUCKET, f"{words}; its {len(bucket.stamps)} whole ones are accounted for")
    _judge_log(verdict, bucket)
    if any(problem.kind in _REWRITES for problem in verdict.problems):
        _rewrite(verdict, bucket, keys)
    _judge_bit(verdict, bucket, keys)
    if verdict.changes:
        verdict.expect[Look("digest", keys.bucket(bucket.coarse))] = _digest(bucket.log)
    return verdict


def _judge_record(
    verdict: Verdict, bucket: Snapshot, position: int, keys: ShardKeys, coarse_bits: int, claimed: NumberSet
) -> None:
    number, here = bucket.stamps[position], bucket_name(bucket.coarse)
    encoded, place = bucket.entries[number]
    if encoded is None:
        if number not in claimed:  # else the id that claims it is told to be nameless
            verdict.tell(kinds.ORPHAN_RECORD, f"the record of number {number}, which no id has")
            verdict.expect[Look("field", keys.ids, number)] = None
            verdict.dropped.add(position)
        return
    target = read_place(place, coarse_bits)
    if target == (number, bucket.coarse):
        return
    if number in claimed and (target is None or target[0] != number):
        return  # another id claims it, and is told to be named wrongly
    verdict.expect[Look("field", keys.ids, number)] = encoded
    verdict.expect[Look("field", keys.nums, encoded)] = place
    words = f"the record of number {number}, whose id has the place {_shown(place)}"
    if target is None:
        verdict.tell(kinds.UNPLACED, words, encoded)
        verdict.changes.append(("HSET", keys.nums, encoded, f"{number}:{here}"))
        return
    there, name = bucket_name(target[1]), bucket.names.get(b"%d" % target[0])
    log = bucket.log if target[1] == bucket.coarse else bucket.logs.get(there.encode())
    sound = name == encoded and target[0] in live_numbers(log, bucket.width)
    verdict.expect[Look("digest", keys.bucket_prefix + there)] = _digest(log)
    verdict.expect[Look("field", keys.ids, target[0])] = name
    if sound and target[0] >= number:
        kind = kinds.DUPLICATE_RECORD if target[0] == number else kinds.STALE_RECORD
        verdict.tell(kind, f"{words}, where its record is, too", encoded)
        verdict.dropped.add(position)
        if target[0] != number:
            verdict.changes += (("HDEL", keys.ids, number), ("HDEL", keys.payloads, number))
    elif target[0] == number:
        verdict.tell(kinds.UNPLACED, f"{words}, where its record is not", encoded)
        verdict.changes.append(("HSET", keys.nums, encoded, f"{number}:{here}"))
    else:
        verdict.tell(kinds.RECORD_CONFLICT, words, encoded)


def _judge_repetitions(verdict: Verdict, bucket: Snapshot) -> None:
    first: dict[int, int] = {}
    for position in bucket.live:
        number = bucket.stamps[position]
        if position in verdict.dropped or first.setdefault(number, position) == position:
            continue
        encoded = bucket.entries[number][0]
        if bucket.record(position) == bucket.record(first[number]):
            verdict.tell(kinds.DUPLICATE_RECORD, f"the record of number {number} more than once", encoded)
            verdict.dropped.add(position)
        else:
            verdict.tell(kinds.RECORD_CONFLICT, f"two records of number {number} with different codes", encoded)


def _judge_log(verdict: Verdict, bucket: Snapshot) -> None:
    tombstones = sum(stamp >= TOMBSTONE for stamp in bucket.stamps)
    if (bucket.dead or b"0") != b"%d" % tombstones or (not tombstones and bucket.dead is not None):
        verdict.tell(kinds.DEAD_COUNT, f"{tombstones} tombstones, counted as {_shown(bucket.dead)}")
    for number in _stray_tombstones(bucket):
        verdict.tell(kinds.STRAY_TOMBSTONE, f"a tombstone of number {number} without an earlier record to bury")
    if bucket.log is not None and not bucket.live:
        verdict.tell(kinds.EMPTY_BUCKET, f"{len(bucket.stamps)} records, none of them live")
    elif tombstones and 4 * tombstones >= len(bucket.stamps) and not verdict.problems:
        verdict.tell(kinds.UNCOMPACTED, f"{tombstones} tombstones in {len(bucket.stamps)} records")


_REWRITES = {
    kinds.TORN_BUCKET,
    kinds.ORPHAN_RECORD,
    kinds.STALE_RECORD,
    kinds.DUPLICATE_RECORD,
    kinds.DEAD_COUNT,
    kinds.STRAY_TOMBSTONE,
    kinds.EMPTY_BUCKET,
    kinds.UNCOMPACTED,
}


def _rewrite(verdict: Verdict, bucket: Snapshot, keys: ShardKeys) -> None:
    """Plan a compaction that leaves out what is dropped, too; the rest is kept byte by byte, in its order."""
    name, key = bucket_name(bucket.coarse), keys.bucket(bucket.coarse)
    kept = [bucket.record(position) for position in bucket.live if position not in verdict.dropped]
    content: Change = ("SET", key, b"".join(kept)) if kept else ("DEL", key)
    bit: Change = ("SETBIT", keys.occupied, bucket.coarse, 1 if kept else 0)
    verdict.changes += [content, bit, ("HDEL", keys.dead, name), ("INCR", keys.version)]


def _judge_bit(verdict: Verdict, bucket: Snapshot, keys: ShardKeys) -> None:
    wanted = int(bool(bucket.live))
    if bucket.bit != wanted:
        verdict.tell(kinds.OCCUPANCY, f"the occupancy map says {bucket.bit}, but should say {wanted}")
        if not any(change[0] == "SETBIT" for change in verdict.changes):
            verdict.changes += [("SETBIT", keys.occupied, bucket.coarse, wanted), ("INCR", keys.version)]


def _stray_tombstones(bucket: Snapshot) -> list[int]:
    """Numbers of tombstones that bury nothing that stands before them, or what is buried already."""
    if not bucket.buried:
        return []
    waiting: set[int] = set()
    stray = []
    for stamp in bucket.stamps:
        if stamp < TOMBSTONE:
            waiting.add(stamp)
        elif stamp - TOMBSTONE in waiting:
            waiting.remove(stamp - TOMBSTONE)
        else:
            stray.append(stamp - TOMBSTONE)
    return stray


def _digest(log: bytes | None) -> bytes:
    return hashlib.sha1(log or b"", usedforsecurity=False).hexdigest().encode()


def _shown(value: bytes | None) -> str:
    return "none" if value is None else repr(value.decode(errors="replace"))
