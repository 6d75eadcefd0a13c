"""How an index comes to be, is found, and goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

from hashgrain.codes.errors import IndexCorrupt, IndexExists, IndexMissing, InvalidInput
from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.stored.fields import NO_FIELDS, Fields, with_fields
from hashgrain.indexer.stored.generations import Generations, read_generations, stored_name
from hashgrain.indexer.stored.header import (
    CREATING,
    DROPPING,
    LIVE,
    LOADING,
    PAST,
    Header,
    new_incarnation,
    require_bucket_items,
    require_name,
    require_shards,
    split_name,
)
from hashgrain.indexer.stored.keys import HEADERS, ShardKeys, generations_key, index_keys, index_name
from hashgrain.indexer.stored.lua import script
from hashgrain.indexer.stored.partition import empty_partition
from hashgrain.indexer.stored.shard import Shard
from hashgrain.indexer.wire.connection import DEFAULT_TIMEOUTS, Connection, Timeouts
from hashgrain.indexer.wire.store_errors import translated

_AT_ONCE = 1000

_DOING = {CREATING: "created", LOADING: "loaded in bulk", DROPPING: "dropped"}
_HALF = {CREATING: "half-made", LOADING: "half-loaded", DROPPING: "half-dropped"}


def create_shards(
    connection: Connection,
    name: str,
    layout: CodeLayout,
    fingerprint: str | None,
    shards: int,
    bucket_items: int,
    fields: Fields = NO_FIELDS,
) -> list[Shard]:
    """Create an index; over several shards it exists only when shard 0's header has been written last.

    Args:
        name: under which it is stored; see `generations`.

    Raises:
        InvalidInput: the fingerprint, number of shards or size of a bucket cannot be used.
        IndexExists: there is one of that name, whole, half-made or half-dropped.
        IndexCorrupt: another service uses the keys.
    """
    if not isinstance(layout, CodeLayout):
        raise InvalidInput(f"layout must be a CodeLayout, got {type(layout).__name__}; take that of the encoder")
    if fingerprint is not None and (not isinstance(fingerprint, str) or not fingerprint):
        raise InvalidInput(f"fingerprint must be a non-empty string or None, got {fingerprint!r}")
    state = LIVE if require_shards(shards) == 1 else CREATING
    first = Header(
        with_fields(layout, fields),
        fingerprint,
        shards,
        0,
        new_incarnation(),
        state,
        require_bucket_items(bucket_items),
    )
    headers = [first, *(replace(first, shard=shard, state=LIVE) for shard in range(1, shards))]
    keys = [ShardKeys(name, shard) for shard in range(shards)]
    with translated(connection.address):
        for header, of_shard in zip(headers, keys, strict=True):
            _write_header(connection, of_shard, header)
        commit = connection.of(keys[0].meta).client.eval
        if shards > 1 and not commit(script("commit"), 1, keys[0].meta, str(first.incarnation)):
            raise IndexExists(f"index {name!r} was dropped or created by another while it was being created; try again")
    headers[0] = replace(first, state=LIVE)
    return [Shard(connection, of_shard, header) for of_shard, header in zip(keys, headers, strict=True)]


def require_new(connection: Connection, name: str) -> str:
    """The name itself, of an index that is to be created.

    Raises:
        InvalidInput: no index can have that name.
        IndexExists: an index of that name has generations.
        IndexCorrupt: see `read_generations`.
    """
    if read_generations(connection, require_name(name)) is not None:
        raise IndexExists(
            f"index {name!r} is in Redis at {connection.address} already, in several generations; make another with "
            f"`hashgrain index create {name} --generation`, drop it, or choose another name"
        )
    return name


def open_shards(connection: Connection, name: str) -> list[Shard]:
    """Find an index's shards: those of its live generation, unless the name says a number ("photos@2").

    Raises:
        InvalidInput: no index can have that name.
        IndexMissing: there is none, or it is half-made or half-dropped.
        SchemaMismatch, IndexCorrupt: it cannot be read by this code.
    """
    follows = split_name(name)[1] is None
    name = stored_name(connection, name)
    first = read_header(connection, ShardKeys(name, 0))
    if first is None:
        raise IndexMissing(
            f"no index {name!r} in Redis at {connection.address}; make it with `hashgrain index create {name}`"
        )
    readable = (LIVE,) if follows else (LIVE, PAST)
    if first.state == PAST and follows:
        raise Shard(connection, ShardKeys(name, 0), first).gone(PAST)
    if first.state not in readable:
        raise IndexMissing(
            f"index {name!r} is being {_DOING.get(first.state, first.state)}, or that was cut short; wait, or clean up "
            f"with `hashgrain index drop {name} --yes` and create it again"
        )
    shards = []
    for number in range(first.shards):
        keys = ShardKeys(name, number)
        header = read_header(connection, keys) if number else first
        if header is not None and header.state == PAST and follows:
            raise Shard(connection, keys, header).gone(PAST)
        if header is None or not header.same_index(first) or header.state not in readable:
            raise IndexCorrupt(
                f"{keys.meta} {'is missing' if header is None else 'does not belong to the header of shard 0'}; "
                f"drop index {name!r} and build it again"
            )
        shards.append(Shard(connection, keys, header, follows))
    return shards


def drop_index(redis_url: str, name: str, *, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
    """Drop an index with all its items, in all generations, or one generation of it ("photos@2"); goes on where an
    earlier drop or creation was cut short.

    Raises:
        InvalidInput: the address or name cannot be used, or the generation is the live one.
        IndexMissing: there is none of that name.
        SchemaMismatch, IndexCorrupt: its header cannot be read, so its keys are not known.
    """
    connection = Connection.to(redis_url, timeouts)
    try:
        drop_shards(connection, name)
    finally:
        connection.close()


def drop_shards(connection: Connection, name: str) -> None:
    """See `drop_index`."""
    base, number = split_name(name)
    known = read_generations(connection, base)
    if number is not None and number == (known or Generations(base)).live:
        raise InvalidInput(
            f"generation {number} of index {base!r} is the live one; switch to another first, or drop the whole index "
            f"by its name alone"
        )
    if number is not None or known is None:
        _drop_stored(connection, stored_name(connection, name))
        return
    others = [one for one in range(known.newest + 1) if one != known.live]
    for one in (known.live, *others):
        with suppress(IndexMissing):
            _drop_stored(connection, known.stored(one))
    with translated(connection.address):
        connection.unlink([generations_key(base).encode()])


def _drop_stored(connection: Connection, name: str) -> None:
    first = read_header(connection, ShardKeys(name, 0))
    if first is None:
        raise IndexMissing(
            f"no index {name!r} in Redis at {connection.address}; `hashgrain index list` shows what there is"
        )
    keys = [ShardKeys(name, shard) for shard in range(first.shards)]
    with translated(connection.address):
        for server in connection.servers():
            server.scan(count=1)  # who may not look for the keys is told so before anything is taken away
        for shard in keys:
            connection.of(shard.meta).client.eval(script("retire"), 2, shard.meta, shard.stamp)
        _unlink_items(connection, name, keys)
        for shard in reversed(keys):
            connection.unlink([shard.meta.encode()])


def list_indexes(redis_url: str, *, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> list[str]:
    """Names of the indexes in a database, sorted; half-made and half-dropped ones are left out, and generations of one
    index are one.

    It scans the database's keys in small steps, so it takes longer the more keys there are, and blocks nobody.

    Raises:
        InvalidInput: the address cannot be used.
        StoreUnavailable: no server there.
    """
    connection = Connection.to(redis_url, timeouts)
    try:
        with translated(connection.address):
            return sorted(set(_live_names(connection)))
    finally:
        connection.close()


def read_header(connection: Connection, keys: ShardKeys) -> Header | None:
    """A shard's header, or None where there is none.

    Raises:
        SchemaMismatch, IndexCorrupt: it cannot be read.
    """
    with translated(connection.address):
        fields: Any = connection.of(keys.meta).client.hgetall(keys.meta)
    return Header.from_fields(fields, keys.meta) if fields else None


def _write_header(connection: Connection, keys: ShardKeys, header: Header) -> None:
    fields = [part for field in header.to_fields().items() for part in field]
    may_overwrite = "1" if header.shard else "0"
    partition = empty_partition(header.layout)
    named = (*keys.fixed(), keys.bucket(0))
    reply: Any = connection.of(keys.meta).client.eval(
        script("create"), len(named), *named, may_overwrite, str(header.incarnation), partition, *fields
    )
    if reply[0] == b"exists":
        half = _HALF.get(reply[1].decode(errors="replace"))
        remedy = f"finish that with `hashgrain index drop {keys.name} --yes`" if half else "open it, drop it"
        raise IndexExists(
            f"{'a ' + half if half else 'an'} index {keys.name!r} is in Redis at {connection.address} already; "
            f"{remedy}, or choose another name"
        )
    if reply[0] == b"occupied":
        raise IndexCorrupt(
            f"{reply[1].decode(errors='replace')} exists, though there is no index {keys.name!r}; "
            "delete that key if nobody needs it, or choose another name"
        )


def _unlink_items(connection: Connection, name: str, keys: Sequence[ShardKeys]) -> None:
    """Delete everything of an index whose shards are retired, but the headers.

    The keys are found by a scan of the database in small steps: what a creation, a load or a drop that was cut short
    has left behind, nothing else tells.
    """
    headers = {shard.meta.encode() for shard in keys}
    again = True
    while again:  # of a cluster in which slots move, one scan may miss keys
        again = False
        rest = (key for key in connection.scan(index_keys(name)) if key not in headers)
        while found := list(islice(rest, _AT_ONCE)):
            connection.unlink(found)
            again = connection.is_cluster


def _live_names(connection: Connection) -> Iterator[str]:
    for key in connection.scan(HEADERS, "hash"):
        header = key.decode(errors="replace")
        state: Any = connection.of(header).client.hget(header, "state")
        if state == LIVE.encode():
            yield index_name(header).partition("@")[0]
