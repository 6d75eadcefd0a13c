"""Groups of near duplicates: what is connected by steps of a radius or less."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.duplicates.looking import Looked, Progress
from hashgrain.indexer.duplicates.naming import NAMES, Names
from hashgrain.indexer.duplicates.segments import Segments, joined_ranges
from hashgrain.indexer.duplicates.sweeping import near_codes
from hashgrain.indexer.request import Rank
from hashgrain.indexer.searching.ranked_codes import distances
from hashgrain.indexer.stored.identifiers import ItemId
from hashgrain.indexer.stored.shard import Shard

_AT_ONCE = 1 << 16


@dataclass(frozen=True, eq=False)
class DuplicateGroup:
    """Two or more items that are connected: from each to each other one there are steps of the radius or less.

    Attributes:
        ids: the items by their handles (integer ids ascend): the first one is the one to keep, if one is.
        distances: uint16 (len(ids),), of each item from the first one, in bits of the ranking. They may be larger than
            the radius, where a chain of items lies between.
    """

    ids: list[ItemId]
    distances: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.ids)


def duplicate_groups(
    shards: Sequence[Shard], radius: int, rank: Rank, progress: Progress | None
) -> Iterator[DuplicateGroup]:
    """Find them; see `Index.duplicates`."""
    looked = Looked.of(shards, radius, rank, progress)
    return _groups(looked)


def _groups(looked: Looked) -> Iterator[DuplicateGroup]:
    from hashgrain.indexer.loops.joining import unite  # loads the compiler

    names = Names(looked.shards)
    with looked.read() as (segments, told):
        parent = np.arange(len(segments.size), dtype=np.uint32)
        following = parent.copy()
        for pairs in near_codes(segments, looked.radius, told, parent):
            unite(parent, following, pairs.codes)
        waiting: list[NDArray[np.int64]] = []
        held = 0
        for codes in _components(segments, parent, following):
            waiting.append(codes)
            held += len(codes)
            if held >= NAMES:
                yield from _named(segments, waiting, names)
                waiting, held = [], 0
        yield from _named(segments, waiting, names)


def _components(
    segments: Segments, parent: NDArray[np.uint32], following: NDArray[np.uint32]
) -> Iterator[NDArray[np.int64]]:
    """The codes of each group, in the order of the first of them."""
    for low in range(0, len(parent), _AT_ONCE):
        some = np.arange(low, min(low + _AT_ONCE, len(parent)))
        first = (parent[some] == some) & ((following[some] != some) | (segments.size[some] > 1))
        for code in some[first].tolist():
            codes = [code]
            while (after := int(following[codes[-1]])) != code:
                codes.append(after)
            yield np.array(codes, np.int64)


def _named(segments: Segments, groups: Sequence[NDArray[np.int64]], names: Names) -> Iterator[DuplicateGroup]:
    """Groups of codes with the ids of their items.

    Items that are gone meanwhile are left out, and groups of which fewer than two are left.
    """
    if not groups:
        return
    codes = np.concatenate(groups)
    sizes = segments.size[codes].astype(np.int64)
    items = joined_ranges(segments.first[codes], sizes)
    handles, code = segments.handle[items], np.repeat(np.arange(len(codes)), sizes)
    group = np.repeat(np.arange(len(groups)), [len(some) for some in groups])[code]
    order = np.lexsort((handles, group))
    group, handles, code = group[order], handles[order], code[order]
    words = segments.words_of(codes)
    ids = names.of(handles)
    there = np.array([item is not None for item in ids], np.bool_)
    bounds = np.searchsorted(group, np.arange(len(groups) + 1)).tolist()
    for begin, end in pairwise(bounds):
        kept = begin + np.flatnonzero(there[begin:end])
        if len(kept) >= 2:
            away = distances(words[code[kept]], words[code[kept[:1]]])
            yield DuplicateGroup([item for item in ids[begin:end] if item is not None], away)
