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
        exact: bool = False,
        payloads: bool = False,
    ) -> list[Hit]:
        """Find the k nearest items of every query; see `Index.search`."""
        codes.check(self.layout)
        request = SearchRequest(k, rank, candidates, probes, radius, exact, payloads)
        return [self._search_one(query, request) for query in codes]

    def __len__(self) -> int:
        return len(self._items)

    def _search_one(self, query: HashCodes, request: SearchRequest) -> Hit:
        coarse: Bits = tuple(unpack_bits(query.coarse, self.layout.coarse_bits)[0].tolist())
        fine: Bits = tuple(unpack_bits(query.fine, self.layout.fine_bits)[0].tolist())
        margins = _margins(query, len(coarse))

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
        best = sorted(compared, key=place)[: request.k]
        distances = [place(item)[0] for item in best]
        # A stranger from an unread bucket has a coarse (hence a total) distance of complete + 1 or more.
        proven = request.rank != "fine" and len(best) == request.k and distances[-1] <= complete
        return Hit(
            ids=[decode_id(item.encoded) for item in best],
            distances=np.array(distances, np.uint16),
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
        if request.radius is not None:
            return [bucket for bucket in order if _hamming(bucket, coarse) <= request.radius]
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


def _margins(query: HashCodes, bits: int) -> list[int]:
    """What it costs to differ from the query in each coarse bit; see `probing` for the rule."""
    if query.coarse_logits is None:
        return [1] * bits
    sizes = [abs(float(logit)) for logit in query.coarse_logits[0]]
    largest = max(sizes)
    return [int(size / largest * 2**28) if largest else 0 for size in sizes]


def _weight(bucket: Bits, query: Bits, margins: list[int]) -> int:
    return sum(margin for a, b, margin in zip(bucket, query, margins, strict=True) if a != b)
