"""What a shard keeps beside its items: version, occupancy map, counts."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.check import kinds
from hashgrain.indexer.check.examination import Change, Examination, Look, Value
from hashgrain.indexer.check.items import pages
from hashgrain.indexer.check.kinds import Kind
from hashgrain.indexer.keys import TOMBSTONE
from hashgrain.indexer.store_errors import translated

_Rule = Callable[[dict[Look, Value]], tuple[str, list[Change]] | None]
"""What is wrong with what was found, in words, and what mends it; None where nothing is."""

_BUCKET = re.compile(rb"[0-9a-f]{6}")

_FIXED_TYPES = ("hash", "string", "string", "hash", "hash", "hash", "hash")


def check_types(shard: Examination) -> bool:
    """Check that the shard's fixed keys are of their types; returns False where the rest cannot be examined."""
    keys = shard.keys.fixed()
    with translated(shard.connection.address):
        pipe = shard.connection.client.pipeline(transaction=False)
        for key in keys:
            pipe.type(key)
        types = [found.decode() for found in pipe.execute()]
    wrong = [row for row in zip(keys, types, _FIXED_TYPES, strict=True) if row[1] not in ("none", row[2])]
    for key, found, wanted in wrong:
        shard.tell(kinds.TAKEN_KEY, key, f"a {found} instead of a {wanted}; this shard was not examined")
    return not wrong


def check_version(shard: Examination) -> None:
    """Check that the occupancy map has a version that counts."""
    look = Look("text", shard.keys.version)
    for _ in shard.attempts():
        (version,) = shard.peek([look])
        if isinstance(version, bytes) and version.isdigit() and int(version) < 1 << 62:
            return
        # Above everything that a count from any incarnation (40 bits) can have reached, so that no searcher knows it.
        fresh = (1 << 50) + secrets.randbits(48)
        if not shard.repair or shard.mend({look: version}, [("SET", shard.keys.version, fresh)]):
            break
    words = "no version" if version is None else f"the version {version!r}, which is no count"
    shard.tell(kinds.VERSION, shard.keys.version, words)


def check_map(shard: Examination) -> NDArray[np.int64]:
    """Check that no bit stands beyond the last coarse code; returns the coarse codes of the others, int64."""
    keys, bits = shard.keys, shard.header.layout.coarse_bits
    with translated(shard.connection.address):
        found: Any = shard.connection.client.get(keys.occupied)
    occupied = np.flatnonzero(np.unpackbits(np.frombuffer(found or b"", np.uint8))).astype(np.int64)
    beyond = occupied[occupied >= 1 << bits].tolist()
    if beyond and shard.peek([Look("bit", keys.occupied, beyond[-1])]) == [1]:
        words = f"{len(beyond)} buckets marked, up to {beyond[-1]}; a {bits}-bit coarse code ends at {(1 << bits) - 1}"
        shard.tell(kinds.OCCUPANCY, keys.occupied, words)
        if shard.repair:
            # No bucket has such a name, and no writer sets such a bit.
            clear: list[Change] = [("SETBIT", keys.occupied, code, 0) for code in beyond]
            shard.mend({}, [*clear, ("INCR", keys.version)])
    return occupied[occupied < 1 << bits]


def check_dead(shard: Examination) -> NDArray[np.int64]:
    """Check that tombstones are counted for buckets only; returns the coarse codes that are named, int64."""
    keys, bits = shard.keys, shard.header.layout.coarse_bits
    named: list[int] = []
    for page in pages(shard, keys.dead):
        for field, count in page:
            code = int(field, 16) if _BUCKET.fullmatch(field) else 1 << bits
            if code < 1 << bits:
                named.append(code)
                continue
            if shard.peek([Look("field", keys.dead, field)]) == [None]:
                continue
            shard.tell(
                kinds.DEAD_COUNT, keys.dead, f"{_shown(count)} tombstones of {_shown(field)}, which is no bucket"
            )
            if shard.repair:
                shard.mend({}, [("HDEL", keys.dead, field)])
    return np.array(named, np.int64)


def check_counts(shard: Examination) -> None:
    """Check how many items there are, the next number, and that an empty shard has no map; needs `shard.largest`."""
    keys = shard.keys
    live, size = Look("field", keys.meta, b"live"), Look("size", keys.nums)
    next_number, there = Look("field", keys.meta, b"next"), Look("exists", keys.occupied)

    def wrong_live(found: dict[Look, Value]) -> tuple[str, list[Change]] | None:
        if found[live] == b"%d" % _count(found[size]):
            return None
        words = f"{_shown(found[live])} items counted, {_count(found[size])} there"
        return words, [("HSET", keys.meta, "live", _count(found[size]))]

    def wrong_next(found: dict[Look, Value]) -> tuple[str, list[Change]] | None:
        value = found[next_number]
        if isinstance(value, bytes) and value.isdigit() and shard.largest < int(value) <= TOMBSTONE:
            return None
        words = (
            f"{_shown(value)} as the next number; {shard.largest} is the largest in use, the last is {TOMBSTONE - 1}"
        )
        return words, [("HSET", keys.meta, "next", shard.largest + 1), ("INCR", keys.version)]

    def wrong_map(found: dict[Look, Value]) -> tuple[str, list[Change]] | None:
        if found[size] or not found[there]:
            return None
        return "an occupancy map, though the shard is empty", [("DEL", keys.occupied), ("INCR", keys.version)]

    for kind, key, looks, rule in (
        (kinds.LIVE_COUNT, keys.meta, [live, size], wrong_live),
        (kinds.NEXT_NUMBER, keys.meta, [next_number], wrong_next),
        (kinds.OCCUPANCY, keys.occupied, [size, there], wrong_map),
    ):
        _settle(shard, kind, key, looks, rule)


def _settle(shard: Examination, kind: Kind, key: str, looks: list[Look], rule: _Rule) -> None:
    for _ in shard.attempts():
        found = dict(zip(looks, shard.peek(looks), strict=True))
        wrong = rule(found)
        if wrong is None:
            return
        words, changes = wrong
        if not shard.repair or shard.mend(found, changes):
            break
    shard.tell(kind, key, words)


def _count(value: Value) -> int:
    return value if isinstance(value, int) else 0


def _shown(value: Value) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else "nothing"
