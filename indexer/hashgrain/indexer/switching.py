"""Making, switching and listing the generations of an index; see `generations`.

A switch first notes which generation is live, in one step of the server. From then on whoever opens the index gets the
new one. Then it turns the shards of the old one from live to past: the scripts of writers are refused from that step
on, and so is every search that does not yet know it, by the stamp that it goes by. Those who have the index open
then open it anew. When the switch returns, nobody is answered by the old generation any more; no answer is of both.

Of two switches at once one is refused, or they come one after the other; the refused one turns what it had turned
back, and until it has, whoever still has that generation open may be answered by it. A switch that was cut short
between its steps leaves readers of both generations; repeating it mends that.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hashgrain.codes.errors import IndexMissing, InvalidInput, StoreError
from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.index import Index
from hashgrain.indexer.managing.lifecycle import create_shards, open_shards, read_header
from hashgrain.indexer.managing.spreading import shards_for
from hashgrain.indexer.stored.fields import Fields, Kind
from hashgrain.indexer.stored.generations import Generations, read_generations
from hashgrain.indexer.stored.header import BUCKET_ITEMS, LIVE, PAST, Header, require_name
from hashgrain.indexer.stored.keys import ShardKeys, generations_key
from hashgrain.indexer.stored.lua import script
from hashgrain.indexer.wire.connection import DEFAULT_TIMEOUTS, Connection, Timeouts
from hashgrain.indexer.wire.store_errors import translated


@dataclass(frozen=True)
class Generation:
    """One generation of an index.

    Attributes:
        number: which.
        name: the name that means this one for good, `photos@2`.
        live: whether the name of the index alone means it.
        state: `live` (also of one that is being built), `past`, or what its creation, load or drop was doing.
        fingerprint: of the model whose codes it holds, or None.
        items: how many it holds.
    """

    number: int
    name: str
    live: bool
    state: str
    fingerprint: str | None
    items: int


def create_generation(
    redis_url: str,
    name: str,
    layout: CodeLayout,
    *,
    fingerprint: str | None = None,
    shards: int | None = None,
    bucket_items: int = BUCKET_ITEMS,
    fields: Mapping[str, Kind] | None = None,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> Index:
    """Create the next generation of an index, empty, and open it; the live one stays live.

    Args:
        name: of an index that is there.
        redis_url, layout, fingerprint, shards, bucket_items, fields, timeouts: see `Index.create`.

    Raises:
        IndexMissing: there is no index of that name.
        InvalidInput, IndexCorrupt, StoreUnavailable, StoreFull, StoreError.
    """
    connection = Connection.to(redis_url, timeouts)
    try:
        open_shards(connection, require_name(name))
        declared = Fields.of(fields)
        with translated(connection.address):
            key = generations_key(name)
            number: Any = connection.of(key).client.eval(script("number"), 1, key)
        stored = Generations(name).stored(number)
        create_shards(
            connection, stored, layout, fingerprint, shards_for(connection, stored, shards), bucket_items, declared
        )
    finally:
        connection.close()
    return Index.open(redis_url, stored, timeouts=timeouts)


def switch_generation(
    redis_url: str, name: str, to: int | None = None, *, timeouts: Timeouts = DEFAULT_TIMEOUTS
) -> Generations:
    """Make a generation the live one, for all who have the index open and all who will open it.

    Args:
        redis_url: `redis://`, `rediss://` or `unix://` address.
        name: of the index.
        to: the generation's number; None for the one that was made last.
        timeouts: deadlines of every call.

    Returns:
        Which is live now, and which were before.

    Raises:
        InvalidInput: the index has no generations.
        IndexMissing, IndexCorrupt: that generation is not there, or not whole.
        StoreError: somebody else switched meanwhile; nothing was changed.
    """
    connection = Connection.to(redis_url, timeouts)
    try:
        known = _require_generations(connection, name)
        number = known.newest if to is None else to
        if number != known.live:
            open_shards(connection, _numbered(name, number))
            _turn(connection, known.stored(number), PAST, LIVE)
            with translated(connection.address):
                key = generations_key(name)
                reply: Any = connection.of(key).client.eval(script("switch"), 1, key, str(known.live), str(number))
            if reply[0] != b"ok":
                _settle(connection, name)  # the generation that was turned live here is not to stay so
                raise StoreError(
                    f"index {name!r} was switched to generation {reply[1].decode()} by somebody else meanwhile; look "
                    f"at `hashgrain index generations {name}`, and switch again if it is still wanted"
                )
        return _settle(connection, name)
    finally:
        connection.close()


def roll_back(redis_url: str, name: str, *, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Generations:
    """Make the generation live again that was before.

    Raises:
        InvalidInput: none was.
        IndexMissing, IndexCorrupt, StoreError: see `switch_generation`.
    """
    connection = Connection.to(redis_url, timeouts)
    try:
        past = _require_generations(connection, name).past
    finally:
        connection.close()
    if not past:
        raise InvalidInput(f"index {name!r} was never switched; there is nothing to go back to")
    return switch_generation(redis_url, name, past[-1], timeouts=timeouts)


def list_generations(redis_url: str, name: str, *, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> list[Generation]:
    """The generations of an index that are there, by number.

    Raises:
        IndexMissing: there is no index of that name.
        SchemaMismatch, IndexCorrupt: a header cannot be read.
    """
    connection = Connection.to(redis_url, timeouts)
    try:
        known = read_generations(connection, require_name(name)) or Generations(name)
        found = []
        for number in range(known.newest + 1):
            headers = _headers(connection, known.stored(number))
            if headers:
                of, items = headers[0], sum(header.live for header in headers)
                live = number == known.live
                found.append(Generation(number, _numbered(name, number), live, of.state, of.fingerprint, items))
        if not found:
            raise IndexMissing(
                f"no index {name!r} in Redis at {connection.address}; `hashgrain index list` shows what there is"
            )
        return found
    finally:
        connection.close()


def _settle(connection: Connection, name: str) -> Generations:
    """Have the live generation live and those before it past, whoever switches meanwhile."""
    while True:
        known = _require_generations(connection, name)
        _turn(connection, known.stored(known.live), PAST, LIVE)
        for number in known.past:
            _turn(connection, known.stored(number), LIVE, PAST)
        after = _require_generations(connection, name)
        if after == known:
            return known


def _turn(connection: Connection, stored: str, state: str, into: str) -> None:
    """Turn the shards of a generation that have one state; it may have been dropped."""
    turn = script("turn")
    for shard, header in enumerate(_headers(connection, stored)):
        keys = ShardKeys(stored, shard)
        with translated(connection.address):
            connection.of(keys.meta).client.eval(turn, 2, keys.meta, keys.stamp, str(header.incarnation), state, into)


def _headers(connection: Connection, stored: str) -> list[Header]:
    """Of all shards that have one."""
    first = read_header(connection, ShardKeys(stored, 0))
    rest = [read_header(connection, ShardKeys(stored, shard)) for shard in range(1, first.shards if first else 0)]
    return [header for header in (first, *rest) if header is not None]


def _require_generations(connection: Connection, name: str) -> Generations:
    known = read_generations(connection, require_name(name))
    if known is None:
        with suppress(IndexMissing):
            open_shards(connection, name)
            raise InvalidInput(
                f"index {name!r} has one generation only; make the next with "
                f"`hashgrain index create {name} --generation`"
            )
        raise IndexMissing(
            f"no index {name!r} in Redis at {connection.address}; `hashgrain index list` shows what there is"
        )
    return known


def _numbered(name: str, number: int) -> str:
    return f"{name}@{number}"
