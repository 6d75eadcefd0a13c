"""The index without Redis and without haste: what every answer of the real one must equal.

It keeps items in a dict, reads everything, sorts everything, and says the rules in the plainest way. Tests compare
the two; it is also an index for those who have a few thousand items and no server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashgrain.codes.layout import CodeLayout, HashCodes
from hashgrain.codes.packing import unpack_bits
from hashgrain.indexer.identifiers import ItemId, decode_id, encode_ids, shard_of
from hashgrain.indexer.payloads import encode_payloads
from hashgrain.indexer.queries import require_logits
from hashgrain.indexer.request import Rank, SearchRequest
from hashgrain.indexer.results import Hit, Written

Bits = tuple[int, ...]


@dataclass(frozen=True)
class _Item:
    encoded: bytes
    shard: int
    number: int
    coarse: Bits
    fine: Bits
    payload: dict[str, Any] | None


class ReferenceIndex:
    """An index in memory, with the methods and the rules of `Index`.

    Args:
        layout: the lengths of the codes.
        shards: as for `Index.create`; matters only for the order of ties.
    """

    def __init__(self, layout: CodeLayout, shards: int = 1) -> None:
        self.layout = layout
        self._items: dict[bytes, _Item] = {}
        self._next = [0] * shards

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
        for n, item in enumerate(encoded):
            if item in encoded[n + 1 :]:
                continue  # the last one counts
            shard = shard_of(item, len(self._next))
            payload = None if payloads is None or payloads[n] is None else dict(payloads[n] or {})
            self._items[item] = _Item(item, shard, self._next[shard], tuple(coarse[n]), tuple(fine[n]), payload)
            self._next[shard] += 1
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
    ) -> list[Hit]:
        """Find the k nearest items of every query; see `Index.search`. Nothing is late here, so no deadline is kept."""
        codes.check(self.layout)
        request = SearchRequest(k, rank, candidates, probes, radius, exact, payloads, within, refine)
        require_logits(codes, request)
        return [self._search_one(query, request) for query in codes]

    def __len__(self) -> int:
        return len(self._items)

    def _search_one(self, query: HashCodes, request: SearchRequest) -> Hit:
        coarse: Bits = tuple(unpack_bits(query.coarse, self.layout.coarse_bits)[0].tolist())
        fine: Bits = tuple(unpack_bits(query.fine, self.layout.fine_bits)[0].tolist())
        ones = [1] * len(coarse)
        margins = ones if query.coarse_logits is None else _margins(query.coarse_logits[0].tolist())

        buckets: dict[Bits, list[_Item]] = {}
        for item in self._items.values():
            buckets.setdefault(item.coarse, []).append(item)
        order = sorted(buckets, key=lambda bucket: (_weight(bucket, coarse, margins), _hamming(bucket, coarse), bucket))
        read = self._spend(order, buckets, coarse, request)
        unread = [bucket for bucket in order if bucket not in read]
        complete = min((_hamming(bucket, coarse) for bucket in unread), default=self.layout.coarse_bits + 1) - 1

        def place(item: _Item) -> tuple[int, int, int, int]:
            far, near = _hamming(item.fine, fine), _hamming(item.coarse, coarse)
            return {"total": far + near, "fine": far, "coarse": near}[request.rank], far, item.number, item.shard

        compared = [item for bucket in read for item in buckets[bucket]]
        near = [item for item in compared if request.within is None or place(item)[0] <= request.within]
        depth = request.k if request.refine is None else request.refine
        best = sorted(near, key=place)[:depth]
        # A stranger from an unread bucket has a coarse (hence a total) distance of complete + 1 or more.
        all_before_strangers = len(best) == depth and place(best[-1])[0] <= complete
        no_stranger_counts = request.within is not None and request.within <= complete
        proven = request.rank != "fine" and (all_before_strangers or no_stranger_counts)
        if request.refine is not None:
            costs = _refined_margins(query, request.rank, self.layout)
            best.sort(key=lambda item: _weight(item.coarse + item.fine, coarse + fine, costs))  # a stable sort
            best = best[: request.k]
        return Hit(
            ids=[decode_id(item.encoded) for item in best],
            distances=np.array([place(item)[0] for item in best], np.uint16),
            payloads=[item.payload for item in best] if request.payloads else None,
            candidates=len(compared),
            buckets=len(read),
            complete_radius=complete,
            exact=not unread or proven,
        )

    def _spend(
        self, order: list[Bits], buckets: dict[Bits, list[_Item]], coarse: Bits, request: SearchRequest
    ) -> list[Bits]:
        """The buckets that the budget takes."""
        if request.exact:
            return order
        if request.probes is not None:
            return order[: request.probes]
        radius = request.radius if request.within is None else request.within
        if radius is not None:
            return [bucket for bucket in order if _hamming(bucket, coarse) <= radius]
        read: list[Bits] = []
        held = 0
        for bucket in order:
            if held >= (request.candidates or 0):
                break
            read.append(bucket)
            held += len(buckets[bucket])
        return read


def _hamming(left: Bits, right: Bits) -> int:
    return sum(a != b for a, b in zip(left, right, strict=True))


def _margins(logits: list[float]) -> list[int]:
    """What it costs to differ from the query in each bit; see `probing` for the rule."""
    largest = max(map(abs, logits))
    return [int(abs(logit) / largest * 2**28) if largest else 0 for logit in logits]


def _refined_margins(query: HashCodes, rank: Rank, layout: CodeLayout) -> list[int]:
    """The same for the bits of both codes on one scale, 0 where the ranking does not count them."""
    coarse, fine = query.coarse_logits, query.fine_logits
    left = [0.0] * layout.coarse_bits if rank == "fine" or coarse is None else coarse[0].tolist()
    right = [0.0] * layout.fine_bits if rank == "coarse" or fine is None else fine[0].tolist()
    return _margins(left + right)


def _weight(bucket: Bits, query: Bits, margins: list[int]) -> int:
    return sum(margin for a, b, margin in zip(bucket, query, margins, strict=True) if a != b)
