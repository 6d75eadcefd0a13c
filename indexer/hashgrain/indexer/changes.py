"""What Redis has told of the buckets of an index, so that a reading knows whether it still holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Changes:
    """When each bucket last changed, as far as is known; moments are counted.

    It is written to by one thread at a time, and may be asked by any beside it.

    Args:
        shards: how many there are.

    Attributes:
        moment: how often something has been told.
    """

    def __init__(self, shards: int) -> None:
        self.moment = 0
        self._last: list[NDArray[np.int64]] = [np.empty(0, np.int64)] * shards
        self._all = 0

    def align(self, shard: int, buckets: int) -> None:
        """Have places for this many buckets of a shard, or more."""
        more = buckets - len(self._last[shard])
        if more > 0:
            self._last[shard] = np.append(self._last[shard], np.zeros(more, np.int64))

    def note(self, shard: int, numbers: NDArray[np.int64]) -> None:
        """Some buckets of a shard have changed; those that it has no place for, nobody has read."""
        last = self._last[shard]
        last[numbers[numbers < len(last)]] = self.moment + 1
        self.moment += 1

    def note_all(self) -> None:
        """Anything may have changed."""
        self._all = self.moment + 1
        self.moment += 1

    def since(self, moment: int, numbers: Sequence[NDArray[np.int64]]) -> bool:
        """Whether any of some buckets, given by shard, has changed after a moment."""
        if self.moment == moment:
            return False
        if self._all > moment:
            return True
        return any(bool((last[mine] > moment).any()) for last, mine in zip(self._last, numbers, strict=True))
