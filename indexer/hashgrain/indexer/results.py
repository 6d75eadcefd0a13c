"""What the index answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.stored.fields import Kind
from hashgrain.indexer.stored.identifiers import ItemId
from hashgrain.indexer.stored.payloads import Payload

if TYPE_CHECKING:
    from hashgrain.indexer.searching.explaining import Explanation


@dataclass(eq=False)
class Hit:
    """The answer to one query; entry n of `ids`, `distances` and `payloads` belongs to the n-th nearest item.

    Attributes:
        ids: the items, nearest first; fewer than k where fewer candidates were read, are near enough, or lie
            apart. Where the answer was refined, nearest by the query's margins.
        distances: uint16 (len(ids),), in bits: the Hamming distance of the ranking that was asked for, of a refined
            answer as well (where it need not ascend).
        payloads: the items' payloads (None for an item without), or None where they were not asked for.
        candidates: how many items were compared with the query.
        buckets: how many buckets they came from.
        complete_radius: r such that every item whose coarse code differs from the query's in r bits or less was read;
            all coarse bits where the whole index was, -1 where not even all with the query's own coarse code were.
        exact: whether the answer is proven to be what the same search gives when it reads every bucket, also where
            near duplicates are left out: what is kept depends on better items only. Of a refined
            answer: that the items which were refined are the best R of the whole index. A partial answer may be
            proven, too.
        partial: whether the deadline passed before all that was asked for was read; the answer is then the best of
            what was, and `complete_radius` and `candidates` say how much that is.
        explanation: how the answer came about, where that was asked for.
    """

    ids: list[ItemId]
    distances: NDArray[np.uint16]
    payloads: list[Payload | None] | None
    candidates: int
    buckets: int
    complete_radius: int
    exact: bool
    partial: bool = False
    explanation: Explanation | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Written:
    """What an `add` did: how many items are new, and how many replaced one of the same id."""

    added: int
    replaced: int


@dataclass(frozen=True)
class IndexStats:
    """An index in figures.

    Attributes:
        name, layout, fingerprint, shards: as it was created.
        items: how many items it holds.
        buckets: how many buckets, over all shards.
        largest_bucket: records in the largest of them, holes included.
        holes: how many records are holes, which wait for their bucket to be rewritten.
        payloads: how many items carry one.
        memory: bytes that Redis spends on the index's keys (an estimate: hashes are sampled).
        memory_of: the same by what they are spent on: `buckets` (codes and handles), `places`, `names` (ids that are
            strings), `payloads`, and the `rest` (partition, header, lists of holes).
        fields: what searches may filter by, and of which kind.
    """

    name: str
    layout: CodeLayout
    fingerprint: str | None
    shards: int
    items: int
    buckets: int
    largest_bucket: int
    holes: int
    payloads: int
    memory: int
    memory_of: Mapping[str, int]
    fields: Mapping[str, Kind]
