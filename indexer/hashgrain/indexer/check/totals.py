"""What a shard keeps beside its items: stamp, partition, counts, and keys beyond these."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np

from hashgrain.indexer.check import kinds
from hashgrain.indexer.check.examination import WRONG_TYPE, Change, Examination, Look
from hashgrain.indexer.check.gathered import place_hashes, read_places
from hashgrain.indexer.check.keyspace import Beyond
from hashgrain.indexer.check.names import sound_names
from hashgrain.indexer.stored.handles import page_of
from hashgrain.indexer.wire.store_errors import translated

_FIXED_TYPES = ("hash", "string", "string", "hash", "hash")

_SAMPLED = 16  # pages


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


def check_stamp(shard: Examination) -> None:
    """Check that the partition has a stamp that counts."""
    look = Look("text", shard.keys.stamp)
    for _ in shard.attempts():
        (stamp,) = shard.peek([look])
        if isinstance(stamp, bytes) and stamp.isdigit() and int(stamp) < 1 << 62:
            return
        # Above everything that a count from any incarnation (40 bits) can have reached, so that no searcher knows it.
        fresh = (1 << 50) + secrets.randbits(48)
        if not shard.repair or shard.mend({look: stamp}, [("SET", shard.keys.stamp, fresh)]):
            break
    words = "no stamp" if stamp is None else f"the stamp {stamp!r}, which is no count"
    shard.tell(kinds.STAMP, shard.keys.stamp, words)


def check_partition(shard: Examination) -> bool:
    """Check that the partition consists of whole entries; returns False where the rest cannot be examined."""
    keys, width = shard.keys, shard.entry_bytes
    for _ in shard.attempts():
        (length,) = shard.peek([Look("length", keys.partition)])
        stored = length if isinstance(length, int) else 0
        entries, torn = divmod(stored, width)
        words = f"{stored} bytes, not one or more entries of {width} bytes"
        if entries and not torn:
            return True
        looks = [Look("text", keys.partition), Look("text", keys.bucket(entries))]
        text, behind = shard.peek(looks)
        if not entries or behind is not None or not isinstance(text, bytes):
            shard.tell(kinds.PARTITION, keys.partition, words)
            return False
        cut: list[Change] = [("SET", keys.partition, text[: entries * width]), ("INCR", keys.stamp)]
        if not shard.repair or shard.mend({looks[0]: text, looks[1]: None}, cut):
            shard.tell(kinds.TORN_PARTITION, keys.partition, f"{words}; there is no bucket {entries}")
            return True
    return False


def sizes(shard: Examination) -> Beyond:
    """How many buckets and pages there are, as far as the shard says so; what is beyond that is to be found."""
    with translated(shard.connection.address):
        pipe: Any = shard.connection.client.pipeline(transaction=False)
        pipe.strlen(shard.keys.partition)
        length = pipe.execute(raise_on_error=False)[0]
    return Beyond((length if isinstance(length, int) else 0) // shard.entry_bytes, count_of_pages(shard))


def count_of_pages(shard: Examination) -> int:
    """How many pages the header says that there are, 0 where it says nothing of use."""
    with translated(shard.connection.address):
        stored: Any = shard.connection.client.hget(shard.keys.meta, "pages")
    return int(stored) if stored is not None and stored.isdigit() and len(stored) < 9 else 0


def check_pages(shard: Examination, beyond: Beyond) -> bool:
    """Check the number of pages, and fill `shard.pages`; returns False where the pages cannot be examined by it.

    A place does not lie where it should for two reasons: it is on a wrong page, or the number of pages is wrong. The
    latter is so if all places that are looked at lie right by another number, the one that the keys show.
    """
    keys = shard.keys
    count, likely = Look("field", keys.meta, b"pages"), max(beyond.last_page + 1, 1)
    level = 1 << (likely.bit_length() - 1)
    # The last page, and the one that would have been divided next, are what a number that is off by one shows in.
    chosen = sorted({likely - 1, likely - level, *np.linspace(0, likely - 1, _SAMPLED).astype(int).tolist()})
    for _ in shard.attempts():
        pages, *texts = shard.peek([count, *(Look("text", keys.places(page)) for page in chosen)])
        shard.pages = int(pages) if isinstance(pages, bytes) and pages.isdigit() and len(pages) < 9 else 0
        read = [(page, text) for page, text in zip(chosen, texts, strict=True) if isinstance(text, bytes)]
        if shard.pages and (shard.pages == likely or not _wrong(read, shard.pages) or _wrong(read, likely)):
            return True
        words = f"{pages.decode(errors='replace')} pages" if isinstance(pages, bytes) else "no number of pages"
        if not shard.repair or shard.mend({count: pages}, [("HSET", keys.meta, "pages", likely)]):
            shard.tell(kinds.PAGE_COUNT, keys.meta, f"{words}, though the places that are there show {likely}")
            shard.pages = likely
            return shard.repair
    return False


def check_beyond(shard: Examination, beyond: Beyond) -> None:
    """Check the buckets and pages that the partition and the number of pages do not have; fills `shard.unknown`."""
    keys = shard.keys
    length, count = Look("length", keys.partition), Look("field", keys.meta, b"pages")
    for bucket in beyond.buckets:
        look = Look("text", keys.bucket(bucket))
        there, text = shard.peek([length, look])
        if text is None or not isinstance(there, int) or bucket < there // shard.entry_bytes:
            continue
        if text:
            shard.unknown.add(bucket)
        elif shard.repair:
            shard.mend({length: there, look: text}, [("DEL", look.key)])
        kind = kinds.STRAY_BUCKET if text else kinds.EMPTY_STRAY
        shard.tell(kind, look.key, f"a bucket, though there are only {there // shard.entry_bytes}")
    for page in beyond.places:
        look = Look("text", keys.places(page))
        pages, text = shard.peek([count, look])
        if text is None or not isinstance(pages, bytes) or page < int(pages):
            continue
        if shard.repair and text != WRONG_TYPE:
            shard.mend({count: pages, look: text}, [("DEL", look.key)])
        kind = kinds.TAKEN_KEY if text == WRONG_TYPE else kinds.STRAY_PLACE
        shard.tell(kind, look.key, f"a page of places, though there are only {int(pages)}")
    for page in beyond.names:
        with translated(shard.connection.address):
            pipe: Any = shard.connection.client.pipeline(transaction=False)
            names = pipe.hgetall(keys.names(page)).execute(raise_on_error=False)[0]
        if isinstance(names, dict):
            sound_names(shard, page, names)
        else:
            shard.tell(kinds.STRANGE_KEY, keys.names(page), "no hash of names")


def check_live(shard: Examination) -> None:
    """Check how many items there are."""
    keys = shard.keys
    looks = [Look("field", keys.meta, b"live"), Look("records", keys.partition)]
    unreadable = not shard.repair and {kinds.HOLE_LIST.name, kinds.HANDLE_BYTES.name} & {
        finding.kind for finding in shard.findings
    }
    if shard.unknown or unreadable:
        return  # nobody knows how many records there are
    if not shard.mended and shard.peek(looks[:1]) == [b"%d" % shard.examined.items]:
        return
    for _ in shard.attempts():
        live, records = shard.peek(looks)
        if live == (b"%d" % records if isinstance(records, int) else None):
            return
        changes: list[Change] = [("HSET", keys.meta, "live", records or 0)]
        if not shard.repair or shard.mend({looks[0]: live, looks[1]: records}, changes):
            break
    told = live.decode(errors="replace") if isinstance(live, bytes) else "nothing"
    shard.tell(kinds.LIVE_COUNT, keys.meta, f"{told} items counted, {records!r} there")


def _wrong(read: Sequence[tuple[int, bytes]], pages: int) -> bool:
    """Whether a place lies where it should not, where there are so many pages."""
    return any((page_of(place_hashes(read_places(text)), pages) != page).any() for page, text in read)
