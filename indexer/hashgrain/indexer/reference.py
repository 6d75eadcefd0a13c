"""The index without Redis and without haste: what every answer of the real one must equal.

It keeps items in a dict, reads everything, sorts everything, and says the rules in the plainest way. Tests compare
the two; it is also an index for those who have a few thousand items and no server.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import ne
from typing import Any

import numpy as np

from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.layout import CodeLayout, HashCodes
from hashgrain.codes.packing import unpack_bits
from hashgrain.indexer.reference_filter import matches
from hashgrain.indexer.request import Rank, SearchRequest
from hashgrain.indexer.results import Hit, Written
from hashgrain.indexer.searching.queries import require_logits
from hashgrain.indexer.stored.filters import Filter
from hashgrain.indexer.stored.handles import handle_of
from hashgrain.indexer.stored.identifiers import ItemId, decode_id, encode_ids
from hashgrain.indexer.stored.payloads import encode_payloads

Bits = tuple[int, ...]


@dataclass(frozen=True)
class ReferenceBucket:
    """A bucket of a partition: which items lie in it, and near what.

    Attributes:
        coarse: the bits of the centroid's coarse code.
        fine: those of its fine code.
        coarse_radius: no member's coarse code differs from the centroid's in more bits.
        fine_radius: the same for the fine codes.
        members: ids.
    """

    coarse: Bits
    fine: Bits
    coarse_radius: int
    fine_radius: int
    members: Collection[ItemId]


@dataclass(frozen=True)
class _Item:
    encoded: bytes
    handle: int
    coarse: Bits
    fine: Bits
    payload: dict[str, Any] | None


class ReferenceIndex:
    """An index in memory, with the methods and the rules of `Index`.

    Args:
        layout: the lengths of the codes.
    """

    def __init__(self, layout: CodeLayout) -> None:
        self.layout = layout
        self._items: dict[bytes, _Item] = {}

    def add(
        self,
        ids: Iterable[ItemId],
        codes: HashCodes,
        payloads: Sequence[Mapping[str, Any] | None] | None = None,
    ) -> Written:
        """Write items; see `Index.add`."""
        codes.check(self.layout)
        encoded = encode_ids(ids)
        encode_payloads(payloads, encoded)
        coarse = unpack_bits(codes.coarse, self.layout.coarse_bits).tolist()
        fine = unpack_bits(codes.fine, self.layout.fine_bits).tolist()
        before = len(self._items)
        for n, item in enumerate(encoded):  # of equal ids the last one counts
            payload = None if payloads is None or payloads[n] is None else dict(payloads[n] or {})
            self._items[item] = _Item(item, handle_of(item), tuple(coarse[n]), tuple(fine[n]), payload)
        added = len(self._items) - before
        return Written(added, len(set(encoded)) - added)

    def delete(self, ids: Iterable[ItemId]) -> int:
        """Delete items; see `Index.delete`."""
        return sum(self._items.pop(item, None) is not None for item in encode_ids(ids))

    def search(
        self,
        codes: HashCodes,
        k: int = 10,
        *,
        rank: Rank = "total",
        candidates: int | None = None,
        probes: int | None = None,
        radius: int | None = None,
        within: int | None = None,
        exact: bool = False,
        refine: int | None = None,
        payloads: bool = False,
        filter: Mapping[str, Any] | None = None,
        collapse: int | None = None,
        buckets: Sequence[ReferenceBucket] | None = None,
    ) -> list[Hit]:
        """Find the k nearest items of every query; see `Index.search`. Nothing is late here, so no deadline is kept.

        Args:
            codes, k, rank, candidates, probes, radius, within, exact, refine, payloads, filter, collapse: as there.
            buckets: how the items are partitioned, in the order of the buckets' positions. Without it all of them lie
                in one bucket, which every search reads.

        Raises:
            InvalidInput: as there; or `buckets` do not hold every item once.
        """
        codes.check(self.layout)
        request = SearchRequest(
            k,
            rank,
            candidates,
            probes,
            radius,
            exact,
            payloads,
            within,
            refine,
            filter=filter,
            collapse=collapse,
        )
        require_logits(codes, request)
        shelves = self._shelves(self._one_bucket() if buckets is None else buckets, request.by)
        return [self._search_widening(query, request, shelves) for query in codes]

    def duplicate_pairs(self, radius: int, rank: Rank = "total") -> set[tuple[ItemId, ItemId, int]]:
        """All pairs within a radius and their distances, the item with the smaller handle first."""
        items = sorted(self._items.values(), key=lambda item: item.handle)
        every = [(one, other, _between(one, other, rank)) for n, one in enumerate(items) for other in items[n + 1 :]]
        return {(decode_id(one.encoded), decode_id(other.encoded), far) for one, other, far in every if far <= radius}

    def duplicates(self, radius: int, rank: Rank = "total") -> list[tuple[list[ItemId], list[int]]]:
        """The groups of connected items, each with the distances from its first one; see `Index.duplicates`."""
        items = sorted(self._items.values(), key=lambda item: item.handle)
        groups = []
        left = list(items)
        while left:
            group = [left.pop(0)]
            for one in group:  # which grows
                group += [other for other in left if _between(one, other, rank) <= radius]
                left = [other for other in left if _between(one, other, rank) > radius]
            group.sort(key=lambda item: item.handle)
            if len(group) > 1:
                ids = [decode_id(item.encoded) for item in group]
                groups.append((ids, [_between(group[0], item, rank) for item in group]))
        return groups

    def __len__(self) -> int:
        return len(self._items)

    def _one_bucket(self) -> list[ReferenceBucket]:
        """A bucket so wide that it may hold anything."""
        coarse, fine = self.layout.coarse_bits, self.layout.fine_bits
        return [ReferenceBucket((0,) * coarse, (0,) * fine, coarse, fine, list(map(decode_id, self._items)))]

    def _shelves(self, buckets: Sequence[ReferenceBucket], by: Filter | None) -> list[_Shelf]:
        members = [encode_ids(bucket.members) for bucket in buckets]
        every = [item for encoded in members for item in encoded]
        if len(every) != len(self._items) or set(every) != set(self._items):
            raise InvalidInput(
                f"the index holds {len(self._items)} items, the buckets {len(every)}, of which "
                f"{len(set(every) & set(self._items))} are items of the index; put each into one bucket"
            )
        return [
            _Shelf(
                position,
                bucket,
                [self._items[item] for item in encoded if by is None or matches(self._items[item].payload, by.node)],
            )
            for position, (bucket, encoded) in enumerate(zip(buckets, members, strict=True))
        ]

    def _search_widening(self, query: HashCodes, request: SearchRequest, shelves: list[_Shelf]) -> Hit:
        """Look farther, as long as near duplicates leave too few items and that is not forbidden."""
        hit = self._search_one(query, request, shelves)
        while request.collapse is not None and request.candidates and len(hit) < request.k and not hit.exact:
            request = replace(request, candidates=4 * request.candidates)
            hit = self._search_one(query, request, shelves)
        return hit

    def _search_one(self, query: HashCodes, request: SearchRequest, shelves: list[_Shelf]) -> Hit:
        asked = _Asked.of(query, request, self.layout)
        read = _spend(sorted(shelves, key=asked.order), asked)
        unread = [shelf for shelf in shelves if shelf not in read]
        compared = [item for shelf in read for item in shelf.items]
        near = [item for item in compared if request.within is None or asked.distance(item) <= request.within]
        best = _apart(sorted(near, key=asked.place), request)

        # A stranger at the very distance of the last one might come before it: by its fine distance, or its handle.
        strangers = min((asked.bound(shelf) for shelf in unread), default=sys.maxsize)
        all_before_strangers = len(best) == request.depth and asked.distance(best[-1]) < strangers
        no_stranger_counts = request.within is not None and request.within < strangers
        complete = min((asked.coarse_bound(shelf) - 1 for shelf in unread), default=self.layout.coarse_bits)
        if request.refine is not None:
            margins = _margins(query, request.rank, self.layout)
            best.sort(key=lambda item: _weight(item.coarse + item.fine, asked.coarse + asked.fine, margins))  # stable
            best = best[: request.k]
        return Hit(
            ids=[decode_id(item.encoded) for item in best],
            distances=np.array([asked.distance(item) for item in best], np.uint16),
            payloads=[item.payload for item in best] if request.payloads else None,
            candidates=len(compared),
            buckets=len(read),
            complete_radius=complete,
            exact=not unread or all_before_strangers or no_stranger_counts,
        )


@dataclass(frozen=True, eq=False)
class _Shelf:
    """A bucket with its items."""

    position: int
    bucket: ReferenceBucket
    items: list[_Item]


@dataclass(frozen=True)
class _Asked:
    """A query, and how far from it everything lies in the ranking asked for."""

    coarse: Bits
    fine: Bits
    request: SearchRequest

    @classmethod
    def of(cls, query: HashCodes, request: SearchRequest, layout: CodeLayout) -> _Asked:
        coarse, fine = unpack_bits(query.coarse, layout.coarse_bits), unpack_bits(query.fine, layout.fine_bits)
        return cls(tuple(coarse[0].tolist()), tuple(fine[0].tolist()), request)

    def place(self, item: _Item) -> tuple[int, int, int]:
        """What orders items, the smallest first."""
        return self.distance(item), _hamming(item.fine, self.fine), item.handle

    def distance(self, item: _Item) -> int:
        return _ranked(_hamming(item.fine, self.fine), _hamming(item.coarse, self.coarse), self.request.rank)

    def order(self, shelf: _Shelf) -> tuple[int, int, int]:
        """What orders buckets, the smallest first."""
        fine, coarse = _hamming(shelf.bucket.fine, self.fine), _hamming(shelf.bucket.coarse, self.coarse)
        return _ranked(fine, coarse, self.request.rank), fine, shelf.position

    def bound(self, shelf: _Shelf) -> int:
        """No item of the bucket is nearer."""
        fine = max(0, _hamming(shelf.bucket.fine, self.fine) - shelf.bucket.fine_radius)
        return _ranked(fine, self.coarse_bound(shelf), self.request.rank)

    def coarse_bound(self, shelf: _Shelf) -> int:
        """No item of the bucket has a coarse code that differs in fewer bits."""
        return max(0, _hamming(shelf.bucket.coarse, self.coarse) - shelf.bucket.coarse_radius)


def _spend(ordered: list[_Shelf], asked: _Asked) -> list[_Shelf]:
    """The buckets that the budget takes."""
    request = asked.request
    if request.exact:
        return ordered
    if request.probes is not None:
        return ordered[: request.probes]
    if request.radius is not None:
        return [shelf for shelf in ordered if asked.coarse_bound(shelf) <= request.radius]
    if request.within is not None:
        return [shelf for shelf in ordered if asked.bound(shelf) <= request.within]
    read: list[_Shelf] = []
    while len(read) < len(ordered) and sum(len(shelf.items) for shelf in read) < (request.candidates or 0):
        read.append(ordered[len(read)])
    return read


def _apart(ordered: list[_Item], request: SearchRequest) -> list[_Item]:
    """As many as are asked for; not those that a better one lies near to, one that is not left out itself."""
    if request.collapse is None:
        return ordered[: request.depth]
    kept: list[_Item] = []
    for item in ordered:
        if len(kept) < request.depth and all(
            _between(item, better, request.rank) > request.collapse for better in kept
        ):
            kept.append(item)
    return kept


def _ranked(fine: int, coarse: int, rank: Rank) -> int:
    return {"total": fine + coarse, "fine": fine, "coarse": coarse}[rank]


def _between(one: _Item, other: _Item, rank: Rank) -> int:
    """The distance of two items."""
    return _ranked(_hamming(one.fine, other.fine), _hamming(one.coarse, other.coarse), rank)


def _hamming(left: Bits, right: Bits) -> int:
    return sum(map(ne, left, right))


def _margins(query: HashCodes, rank: Rank, layout: CodeLayout) -> list[int]:
    """What it costs to differ from the query in each bit of both codes, 0 where the ranking does not count it."""
    coarse, fine = query.coarse_logits, query.fine_logits
    left = [0.0] * layout.coarse_bits if rank == "fine" or coarse is None else coarse[0].tolist()
    right = [0.0] * layout.fine_bits if rank == "coarse" or fine is None else fine[0].tolist()
    largest = max(map(abs, left + right))
    return [int(abs(logit) / largest * 2**28) if largest else 0 for logit in left + right]


def _weight(code: Bits, query: Bits, margins: list[int]) -> int:
    return sum(margin for a, b, margin in zip(code, query, margins, strict=True) if a != b)
