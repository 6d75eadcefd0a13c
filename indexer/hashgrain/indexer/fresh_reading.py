"""A reading of buckets that were read from Redis for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.directories import Directories
from hashgrain.indexer.reading import Asked, Names
from hashgrain.indexer.records import Records
from hashgrain.indexer.shard import Shard
from hashgrain.indexer.spans import Span
from hashgrain.indexer.store_errors import translated


class FreshReading:
    """Buckets read from Redis for this search; see `Reading`."""

    def __init__(self, shards: Sequence[Shard], whole: Directories, spans: Sequence[Span]) -> None:
        self._shards = shards
        self._whole = whole
        self.spans = spans
        self.fetched = sum(len(span.buckets) for span in spans)

    @classmethod
    def of(cls, shards: Sequence[Shard], whole: Directories, wanted: NDArray[np.int64]) -> FreshReading | None:
        """Read the buckets at some positions, ascending; each shard's are of one moment.

        Returns None where a directory is out of date.
        """
        spans = []
        for number, shard in enumerate(shards):
            mine, numbers = whole.shard_positions(wanted, number)
            buckets = shard.read(whole.shards[number], numbers)
            if buckets is None:
                return None
            handle_bytes = whole.shards[number].partition.handle_bytes[numbers]
            records = Records.parse(buckets, handle_bytes, numbers, whole.layout, shard.keys)
            spans.append(Span.of(mine, records, whole.layout))
        return cls(shards, whole, spans)

    def names(self, asked: Mapping[int, Asked], payloads: bool) -> Names | None:
        """See `Reading`. Buckets whose payloads are given are read once more, after the payloads."""
        found: Names = {}
        for number, mine in asked.items():
            if not len(mine.handle):
                continue
            directory, shard = self._whole.shards[number], self._shards[number]
            if payloads:
                named = self._with_payloads(number, mine)
                if named is None:
                    return None
            else:
                named = shard.names(mine.handle, directory.pages, payloads)
            for handle, item, payload in zip(mine.handle.tolist(), *named, strict=True):
                found[handle] = (item, payload)
        return found

    def _with_payloads(self, number: int, mine: Asked) -> tuple[list[Any], list[Any]] | None:
        """Ids and payloads; no id where the item's record is not as it was. None where the directory is out of date."""
        directory, shard = self._whole.shards[number], self._shards[number]
        again = np.unique(mine.bucket) - self._whole.first[number]
        with translated(shard.connection.address):
            pipe: Any = shard.connection.client.pipeline(transaction=False)
            for command in shard.naming(mine.handle, directory.pages, True):
                pipe.execute_command(*command)
            pipe.mget([shard.keys.stamp.encode(), *shard.keys.buckets(again.tolist())])
            *replies, (stamp, *buckets) = pipe.execute()
        if stamp != directory.partition.stamp or None in buckets:
            return None
        handle_bytes = directory.partition.handle_bytes[again]
        records = Records.parse(buckets, handle_bytes, again, self._whole.layout, shard.keys)
        same = _still_there(Span.of(again, records, self._whole.layout), self.spans[number], mine)
        ids, found = shard.named(mine.handle, replies, directory.pages, True)
        return [item if there else None for item, there in zip(ids, same.tolist(), strict=True)], found


def _still_there(now: Span, then: Span, mine: Asked) -> NDArray[np.bool_]:
    """Which of the items have the very codes now that they had then."""
    if not len(now.handle):
        return np.zeros(len(mine.handle), np.bool_)
    order = np.argsort(now.handle)
    at = order[np.minimum(np.searchsorted(now.handle, mine.handle, sorter=order), len(order) - 1)]
    same: NDArray[np.bool_] = (
        (now.handle[at] == mine.handle)
        & (now.coarse[at] == then.coarse[mine.row])
        & (now.fine[at] == then.fine[mine.row]).all(axis=1)
    )
    return same
