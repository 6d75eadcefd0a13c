"""What Redis tells of the buckets of an index, so that a reading knows whether it still holds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.stored.keys import ShardKeys

_NUMBER = re.compile(rb"[0-9a-f]{6}")


class Changes:
    """When each bucket last changed, as far as is known; moments are counted.

    It is written to by one thread at a time, and may be asked by any beside it.

    Args:
        keys: of the shards, in order.

    Attributes:
        prefixes: of the keys to be told of.
        moment: how often something has been told.
    """

    def __init__(self, keys: Sequence[ShardKeys]) -> None:
        self.prefixes = [prefix for shard in keys for prefix in (shard.bucket_prefix, shard.stamp)]
        self.moment = 0
        self._of_bucket = {shard.bucket_prefix.encode(): n for n, shard in enumerate(keys)}
        self._of_stamp = {shard.stamp.encode(): n for n, shard in enumerate(keys)}
        self._last: list[NDArray[np.int64]] = [np.empty(0, np.int64)] * len(keys)
        self._all = 0

    def align(self, shard: int, buckets: int) -> None:
        """Have places for this many buckets of a shard, or more."""
        more = buckets - len(self._last[shard])
        if more > 0:
            self._last[shard] = np.append(self._last[shard], np.zeros(more, np.int64))

    def note(self, keys: Sequence[bytes]) -> tuple[Mapping[int, NDArray[np.int64]], set[int]]:
        """Take note that some keys have changed; returns their buckets, by shard, and the shards with another stamp."""
        some: dict[int, list[int]] = {}
        stamped = set()
        for key in keys:
            shard = self._of_bucket.get(key[:-6])
            if shard is not None and _NUMBER.fullmatch(key, len(key) - 6):
                some.setdefault(shard, []).append(int(key[-6:], 16))
            elif key in self._of_stamp:
                stamped.add(self._of_stamp[key])
        buckets = {shard: np.array(numbers, np.int64) for shard, numbers in some.items()}
        for shard, numbers in buckets.items():
            last = self._last[shard]  # of a bucket that has no place in it, nobody has read anything
            last[numbers[numbers < len(last)]] = self.moment + 1
        if stamped:  # a search may have missed a bucket that it should have read
            self._all = self.moment + 1
        self.moment += 1
        return buckets, stamped

    def note_all(self) -> None:
        """Take note that anything may have changed."""
        self._all = self.moment + 1
        self.moment += 1

    def since(self, moment: int, numbers: Sequence[NDArray[np.int64]]) -> bool:
        """Whether any of some buckets, given by shard, has changed after a moment, or whether that is not known."""
        if self.moment == moment:
            return False
        if self._all > moment:
            return True
        return any(bool((last[mine] > moment).any()) for last, mine in zip(self._last, numbers, strict=True))
