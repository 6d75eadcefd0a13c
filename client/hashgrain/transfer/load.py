"""A file into an index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from hashgrain.codes.errors import DataError, IndexMissing, InvalidInput, LayoutMismatch, StoreError
from hashgrain.indexer import Index, StoredItems, Timeouts
from hashgrain.indexer.adding.collection import Collection
from hashgrain.indexer.managing.fetching import joined
from hashgrain.indexer.wire.connection import DEFAULT_TIMEOUTS
from hashgrain.transfer.dump_file import DumpHeader, DumpReader

BULK_ITEMS = 2_000_000
"""Items that are loaded in bulk, the first ones; more are added after them. (As the order of a dump is as good as
random, these are a fair sample, and buckets that are made for them suit the rest.)"""

BULK_BYTES = 256 << 20
"""Bytes of the ids and payloads of these, and one row group's more at most."""

_ADDED = 10_000  # items at once


@dataclass(frozen=True)
class Loaded:
    """What was loaded.

    Attributes:
        items: how many items.
        created: whether the index was made for them.
    """

    items: int
    created: bool


def load_index(
    redis_url: str,
    name: str,
    path: Path,
    *,
    shards: int | None = None,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    advance: Callable[[int], object] = lambda _: None,
) -> Loaded:
    """Make an index of a dump, in bounded memory; or fill one that is there and empty.

    The whole file is verified before anything is written. A load that fails leaves no index behind (of one that was
    there: it is empty again). Of a load whose process is killed, drop what is there and load again: up to 2,000,000
    items nobody can have seen it, beyond that the index may hold a part of them.

    Args:
        redis_url, name, timeouts: see `Index.create`.
        path: the dump.
        shards: of the index that is made; as many as the dumped one had by default.
        advance: called with the number of items read (while verifying) or written since: twice each in all.

    Raises:
        DataError: the file is no dump, or was cut short or altered.
        LayoutMismatch, FingerprintMismatch: the index that is there holds codes of other lengths or of another model.
        InvalidInput: it holds items already, or `shards` is given for it.
        IndexCorrupt, StoreFull, StoreUnavailable, StoreError: nothing was loaded, or the message says what to do.
    """
    with DumpReader(path) as dump:
        index = _open(redis_url, name, dump.header, shards, timeouts)
        if index is not None:
            index.close()
        dump.verify(advance)
        if index is None:
            known = dump.header
            made = known.shards if shards is None else shards
            created = Index.create(
                redis_url,
                name,
                known.layout,
                fingerprint=known.fingerprint,
                shards=made,
                fields=known.fields.kinds,
                timeouts=timeouts,
            )
            with created:
                _fill(created, dump, advance, created.drop)
        else:
            with index:
                _fill(index, dump, advance, lambda: _empty(index, dump))
        return Loaded(dump.items, index is None)


def _open(redis_url: str, name: str, header: DumpHeader, shards: int | None, timeouts: Timeouts) -> Index | None:
    """The index that is there, if it can take the dump; None where there is none."""
    try:
        index = Index.open(redis_url, name, timeouts=timeouts)
    except IndexMissing:
        return None  # where there is a half of one, its creation will say so
    with index:
        if index.layout != header.layout:
            raise LayoutMismatch(
                f"index {name!r} holds {index.layout}, the dump has {header.layout}; load it under another name"
            )
        index.require_fingerprint(header.fingerprint)
        if items := len(index):
            raise InvalidInput(
                f"index {name!r} holds {items:,} items already, and a dump is loaded into a new or an empty "
                "one; load it under another name, or drop that one first"
            )
        if shards not in (None, index.shards):
            raise InvalidInput(
                f"index {name!r} is there, with {index.shards} shards and not {shards}; leave out the number of "
                "shards, or drop the index first"
            )
    return index


def _fill(index: Index, dump: DumpReader, advance: Callable[[int], object], undo: Callable[[], None]) -> None:
    """Write all items, or take back what was written."""
    try:
        groups = dump.groups()
        first = list(_first(groups))
        if first:
            items = joined(first)
            _require_each_once(items)
            index.load_stored(StoredItems(items))
            advance(len(items))
        for group in groups:
            for start in range(0, len(group), _ADDED):
                some = group[np.arange(start, min(start + _ADDED, len(group)))]
                if index.add_stored(StoredItems(some)).replaced:
                    raise DataError(_TWICE)
                advance(len(some))
    except BaseException as exc:
        with suppress(IndexMissing):  # dropped by another, or what stands there says itself what to do
            try:
                undo()
            except StoreError as failure:
                raise type(failure)(
                    f"loading index {index.name!r} failed ({exc}), and what was written could not be taken back "
                    f"({failure}); drop it with `hashgrain index drop {index.name} --yes`"
                ) from exc
        raise


def _first(groups: Iterator[Collection]) -> Iterator[Collection]:
    """The groups that are loaded in bulk."""
    items = size = 0
    for group in groups:
        yield group
        items += len(group)
        size += sum(map(len, chain(group.encoded or (), group.payloads or ())))
        if items >= BULK_ITEMS or size >= BULK_BYTES:
            return


def _empty(index: Index, dump: DumpReader) -> None:
    for group in dump.groups():
        index.delete(StoredItems(group).ids)


def _require_each_once(items: Collection) -> None:
    if len(np.unique(items.handles)) < len(items):
        raise DataError(_TWICE)


_TWICE = "the dump holds an id twice, which none that hashgrain writes does; dump the index again"
