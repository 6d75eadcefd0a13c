"""What is wrong with the items of a page, and what would mend it: the rules of `keys`, applied at one moment."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hashgrain.indexer.check import kinds
from hashgrain.indexer.check.examination import Change, Examination
from hashgrain.indexer.check.gathered import WITHOUT_HINT, Suspects, read_places, write_places
from hashgrain.indexer.check.kinds import Kind
from hashgrain.indexer.check.page import Lying, Page, handle_field
from hashgrain.indexer.stored.handles import FIRST_HASHED, shards_of
from hashgrain.indexer.stored.identifiers import ItemId
from hashgrain.indexer.stored.keys import PLACE_BYTES

Problem = tuple[Kind, str, str, ItemId | None]
"""One thing wrong: its kind, the key, in words, and the item that it concerns."""


class Verdict:
    """What is wrong with a page and some of its hashes.

    Of an item that has no place, or a place without an item, nothing can be said before all places of the bucket
    were looked at: that waits for the last look.

    Args:
        shard: that the page belongs to.
        page: as it was at one moment.
        last: whether all other pages were looked at, so that `shard.lost_in` is complete.

    Attributes:
        problems: what is wrong.
        hashes: with which.
        later: what must be looked at again in the end.
        lost_in: buckets that lack a record.
    """

    def __init__(self, shard: Examination, page: Page, last: bool) -> None:
        self.problems: list[Problem] = []
        self.hashes: set[int] = set()
        self.later = Suspects()
        self.lost_in: set[int] = set()
        self._shard, self._page, self._last = shard, page, last
        self._places = list(page.places)
        self._dropped: dict[int, set[int]] = {}
        self._changes: list[Change] = []
        self._judge_page()
        for hash_ in page.copies:
            self._judge_hash(hash_)

    def changes(self) -> list[Change]:
        """Commands that mend everything that can be mended."""
        key = self._shard.keys.places(self._page.number)
        changes: list[Change] = []
        for bucket, positions in self._dropped.items():
            there = self._page.bucket(bucket)
            if there is not None:
                kept = np.delete(there.live, sorted(positions), axis=0)
                changes.append(("SET", self._shard.keys.bucket(bucket), kept.tobytes()))
                changes.append(("HDEL", self._shard.keys.holes, bucket))
        if self._page.torn or self._places != self._page.places:
            hinted = {place & int(WITHOUT_HINT): place for place in read_places(self._page.text).tolist()}
            text = write_places([hinted.get(place, place) for place in self._places])
            changes.append(("SET", key, text) if text else ("DEL", key))
        return changes + self._changes

    def _tell(self, hash_: int, kind: Kind, key: str, found: str, handle: int | None = None) -> None:
        self.hashes.add(hash_)
        self.problems.append((kind, key, found, None if handle is None else self._page.id_of(handle)))

    def _judge_page(self) -> None:
        page, key = self._page, self._shard.keys.places(self._page.number)
        if page.torn:
            words = f"{len(page.text)} bytes, no multiple of the {PLACE_BYTES} bytes of a place"
            self.problems.append((kinds.TORN_PAGE, key, words, None))
        strange = page.misplaced()
        for place in strange:
            self._places.remove(place)
        if strange and not page.torn:
            self.problems.append((kinds.STRAY_PLACE, key, f"{len(strange)} places that belong on other pages", None))

    def _judge_hash(self, hash_: int) -> None:
        page, copies = self._page, self._page.copies[hash_]
        free = page.placed(hash_)
        unplaced: list[tuple[int, Lying]] = []
        # Of two handles with one hash, the one that is more surely an item's has the first claim to a place.
        for handle, lying in sorted(copies.items(), key=lambda copy: (not page.is_named(copy[0]), len(copy[1]))):
            kept = max(lying, key=lambda at: free[at.bucket] > 0)
            self._judge_others(hash_, handle, lying, kept, placed=free[kept.bucket] > 0)
            if free[kept.bucket] > 0:
                free[kept.bucket] -= 1
                self._judge_item(hash_, handle, kept)
            else:
                unplaced.append((handle, kept))
        surplus = [bucket for bucket in free.elements() if not page.is_unknown(bucket)]
        remains = page.remains(hash_)
        for handle, at in unplaced:
            if surplus and not remains:
                named, key = surplus.pop(), self._shard.keys.bucket(at.bucket)
                self._tell(hash_, kinds.UNPLACED, key, f"a record whose place names bucket {named}", handle)
                self._places.remove(hash_ | named << 32)
                self._places.append(hash_ | at.bucket << 32)
            elif self._last:
                self._judge_unplaced(hash_, handle, at)
            else:
                self.later.add(hash_, [at.bucket], [handle])
        self._judge_surplus(hash_, surplus, remains)

    def _judge_others(self, hash_: int, handle: int, lying: list[Lying], kept: Lying, placed: bool) -> None:
        """An item has one record: the one that its place names; where it names several or none, the first."""
        for other in lying:
            if other == kept:
                continue
            same = self._page.record(other) == self._page.record(kept)
            certain = same or (placed and other.bucket != kept.bucket)
            kind = kinds.DUPLICATE_RECORD if certain else kinds.RECORD_CONFLICT
            words = f"a record of an item that has one in bucket {kept.bucket}, too"
            self._tell(hash_, kind, self._shard.keys.bucket(other.bucket), words, handle)
            self._drop(other)

    def _judge_item(self, hash_: int, handle: int, at: Lying) -> None:
        shard, key = self._shard, self._shard.keys.bucket(at.bucket)
        home = _home(handle, shard.header.shards)
        if home != shard.keys.shard:
            words = f"an item that belongs to shard {home}" if home is not None else f"{handle}, which is no handle"
            self._tell(hash_, kinds.FOREIGN_ITEM, key, words, handle)
        elif not self._page.is_named(handle) and not self._last:
            self.later.add(hash_, [at.bucket], [handle])
        elif not self._page.is_named(handle) and handle not in shard.misfiled:
            self._tell(hash_, kinds.UNNAMED, key, f"the record of handle {handle}, which has no name")
            if shard.forget_lost:
                self._drop(at)
                self._places.remove(hash_ | at.bucket << 32)
                self._changes.append(("HDEL", shard.keys.payloads, handle_field(handle)))
                self._changes.append(("HINCRBY", shard.keys.meta, "live", -1))

    def _judge_unplaced(self, hash_: int, handle: int, at: Lying) -> None:
        shard, key = self._shard, self._shard.keys.bucket(at.bucket)
        at_home = _home(handle, shard.header.shards) == shard.keys.shard
        if at.bucket in shard.lost_in:
            self._tell(hash_, kinds.DOUBTFUL_RECORD, key, f"the record of handle {handle}, which has no place")
            if shard.forget_lost:
                self._drop(at)
        elif at_home and self._page.is_named(handle):
            self._tell(hash_, kinds.UNPLACED, key, "a record that no place names", handle)
            self._places.append(hash_ | at.bucket << 32)
        else:
            self._tell(hash_, kinds.ORPHAN_RECORD, key, f"the record of handle {handle}, which no item has")
            self._drop(at)

    def _judge_surplus(self, hash_: int, surplus: list[int], remains: list[int]) -> None:
        """Places without a record, and names and payloads of items without one."""
        page, shard = self._page, self._shard
        key = shard.keys.places(page.number)
        if not surplus:
            if not any(map(page.is_unknown, page.placed(hash_))):
                self._judge_remains(hash_, remains)
            return
        stray = page.torn or (page.copies[hash_] and not remains)
        if not stray and not self._last:
            self.later.add(hash_, surplus, remains)
            self.lost_in.update(surplus)
            return
        for at, bucket in enumerate(surplus):
            words = f"a place with the hash {hash_:08x} names bucket {bucket}, which has no such record"
            if stray:
                self._tell(hash_, kinds.STRAY_PLACE, key, words)
            else:
                self._tell(hash_, kinds.LOST_RECORD, key, words, remains[at] if at < len(remains) else None)
            if stray or shard.forget_lost:
                self._places.remove(hash_ | bucket << 32)
        if not stray and shard.forget_lost:
            self._take_away(remains)

    def _judge_remains(self, hash_: int, remains: list[int]) -> None:
        keys = self._shard.keys
        for handle in remains:
            words = f"of handle {handle}, which has no record"
            if self._page.name(handle):
                self._tell(hash_, kinds.ORPHAN_NAME, keys.names(self._page.number), f"the name {words}", handle)
            if self._page.has_payload(handle):
                self._tell(hash_, kinds.ORPHAN_PAYLOAD, keys.payloads, f"the payload {words}", handle)
        self._take_away(remains)

    def _take_away(self, handles: Iterable[int]) -> None:
        for handle in handles:
            if self._page.name(handle):
                self._changes.append(("HDEL", self._shard.keys.names(self._page.number), handle_field(handle)))
            self._changes.append(("HDEL", self._shard.keys.payloads, handle_field(handle)))

    def _drop(self, at: Lying) -> None:
        self._dropped.setdefault(at.bucket, set()).add(at.position)


def _home(handle: int, shards: int) -> int | None:
    """The shard of a handle, or None where this number is none."""
    if not -FIRST_HASHED <= handle < 2 * FIRST_HASHED:
        return None
    return int(shards_of(np.array([handle]), shards)[0])
