"""What one reading of buckets gives: their records, and then the names of the winners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.directories import Directories
from hashgrain.indexer.identifiers import ItemId
from hashgrain.indexer.payloads import Payload
from hashgrain.indexer.records import Records
from hashgrain.indexer.shard import Shard
from hashgrain.indexer.spans import Span

Numbers = Mapping[int, NDArray[np.int64]]
"""By shard, the numbers of some of its items, int64 (n,), each once."""

Names = dict[tuple[int, int], tuple[ItemId | None, Payload | None]]
"""By shard and number, an item's id and payload; the id is None where the item is no longer there."""


class Reading(Protocol):
    """Buckets as they were at one moment in each shard."""

    @property
    def spans(self) -> Sequence[Span]:
        """The live records of every bucket that was read, by shard."""

    def names(self, numbers: Numbers, payloads: bool) -> Names | None:
        """Look up items, with their payloads where asked for; None where the reading turns out not to hold."""


class FreshReading:
    """Buckets read from Redis for this search."""

    def __init__(self, shards: Sequence[Shard], spans: Sequence[Span]) -> None:
        self._shards = shards
        self.spans = spans

    @classmethod
    def of(
        cls, shards: Sequence[Shard], whole: Directories, wanted: NDArray[np.intp], layout: CodeLayout
    ) -> FreshReading | None:
        """Read buckets, given as positions in `whole.occupied`, from every shard that has them.

        Returns None where a directory is out of date.
        """
        spans = []
        for shard, directory in zip(shards, whole.shards, strict=True):
            mine = wanted[np.isin(whole.occupied[wanted], directory.occupied, assume_unique=True)]
            coarse = whole.occupied[mine]
            logs = shard.read(directory, coarse)
            if logs is None:
                return None
            order = np.arange(len(mine), dtype=np.int64)
            spans.append(Span.of(mine, Records.parse(logs, order, layout, shard.keys, coarse)))
        return cls(shards, spans)

    def names(self, numbers: Numbers, payloads: bool) -> Names:
        """See `Reading`."""
        found: Names = {}
        for shard, mine in numbers.items():
            named = self._shards[shard].names(mine, payloads)
            for number, item, payload in zip(mine.tolist(), *named, strict=True):
                found[shard, number] = (item, payload)
        return found
