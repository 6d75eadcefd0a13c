"""A reading of buckets that were read from Redis for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.searching.reading import Asked, Names
from hashgrain.indexer.searching.spans import Span
from hashgrain.indexer.stored.directories import Directories
from hashgrain.indexer.stored.records import Records
from hashgrain.indexer.stored.scatter import ask, read_buckets
from hashgrain.indexer.stored.shard import Command, Shard
from hashgrain.indexer.wire.connection import Connection


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
        mine_of = [whole.shard_positions(wanted, number) for number in range(len(shards))]
        read = read_buckets(shards, whole.shards, [numbers for _, numbers in mine_of])
        if read is None:
            return None
        spans = []
        for number, (shard, buckets, (mine, numbers)) in enumerate(zip(shards, read, mine_of, strict=True)):
            handle_bytes = whole.shards[number].partition.handle_bytes[numbers]
            records = Records.parse(buckets, handle_bytes, numbers, whole.layout, shard.keys)
            spans.append(Span.of(mine, records, whole.layout))
        return cls(shards, whole, spans)

    def known(self, handles: Sequence[int]) -> Names | None:
        """See `Reading`; nothing is."""
        return None if handles else {}

    def names(self, asked: Mapping[int, Asked], payloads: bool) -> Names | None:
        """See `Reading`. Buckets whose payloads are given are read once more, after the payloads."""
        found: Names = {}
        wanted = {number: mine for number, mine in asked.items() if len(mine.handle)}
        replies = ask([self._asking(number, mine, payloads) for number, mine in wanted.items()])
        for (number, mine), reply in zip(wanted.items(), replies, strict=True):
            if payloads:
                named = self._with_payloads(number, mine, reply)
                if named is None:
                    return None
            else:
                named = self._shards[number].named(mine.handle, reply, self._whole.shards[number].pages, payloads)
            for handle, item, payload in zip(mine.handle.tolist(), *named, strict=True):
                found[handle] = (item, payload)
        return found

    def _asking(self, number: int, mine: Asked, payloads: bool) -> tuple[Connection, list[Command]]:
        shard = self._shards[number]
        commands: list[Command] = [*shard.naming(mine.handle, self._whole.shards[number].pages, payloads)]
        if payloads:
            commands.append(shard.asking(self._again(number, mine)))
        return shard.reading, commands

    def _again(self, number: int, mine: Asked) -> NDArray[np.int64]:
        """The numbers of the buckets that some items were read in."""
        again: NDArray[np.int64] = np.unique(mine.bucket) - self._whole.first[number]
        return again

    def _with_payloads(self, number: int, mine: Asked, answers: Sequence[Any]) -> tuple[list[Any], list[Any]] | None:
        """Ids and payloads; no id where the item's record is not as it was. None where the directory is out of date."""
        directory, shard = self._whole.shards[number], self._shards[number]
        again = self._again(number, mine)
        *replies, (stamp, *buckets) = answers
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
