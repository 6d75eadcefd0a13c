"""The hashes `ids` and `payloads`: what is stored under every number."""

from __future__ import annotations

from hashgrain.codes.errors import IndexCorrupt
from hashgrain.indexer.check import kinds
from hashgrain.indexer.check.examination import Change, Examination, Look
from hashgrain.indexer.check.items import pages
from hashgrain.indexer.check.report import Examined
from hashgrain.indexer.check.snapshot import fields_of, read_place
from hashgrain.indexer.keys import TOMBSTONE
from hashgrain.indexer.payloads import decode_payload

PAYLOADS_AT_ONCE = 100


def check_names(shard: Examination) -> None:
    """Check that every number with a name is the one that this id claims, or has a record; needs `shard.seen`."""
    for page in pages(shard, shard.keys.ids):
        shard.advance(len(page))
        places = fields_of(shard, shard.keys.nums, [encoded for _, encoded in page])
        for (field, encoded), place in zip(page, places, strict=True):
            number = _number(field)
            if number is None or (_claimed(shard, place) != number and number not in shard.seen):
                _settle_name(shard, field, encoded)


def check_payloads(shard: Examination) -> None:
    """Check that every payload belongs to an item and is a JSON object."""
    for page in pages(shard, shard.keys.payloads, PAYLOADS_AT_ONCE):
        shard.advance(len(page))
        shard.examined += Examined(payloads=len(page))
        names = fields_of(shard, shard.keys.ids, [field for field, _ in page])
        for (field, stored), encoded in zip(page, names, strict=True):
            if encoded is None:
                _settle_orphan(shard, field)
            elif not _is_payload(stored):
                _settle_unreadable(shard, field, stored)


def _settle_name(shard: Examination, field: bytes, encoded: bytes) -> None:
    keys = shard.keys
    looks = [Look("field", keys.ids, field), Look("field", keys.nums, encoded)]
    for _ in shard.attempts():
        name, place = shard.peek(looks)
        claimed = _claimed(shard, place if isinstance(place, bytes) else None)
        if name != encoded or (claimed is not None and claimed == _number(field)):
            return  # replaced or deleted meanwhile
        changes: list[Change] = [("HDEL", keys.ids, field), ("HDEL", keys.payloads, field)]
        if not shard.repair or shard.mend({looks[0]: name, looks[1]: place}, changes):
            break
    words = f"a name for {field[:20].decode(errors='replace')}, which is no number with a record"
    shard.tell(kinds.ORPHAN_NAME, keys.ids, words, encoded)


def _settle_orphan(shard: Examination, field: bytes) -> None:
    payload, name = Look("field", shard.keys.payloads, field), Look("field", shard.keys.ids, field)
    stored, encoded = shard.peek([payload, name])
    if stored is None or encoded is not None:
        return  # deleted meanwhile
    number = _number(field)
    if number is not None and number in shard.claimed:
        return  # the id that claims it is told to be nameless
    if shard.repair:
        # Where somebody was faster there is nothing left to do.
        shard.mend({name: None}, [("HDEL", shard.keys.payloads, field)])
    words = f"a payload of number {field[:20].decode(errors='replace')}, which no id has"
    shard.tell(kinds.ORPHAN_PAYLOAD, shard.keys.payloads, words)


def _settle_unreadable(shard: Examination, field: bytes, stored: bytes) -> None:
    places = [Look("field", shard.keys.payloads, field), Look("field", shard.keys.ids, field)]
    now, encoded = shard.peek(places)
    if now == stored and isinstance(encoded, bytes):
        words = f"{stored[:40]!r} for number {field[:20].decode(errors='replace')}, which is no JSON object"
        shard.tell(kinds.UNREADABLE_PAYLOAD, shard.keys.payloads, words, encoded)


def _is_payload(stored: bytes) -> bool:
    try:
        return decode_payload(stored, "") is not None
    except (IndexCorrupt, RecursionError):
        return False


def _claimed(shard: Examination, place: bytes | None) -> int | None:
    target = read_place(place, shard.header.layout.coarse_bits)
    return None if target is None else target[0]


def _number(field: bytes) -> int | None:
    """The number that a field stands for, or None where numbers are not written so."""
    if not field.isdigit() or (field[:1] == b"0" and field != b"0") or len(field) > 10:
        return None
    number = int(field)
    return number if number < TOMBSTONE else None
