"""The pages of a shard: places and names, compared with the records, and what seems wrong looked at once more."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.check import kinds
from hashgrain.indexer.check.buckets import gather_again
from hashgrain.indexer.check.examination import Examination
from hashgrain.indexer.check.gathered import WITHOUT_HINT, Suspects, pack_places, place_hashes, read_places
from hashgrain.indexer.check.judgement import Verdict
from hashgrain.indexer.check.names import sound_names
from hashgrain.indexer.check.page import look_at
from hashgrain.indexer.check.report import Examined
from hashgrain.indexer.check.totals import count_of_pages
from hashgrain.indexer.stored.handles import FIRST_HASHED, hashes_of, is_hashed, page_of, shards_of
from hashgrain.indexer.stored.keys import PLACE_BYTES
from hashgrain.indexer.wire.store_errors import translated

AT_ONCE = 128
"""Pages that one request asks for."""

FEW = 100
"""So many hashes that seem wrong are each looked at without reading everything once more."""


def check_items(shard: Examination) -> None:
    """Check that every record has its place and name, and nothing else has; needs `shard.records`.

    What writers have changed between the reading of a bucket and that of a page seems wrong, too. To look at each of
    these by itself takes long where much is written; but what is wrong seems so every time that everything is read.
    """
    odd = _compare(shard)
    shard.examined += Examined(names=odd.names)
    shard.advance(odd.places)
    before = math.inf
    while FEW < len(odd.hashes) <= before / 2:
        before = len(odd.hashes)
        gather_again(shard)
        again = _compare(shard)
        odd = replace(again, hashes=np.intersect1d(odd.hashes, again.hashes))
    for part in range(shard.records.slices):
        settle(shard, _suspects(shard, part, odd))
    pages = Suspects()
    pages.pages = odd.pages
    settle(shard, pages)


def check_rest(shard: Examination) -> None:
    """Tell and mend what had to wait until all pages were looked at."""
    waiting, shard.later = shard.later, Suspects()
    settle(shard, waiting, last=True)


def settle(shard: Examination, suspects: Suspects, last: bool = False) -> None:
    """Look at everything that seems wrong once more, page by page, and tell and mend what is."""
    pages = shard.pages
    for page, mine in suspects.by_page(pages):
        if shard.pages == pages:
            _settle(shard, page, mine, last)
        else:  # while an earlier one was settled it turned out that there are more or fewer by now
            mine.pages.add(page)
            settle(shard, mine, last)


def _settle(shard: Examination, number: int, suspects: Suspects, last: bool) -> None:
    for _ in shard.attempts():
        page = look_at(shard, number, suspects)
        if page is None:
            shard.tell(kinds.TAKEN_KEY, shard.keys.places(number), "no string of places")
            return
        if isinstance(page, int):
            shard.pages = page
            suspects.pages.add(number)
            settle(shard, suspects, last)
            return
        verdict = Verdict(shard, page, last)
        changes = verdict.changes()
        if not shard.repair or not changes:
            break
        # The less a repair goes by, the less can forestall it: once more, with nothing but what is wrong.
        wrong = verdict.hashes | verdict.later.seen.keys()
        if wrong < suspects.seen.keys():
            suspects = suspects.only(wrong)
        elif shard.mend(page.found, changes):
            break
    for problem in verdict.problems:
        shard.tell(*problem)
    shard.lost_in |= verdict.lost_in
    for hash_, seen in verdict.later.seen.items():
        shard.later.add(hash_, *seen)


@dataclass(frozen=True, eq=False)
class _Odd:
    """What did not agree when everything was read once.

    Attributes:
        hashes: uint32 (N,), of records, places and names.
        unnamed: int64 (M,), handles that have a name, but no record, or the other way round.
        pages: that hold places which do not belong there.
        places, names: how many there were.
    """

    hashes: NDArray[np.uint32]
    unnamed: NDArray[np.int64]
    pages: set[int]
    places: int
    names: int


def _compare(shard: Examination) -> _Odd:
    """Read all pages, and compare them with the records, slice by slice."""
    hashes, unnamed = [np.empty(0, np.uint32)], [np.empty(0, np.int64)]
    pages: set[int] = set()
    places = names = 0
    for part in range(shard.records.slices):
        handles, buckets = shard.records.part(part)
        stored, named = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        shard.pages = max(1, count_of_pages(shard))
        for page, text, fields in _pages(shard, part):
            there = read_places(text)
            if len(text) % PLACE_BYTES or (page_of(place_hashes(there), shard.pages) != page).any():
                pages.add(page)
            stored.append(there & WITHOUT_HINT)
            named.append(sound_names(shard, page, fields))
            places, names = places + len(there), names + len(fields)
        unequal = _unequal(pack_places(hashes_of(handles), buckets), np.concatenate(stored))
        unnamed.append(np.setxor1d(handles[is_hashed(handles)], np.concatenate(named)))
        strange = (handles < -FIRST_HASHED) | (handles >= 2 * FIRST_HASHED)
        strange |= shards_of(handles, shard.header.shards) != shard.keys.shard
        strange[1:] |= handles[1:] == handles[:-1]
        hashes += [place_hashes(unequal), hashes_of(unnamed[-1]), hashes_of(handles[strange])]
    return _Odd(np.unique(np.concatenate(hashes)), np.concatenate(unnamed), pages, places, names)


def _suspects(shard: Examination, part: int, odd: _Odd) -> Suspects:
    """What is to be looked at in one slice, with the buckets and handles where to look."""
    suspects, mask = Suspects(), np.uint32(shard.records.slices - 1)
    for hash_ in odd.hashes[odd.hashes & mask == part].tolist():
        suspects.add(hash_)
    handles, buckets = shard.records.part(part)
    chosen = np.flatnonzero(np.isin(hashes_of(handles), odd.hashes))
    seen = zip(hashes_of(handles[chosen]).tolist(), buckets[chosen].tolist(), handles[chosen].tolist(), strict=True)
    for hash_, bucket, handle in seen:
        suspects.add(hash_, [bucket], [handle])
    for hash_, handle in zip(hashes_of(odd.unnamed).tolist(), odd.unnamed.tolist(), strict=True):
        if hash_ in suspects.seen:
            suspects.add(hash_, handles=[handle])
    return suspects


def _pages(shard: Examination, part: int) -> Iterator[tuple[int, bytes, dict[bytes, bytes]]]:
    """Number, places and names of every page of a slice."""
    numbers = range(part, shard.pages, shard.records.slices)
    for start in range(0, len(numbers), AT_ONCE):
        chosen = numbers[start : start + AT_ONCE]
        with translated(shard.connection.address):
            pipe: Any = shard.connection.client.pipeline(transaction=False)
            pipe.mget([shard.keys.places(page) for page in chosen])
            for page in chosen:
                pipe.hgetall(shard.keys.names(page))
            texts, *names = pipe.execute(raise_on_error=False)
        for page, text, fields in zip(chosen, texts, names, strict=True):
            if not isinstance(fields, dict):
                shard.tell(kinds.TAKEN_KEY, shard.keys.names(page), "no hash of names")
                fields = {}
            yield page, text or b"", fields


def _unequal(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The elements that are not as often in one array as in the other."""
    values, inverse = np.unique(np.concatenate([one, other]), return_inverse=True)
    signs = np.repeat([1, -1], [len(one), len(other)])
    unequal: NDArray[np.uint64] = values[np.bincount(inverse.ravel(), weights=signs, minlength=len(values)) != 0]
    return unequal
