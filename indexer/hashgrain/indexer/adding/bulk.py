"""The first items of an index, loaded all at once.

The loader divides the collection into buckets (see `grouping`) and writes them, with all else that the stored layout
asks for, in large batches. From its first step to its last the headers say `loading`: nobody else reads or writes the
index, and every batch checks that this is still so. A loader that fails takes back what it has written; one that was
cut short leaves an index that can only be dropped.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from hashgrain.codes.errors import IndexMissing, InvalidInput, StoreError, StoreFull, StoreUnavailable
from hashgrain.indexer.adding.collection import Collection
from hashgrain.indexer.adding.stored_collection import (
    buckets_of,
    handle_widths,
    names_of,
    pages_of,
    partition_of,
    payloads_of,
    places_of,
)
from hashgrain.indexer.stored.handles import shards_of
from hashgrain.indexer.stored.keys import MOST_BUCKETS
from hashgrain.indexer.stored.lua import script
from hashgrain.indexer.stored.partition import empty_partition, entry_bytes
from hashgrain.indexer.stored.shard import Shard
from hashgrain.indexer.wire.store_errors import translated

BATCH_KEYS = 256
"""Keys that one step of the server writes."""

BATCH_BYTES = 1 << 20
"""Bytes in one such step, and one key's more at most."""

ATTEMPTS = 5
"""How often a shard is written, where its server fails before a replica has it all."""

BATCH_FIELDS = 1000
"""Arguments of one command on a hash: Lua passes a limited number."""


def load_collection(shards: Sequence[Shard], items: Collection) -> None:
    """Load a collection into an empty index.

    Raises:
        InvalidInput: the index is not empty, or its buckets are too small for so many items.
        IndexMissing: it was dropped, or is being loaded by another.
        StoreFull: `maxmemory` is reached; nothing was loaded.
        StoreError: nothing was loaded, or the index is to be dropped: the message says so.
    """
    loads: list[_ShardLoad] = []
    try:
        for shard in shards:
            loads.append(_ShardLoad(shard))
        shard_of = shards_of(items.handles, len(shards)) if len(shards) > 1 else None
        for number, load in enumerate(loads):
            load.write(items if shard_of is None else items[np.flatnonzero(shard_of == number)])
        for load in reversed(loads):
            load.finish()
    except BaseException as exc:
        _undo(loads, exc)
        if isinstance(exc, StoreFull):
            raise StoreFull(
                f"Redis at {shards[0].connection.address} has reached its `maxmemory` while index "
                f"{shards[0].keys.name!r} was loaded; nothing was loaded, the index is as empty as before: raise "
                "maxmemory, or load fewer items"
            ) from exc
        raise


def _undo(loads: Sequence[_ShardLoad], exc: BaseException) -> None:
    """Empty the shards again, shard 0 last: its header stands for the index."""
    for load in reversed(loads):
        try:
            load.undo()
        except StoreError as failure:
            if isinstance(exc, IndexMissing) and isinstance(failure, IndexMissing):
                return  # somebody has dropped the index, with all that was written
            name, reason = load.shard.keys.name, str(exc) or type(exc).__name__
            raise type(failure)(
                f"loading index {name!r} was cut short ({reason}) and could not be undone ({failure}); drop it with "
                f"`hashgrain index drop {name} --yes`, and build it again"
            ) from exc


class _ShardLoad:
    """One shard's part of a load; making the object keeps everybody else away from the shard.

    Args:
        shard: an empty one.

    Raises:
        InvalidInput: it is not empty.
        IndexMissing: it was dropped, or is being loaded by another.
    """

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self._loader, self._batches = secrets.token_hex(8), 0
        self._items: Collection | None = None
        self._buckets = self._pages = 0
        self._is_shown = False
        client = shard.connection.client
        self._start, self._load, self._finish = (
            client.register_script(script(name)) for name in ("begin_load", "load", "finish_load")
        )
        self._begin()

    def _begin(self) -> None:
        shard = self.shard
        with translated(shard.connection.address):
            reply: Any = self._start(keys=shard.keys.fixed(), args=[shard.header.incarnation, self._loader])
        status, *details = reply
        if status == b"missing":
            raise shard.gone(details[0].decode(errors="replace"))
        if status == b"filled":
            raise InvalidInput(
                f"shard {shard.keys.shard} of index {shard.keys.name!r} holds {int(details[0])} items, only an empty "
                "index can be loaded in bulk; add the items, or create another index for them"
            )
        self._buckets = max(self._buckets, int(details[0]) // entry_bytes(shard.header.layout))
        self._pages, self._batches, self._is_written = max(self._pages, int(details[1])), 0, False
        self._shown = (empty_partition(shard.header.layout), 0, 1)

    def write(self, items: Collection) -> None:
        """Write the shard's items; nobody sees them before `finish`.

        Raises:
            InvalidInput: they need more buckets than there can be.
            StoreFull, IndexMissing, IndexCorrupt, StoreError.
        """
        self._items = items
        self._again_if_lost(self._write)

    def _again_if_lost(self, work: Callable[[], None]) -> None:
        """Do something, and all of it again where what was written before is lost."""
        for _ in range(ATTEMPTS):
            try:
                return work()
            except _Lost:
                try:
                    self._begin()  # where the index is gone, this says so
                except InvalidInput as exc:
                    if self._is_shown and self.shard.count() == self._shown[1]:
                        return None  # that was done, and the answer was lost
                    raise self.shard.gone() from exc
        raise StoreUnavailable(
            f"the server of {self.shard.keys.prefix} failed under {ATTEMPTS} attempts to load it; try again when the "
            "cluster is well"
        )

    def _write(self) -> None:
        """Write the items, unless they are written."""
        from hashgrain.indexer.adding.grouping import group_items  # loads the compiler: only for those who load

        items = self._items
        if items is None or self._is_written:
            return
        self._unlink()
        self._is_written = not len(items)
        if self._is_written:
            return
        keys, layout = self.shard.keys, self.shard.header.layout
        groups = group_items(items.fine, items.packed_coarse, layout, self.shard.header.bucket_items)
        if len(groups) > MOST_BUCKETS:
            raise InvalidInput(
                f"{len(items)} items in buckets of {self.shard.header.bucket_items} at most make {len(groups)} "
                f"buckets, a shard holds {MOST_BUCKETS}; create the index with larger buckets or more shards"
            )
        widths = handle_widths(items.handles, groups)
        self._buckets, self._pages = len(groups), pages_of(len(items))
        self._shown = (partition_of(groups, widths), len(items), self._pages)
        buckets = enumerate(buckets_of(items, groups, widths, layout))
        self._run("SET", ((keys.bucket(number), [stored]) for number, stored in buckets))
        places = enumerate(places_of(items.handles, groups))
        self._run("SET", ((keys.places(page), [stored]) for page, stored in places if stored))
        self._run("HSET", ((keys.names(page), fields) for page, names in names_of(items) for fields in _cut(names)))
        payloads = (part for pair in payloads_of(items) for part in pair)
        self._run("HSET", ((keys.payloads, fields) for fields in _cut(payloads)))
        self._is_written = True

    def finish(self) -> None:
        """Show what was written.

        Raises:
            IndexMissing: the index was dropped meanwhile.
        """
        self._again_if_lost(self._show)

    def _show(self) -> None:
        self._write()
        keys = self.shard.keys
        self._is_shown = True
        with translated(self.shard.connection.address):
            done = self._finish(
                keys=[*keys.fixed(), keys.bucket(0)],
                args=[self.shard.header.incarnation, *self._shown, self._loader, self._batches],
            )
        if not done:
            raise _Lost

    def undo(self) -> None:
        """Make the shard as empty as it was, and show it.

        Raises:
            IndexMissing: it is no longer being loaded.
        """
        self._items, self._is_shown = None, False
        self._again_if_lost(self._empty)

    def _empty(self) -> None:
        self._unlink()
        self._shown = (empty_partition(self.shard.header.layout), 0, 1)
        self._show()

    def _unlink(self) -> None:
        """Delete the items' keys, as many as there may be."""
        keys = self.shard.keys
        pages = range(self._pages)
        named = (
            *map(keys.bucket, range(self._buckets)),
            *map(keys.places, pages),
            *map(keys.names, pages),
            keys.payloads,
        )
        self._run("UNLINK", ((key, []) for key in named))

    def _run(self, command: str, calls: Iterable[tuple[str, Sequence[bytes]]]) -> None:
        """Run a command on keys, each with what the command takes after it, batch by batch."""
        keys: list[str] = []
        arguments: list[bytes | int] = []
        size = 0
        for key, values in calls:
            keys.append(key)
            arguments += (len(values), *values)
            size += sum(map(len, values))
            if len(keys) == BATCH_KEYS or size >= BATCH_BYTES:
                self._run_batch(command, keys, arguments)
                keys, arguments, size = [], [], 0
        if keys:
            self._run_batch(command, keys, arguments)

    def _run_batch(self, command: str, keys: Sequence[str], arguments: Sequence[bytes | int]) -> None:
        first = (self.shard.header.incarnation, self._loader, self._batches + 1, command)
        with translated(self.shard.connection.address):
            done = self._load(keys=[self.shard.keys.meta, *keys], args=[*first, *arguments])
        if not done:
            raise _Lost
        self._batches += 1


class _Lost(Exception):
    """The server does not have what was written before, or no longer knows of this load."""


def _cut(parts: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Fields and values in turn, so many at once as one command takes."""
    rest = iter(parts)
    while some := list(islice(rest, BATCH_FIELDS)):
        yield some
