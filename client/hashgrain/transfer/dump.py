"""An index into a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hashgrain.indexer import Index, Timeouts
from hashgrain.indexer.stored.fields import Fields
from hashgrain.indexer.wire.connection import DEFAULT_TIMEOUTS
from hashgrain.transfer.dump_file import DumpHeader, DumpWriter


@dataclass(frozen=True)
class Dumped:
    """What was dumped.

    Attributes:
        items: how many items.
        bytes: size of the file.
    """

    items: int
    bytes: int


def dump_index(
    redis_url: str,
    name: str,
    path: Path,
    *,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    advance: Callable[[int], object] = lambda _: None,
) -> Dumped:
    """Write all items of an index to one file, in bounded memory, while the index is in use.

    Every item that is there from the beginning to the end is in the file exactly once, with codes, id and payload of
    one moment. One that is added, replaced or deleted meanwhile is in it as it was before or after (so one that was
    added or deleted may be missing), and never twice. Different items may be of different moments.

    Args:
        redis_url, name, timeouts: see `Index.open`.
        path: the file; one that is there is replaced when the dump is complete.
        advance: called with the number of items written since.

    Raises:
        DataError: the file cannot be written.
        InvalidInput, IndexMissing, IndexCorrupt, StoreUnavailable: nothing is left of the file.
    """
    with Index.open(redis_url, name, timeouts=timeouts) as index:
        header = DumpHeader(index.name, index.layout, index.fingerprint, index.shards, Fields.of(index.fields))
        items = index.items()
        with DumpWriter(path, header) as dump:
            for some in items:
                dump.write(some.stored)
                advance(len(some))
    return Dumped(dump.items, path.stat().st_size)
