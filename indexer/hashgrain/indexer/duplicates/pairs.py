"""Pairs of near duplicates, each once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.duplicates.looking import Looked, Progress
from hashgrain.indexer.duplicates.naming import Names
from hashgrain.indexer.duplicates.segments import Segments
from hashgrain.indexer.duplicates.sweeping import near_codes
from hashgrain.indexer.request import Rank
from hashgrain.indexer.stored.identifiers import ItemId
from hashgrain.indexer.stored.shard import Shard

AT_ONCE = 1 << 14
"""Pairs of items that are handed over at once."""


@dataclass(frozen=True, eq=False)
class NearPairs:
    """Some pairs of near items; entry n of everything belongs to pair n.

    Attributes:
        one, other: their ids, the one with the smaller handle first (of integer ids, the smaller one).
        distances: uint16 (len(one),), in bits of the ranking.
    """

    one: list[ItemId]
    other: list[ItemId]
    distances: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.one)


def near_pairs(shards: Sequence[Shard], radius: int, rank: Rank, progress: Progress | None) -> Iterator[NearPairs]:
    """Find them; see `Index.duplicate_pairs`."""
    looked = Looked.of(shards, radius, rank, progress)
    return _pairs(looked)


def _pairs(looked: Looked) -> Iterator[NearPairs]:
    names = Names(looked.shards)
    with looked.read() as (segments, told):
        for items, away in _of_equal_codes(segments):
            yield from _named(segments, items, away, names)
        for pairs in near_codes(segments, looked.radius, told):
            for items, away in _of_codes(segments, pairs.codes.astype(np.int64), pairs.distance):
                yield from _named(segments, items, away, names)


Items = tuple[NDArray[np.int64], NDArray[np.uint16]]
"""int64 (n, 2), pairs of items by their place among all of the segments, and uint16 (n,), their distances."""


def _of_equal_codes(segments: Segments) -> Iterator[Items]:
    """The pairs of items that share a code."""
    for low in range(0, len(segments.size), AT_ONCE):
        codes = low + np.flatnonzero(segments.size[low : low + AT_ONCE] > 1)
        for items, away in _of_codes(segments, np.stack([codes, codes], axis=1), np.zeros(len(codes), np.uint16)):
            once = items[:, 0] < items[:, 1]
            yield items[once], away[once]


def _of_codes(segments: Segments, codes: NDArray[np.int64], away: NDArray[np.uint16]) -> Iterator[Items]:
    """The pairs of items of pairs of codes, not too many at once."""
    sizes = segments.size[codes].astype(np.int64)
    number = sizes[:, 0] * sizes[:, 1]
    ends = np.cumsum(number)
    every = int(number.sum())
    for low in range(0, every, AT_ONCE):
        at = np.arange(low, min(low + AT_ONCE, every))
        pair = np.searchsorted(ends, at, side="right")
        place = at - (ends[pair] - number[pair])
        one, other = place // sizes[pair, 1], place % sizes[pair, 1]
        first = segments.first[codes[pair]]
        yield np.stack([first[:, 0] + one, first[:, 1] + other], axis=1), away[pair]


def _named(segments: Segments, items: NDArray[np.int64], away: NDArray[np.uint16], names: Names) -> Iterator[NearPairs]:
    """Pairs with their ids; those of which an item is gone meanwhile are left out."""
    handles = np.sort(segments.handle[items], axis=1)
    each, place = np.unique(handles, return_inverse=True)
    ids = names.of(each)
    known = np.array([item is not None for item in ids], np.bool_)
    places = place.reshape(handles.shape)
    there = np.flatnonzero(known[places].all(axis=1))
    if len(there):
        one, other = ([ids[n] for n in side] for side in places[there].T.tolist())
        yield NearPairs(one, other, away[there])
