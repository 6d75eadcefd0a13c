"""The payloads of a shard, and the lists of its holes: each belongs to something, and can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from hashgrain.codes.errors import IndexCorrupt
from hashgrain.indexer.check import kinds
from hashgrain.indexer.check.examination import Examination, Look
from hashgrain.indexer.check.gathered import Suspects
from hashgrain.indexer.check.items import settle
from hashgrain.indexer.check.page import readable_id
from hashgrain.indexer.check.report import Examined
from hashgrain.indexer.stored.handles import FIRST_HASHED, hashes_of, page_of
from hashgrain.indexer.stored.identifiers import ItemId
from hashgrain.indexer.stored.payloads import decode_payload
from hashgrain.indexer.wire.store_errors import translated

_HANDLE_BYTES = 8

AT_ONCE = 500


def check_payloads(shard: Examination) -> None:
    """Check that every payload belongs to an item and is a JSON object; all slices must have been compared."""
    for page in _fields(shard, shard.keys.payloads):
        shard.advance(len(page))
        shard.examined += Examined(payloads=len(page))
        for field, _ in page:
            if len(field) != _HANDLE_BYTES:
                _settle_field(shard, field)
        known = [(field, stored) for field, stored in page if len(field) == _HANDLE_BYTES]
        handles = np.frombuffer(b"".join(field for field, _ in known), "<i8").astype(np.int64)
        absent = shard.records.lacks(handles)
        suspects = Suspects()
        for handle, hash_ in zip(handles[absent].tolist(), hashes_of(handles[absent]).tolist(), strict=True):
            suspects.add(hash_, handles=[handle])
        settle(shard, suspects)
        for at in np.flatnonzero(~absent).tolist():
            if not _is_payload(known[at][1]):
                _settle_unreadable(shard, *known[at])


def check_hole_lists(shard: Examination) -> None:
    """Check that holes are listed of nothing but buckets; the lists themselves are checked with these."""
    keys = shard.keys
    length = Look("length", keys.partition)
    for page in _fields(shard, keys.holes):
        for field, _ in page:
            if _is_bucket(field, shard.examined.buckets):
                continue
            look = Look("field", keys.holes, field)
            there, listed = shard.peek([length, look])
            if listed is None or _is_bucket(field, (there if isinstance(there, int) else 0) // shard.entry_bytes):
                continue
            shard.tell(kinds.HOLE_LIST, keys.holes, f"holes of {field[:20]!r}, which is no bucket")
            if shard.repair:
                shard.mend({length: there, look: listed}, [("HDEL", keys.holes, field)])


def _is_bucket(field: bytes, buckets: int) -> bool:
    return field.isdigit() and field == b"%d" % int(field) and int(field) < buckets


def _fields(shard: Examination, key: str) -> Iterator[list[tuple[bytes, bytes]]]:
    """Fields and values of a hash in groups; what is there all the time comes at least once."""
    cursor = -1
    while cursor:
        with translated(shard.connection.address):
            reply: Any = shard.connection.client.hscan(key, max(cursor, 0), count=AT_ONCE)
        cursor, page = reply
        yield list(page.items())


def _settle_field(shard: Examination, field: bytes) -> None:
    shard.tell(kinds.ORPHAN_PAYLOAD, shard.keys.payloads, f"a payload of {field[:20]!r}, which is no handle")
    if shard.repair:
        shard.mend({}, [("HDEL", shard.keys.payloads, field)])


def _settle_unreadable(shard: Examination, field: bytes, stored: bytes) -> None:
    handle = int.from_bytes(field, "little", signed=True)
    page = int(page_of(hashes_of(np.array([handle])), shard.pages)[0])
    now, item = shard.peek([Look("field", shard.keys.payloads, field), Look("field", shard.keys.names(page), field)])
    if now == stored:
        words = f"{stored[:40]!r} for handle {handle}, which is no JSON object"
        told: ItemId | None = handle if handle < FIRST_HASHED else readable_id(item)
        shard.tell(kinds.UNREADABLE_PAYLOAD, shard.keys.payloads, words, told)


def _is_payload(stored: bytes) -> bool:
    try:
        return decode_payload(stored, "") is not None
    except (IndexCorrupt, RecursionError):
        return False
