"""The headers of all shards: whether the index is whole, and whether they agree."""

from __future__ import annotations

from typing import Any

from hashgrain.codes.errors import IndexCorrupt, IndexMissing
from hashgrain.indexer.check import kinds
from hashgrain.indexer.check.examination import Examination, Look
from hashgrain.indexer.check.kinds import Kind
from hashgrain.indexer.check.report import Finding
from hashgrain.indexer.stored.header import CREATING, DROPPING, LIVE, LOADING, PAST, Header, require_shards
from hashgrain.indexer.stored.keys import ShardKeys
from hashgrain.indexer.wire.connection import Connection
from hashgrain.indexer.wire.store_errors import translated

_ATTEMPTS = 10

_WHOLE = {LIVE, PAST}
"""States of shards that can be examined. A switch to another generation that was cut short leaves both in one index."""

_HALF = {CREATING: kinds.HALF_MADE, LOADING: kinds.HALF_LOADED, DROPPING: kinds.HALF_DROPPED}


def read_headers(connection: Connection, name: str) -> tuple[list[tuple[ShardKeys, Header]], list[Finding]]:
    """Read the headers; gives those of the shards that can be examined, and what is wrong with the others.

    Raises:
        IndexMissing: there is none.
        SchemaMismatch: it has a schema that this code does not know.
    """
    for _ in range(_ATTEMPTS):
        first = _read(connection, ShardKeys(name, 0))
        if first is None and (left := _left_over(connection, ShardKeys(name, 0))):
            first = f"no header, though {left} of the shard's keys are there"
        if first is None:
            raise IndexMissing(
                f"no index {name!r} in Redis at {connection.address}; `hashgrain index list` shows what there is"
            )
        sound, findings = _compare(connection, name, first)
        # A drop or a new creation begins with shard 0: where its header is as before, so were the others.
        if not findings or isinstance(first, str) or _read(connection, ShardKeys(name, 0)) == first:
            break
    return sound, findings


def check_header(shard: Examination, first: Header) -> None:
    """Check that a header repeats what shard 0's says, once both are known to belong to one index."""
    stored = shard.header.to_fields()
    agreed = first.to_fields()
    for field in ("fingerprint", "bucket_items", "shard"):
        wanted = str(shard.keys.shard) if field == "shard" else agreed[field]
        if stored[field] == wanted:
            continue
        shard.tell(kinds.HEADER_FIELD, shard.keys.meta, f"{field} {stored[field]!r} instead of {wanted!r}")
        if shard.repair:
            place = Look("field", shard.keys.meta, field.encode())
            shard.mend({place: stored[field].encode()}, [("HSET", shard.keys.meta, field, wanted)])


def _compare(
    connection: Connection, name: str, first: Header | str
) -> tuple[list[tuple[ShardKeys, Header]], list[Finding]]:
    keys = ShardKeys(name, 0)
    if isinstance(first, str):
        return [], [_finding(kinds.FIRST_HEADER, keys, first)]
    if first.state not in _WHOLE:
        kind = _HALF.get(first.state, kinds.HEADER)
        return [], [_finding(kind, keys, f"the state {first.state!r}")]
    sound, findings = [], []
    for shard in range(first.shards):
        keys = ShardKeys(name, shard)
        header = _read(connection, keys) if shard else first
        wrong = _contradiction(header, first)
        if wrong is None and isinstance(header, Header):
            sound.append((keys, header))
        else:
            findings.append(_finding(kinds.HEADER, keys, wrong or ""))
    return sound, findings


def _contradiction(header: Header | str | None, first: Header) -> str | None:
    if header is None:
        return "no header"
    if isinstance(header, str):
        return header
    if header.incarnation != first.incarnation:
        return f"the header of another index: incarnation {header.incarnation}, shard 0 has {first.incarnation}"
    for field in ("layout", "shards", "state"):
        here, there = getattr(header, field), getattr(first, field)
        if here != there and not {here, there} <= _WHOLE:
            return f"{field} {here}, shard 0 says {there}"
    return None


def _read(connection: Connection, keys: ShardKeys) -> Header | str | None:
    """A header, None where there is none, or what is wrong with it; its counts are not relied on, nor returned."""
    try:
        with translated(connection.address):
            fields: Any = connection.of(keys.meta).client.hgetall(keys.meta)
        if not fields:
            return None
        header = Header.from_fields({**fields, b"live": b"0", b"pages": b"1"}, keys.meta)
        require_shards(header.shards)
        return header
    except (IndexCorrupt, ValueError) as exc:
        return f"what cannot be read: {exc}"


def _left_over(connection: Connection, keys: ShardKeys) -> int:
    with translated(connection.address):
        found: Any = connection.of(keys.meta).client.exists(*keys.fixed(), keys.bucket(0))
    return int(found)


def _finding(kind: Kind, keys: ShardKeys, found: str) -> Finding:
    return Finding(kind.name, keys.meta, found, kind.consequence, kind.remedy.format(name=keys.name))
