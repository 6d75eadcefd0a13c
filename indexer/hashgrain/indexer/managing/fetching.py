"""Items read whole: codes, name and payload of one moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import IndexCorrupt, StoreError
from hashgrain.indexer.adding.collection import Collection
from hashgrain.indexer.stored.handles import handle_of, handles_of, hashes_of, is_hashed, shards_of
from hashgrain.indexer.stored.identifiers import INTEGER, ItemId, encode_ids
from hashgrain.indexer.stored.keys import PLACE_BYTES
from hashgrain.indexer.stored.lua import script
from hashgrain.indexer.stored.records import body_bytes, code_bytes, script_widths
from hashgrain.indexer.stored.shard import Shard
from hashgrain.indexer.wire.store_errors import translated

AT_ONCE = 96
"""Items that one step of the server reads, which takes about a millisecond: as many as lie on a page."""

STEPS = 16
"""Steps that are asked for in one go."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """What one step is to read.

    Attributes:
        handles: int64 (N,), of the items.
        hash: of the page that is to be read as well, or None.
    """

    handles: NDArray[np.int64]
    hash: int | None = None


@dataclass(frozen=True, eq=False)
class Fetched:
    """What was read in one step, all of one moment.

    Attributes:
        pages: how many pages there were.
        page: the places of the page that was asked for.
        there: bool (N,), which of the items were there.
        items: these.
    """

    pages: int
    page: bytes
    there: NDArray[np.bool_]
    items: Collection


def fetch(shard: Shard, wanted: Sequence[Wanted]) -> list[Fetched]:
    """Read items of one shard, step by step; others may write between the steps.

    Raises:
        IndexMissing: the index was dropped since it was opened.
        IndexCorrupt: a name is missing.
    """
    first = (shard.header.incarnation, shard.keys.prefix, script_widths(shard.header.layout))
    run = shard.connection.client.register_script(script("fetch"))
    with translated(shard.connection.address):
        pipe: Any = shard.connection.client.pipeline(transaction=False)
        for one in wanted:
            of_page = b"" if one.hash is None else one.hash.to_bytes(4, "little")
            run(keys=shard.keys.fixed(), args=[*first, keyed(one.handles).tobytes(), of_page], client=pipe)
        replies = pipe.execute()
    return [_fetched(shard, one, reply) for one, reply in zip(wanted, replies, strict=True)]


def fetch_ids(shards: Sequence[Shard], ids: Iterable[ItemId]) -> Collection:
    """Read the items of some ids, each once, in the order in which they are first named; those not there are left out.

    Raises:
        InvalidInput: an id cannot be one.
        IndexMissing, IndexCorrupt, StoreUnavailable.
    """
    encoded = list(dict.fromkeys(encode_ids(ids)))
    handles = handles_of(encoded)
    found, places = [_none(shards[0])], [np.empty(0, np.intp)]
    shard_of = shards_of(handles, len(shards))
    for number, shard in enumerate(shards):
        rows = np.flatnonzero(shard_of == number)
        steps = [rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE)]
        for low in range(0, len(steps), STEPS):
            some = steps[low : low + STEPS]
            for members, reply in zip(some, fetch(shard, [Wanted(handles[one]) for one in some]), strict=True):
                found.append(reply.items)
                places.append(members[reply.there])
        shard.count()  # whether this is still the index that is meant
    items, place = joined(found), np.concatenate(places)
    names = encoded_of(items)
    # Another id may have the same hash: then its item is not the one that is asked for.
    meant = [row for row in np.argsort(place).tolist() if names[row] == encoded[place[row]]]
    return items[np.array(meant, np.intp)]


def joined(parts: Sequence[Collection]) -> Collection:
    """Several collections as one, in order; one at least."""
    if len(parts) == 1:
        return parts[0]
    named, carrying = (any(getattr(part, of) is not None for part in parts) for of in ("encoded", "payloads"))
    return Collection(
        np.concatenate([part.handles for part in parts]),
        np.concatenate([part.fine for part in parts]),
        np.concatenate([part.packed_coarse for part in parts]),
        [name for part in parts for name in encoded_of(part)] if named else None,
        [payload for part in parts for payload in part.payloads or [b""] * len(part)] if carrying else None,
    )


def encoded_of(items: Collection) -> Sequence[bytes]:
    """The encoded ids of some items."""
    if items.encoded is not None:
        return items.encoded
    return [INTEGER + b"%d" % handle for handle in items.handles.tolist()]


def keyed(handles: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Items as scripts take them, uint8 (N, 12): hash (4 bytes) and handle (8) of each."""
    rows = np.empty(len(handles), np.dtype([("hash", "<u4"), ("handle", "<i8")]))
    rows["hash"], rows["handle"] = hashes_of(handles), handles
    return rows.view(np.uint8).reshape(len(rows), 12)


def refusal(shard: Shard, status: bytes, found: bytes, more: object = None) -> StoreError:
    """The error of a script on items that could not do its work."""
    if status == b"missing":
        return shard.gone(found.decode(errors="replace"))
    return IndexCorrupt(
        f"{found.decode(errors='replace')} holds {more} bytes, no multiple of the {PLACE_BYTES} bytes of a place; run "
        f"`hashgrain index check {shard.keys.name} --repair`"
    )


def _fetched(shard: Shard, wanted: Wanted, reply: Any) -> Fetched:
    if reply[0] != b"ok":
        raise refusal(shard, *reply)
    _, pages, page, there, codes, names, payloads = reply
    layout = shard.header.layout
    present = np.frombuffer(there, np.uint8).astype(bool)
    handles = wanted.handles[present]
    rows = np.frombuffer(codes, np.uint8).reshape(len(handles), body_bytes(layout))
    items = Collection(
        handles,
        rows[:, : layout.fine_bytes].copy(),
        rows[:, layout.fine_bytes : code_bytes(layout)].copy(),
        _encoded(shard, handles, names),
        [payload or b"" for payload in payloads] if any(payloads) else None,
    )
    return Fetched(int(pages), page, present, items)


def _encoded(shard: Shard, handles: NDArray[np.int64], names: Sequence[bytes | None]) -> list[bytes] | None:
    hashed = is_hashed(handles)
    if not hashed.any():
        return None
    encoded = []
    for handle, has_name, name in zip(handles.tolist(), hashed.tolist(), names, strict=True):
        if has_name and (name is None or handle_of(name) != handle):
            raise IndexCorrupt(
                f"the name of an item of {shard.keys.prefix} (handle {handle}) is missing or another's; "
                f"run `hashgrain index check {shard.keys.name} --repair`"
            )
        encoded.append(name if has_name and name is not None else INTEGER + b"%d" % handle)
    return encoded


def _none(shard: Shard) -> Collection:
    layout = shard.header.layout
    fine, coarse = np.empty((0, layout.fine_bytes), np.uint8), np.empty((0, layout.coarse_bytes), np.uint8)
    return Collection(np.empty(0, np.int64), fine, coarse, None, None)
