"""Items that were read some time ago, and are to be named now."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.stored.handles import is_hashed, shards_of
from hashgrain.indexer.stored.identifiers import ItemId
from hashgrain.indexer.stored.shard import Shard

NAMES = 1000
"""Names that are asked for at once, more or less."""


class Names:
    """Looks up ids.

    Args:
        shards: of the index.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = shards
        self._pages: dict[int, int] = {}

    def of(self, handles: NDArray[np.int64]) -> list[ItemId | None]:
        """The ids of items; None for one that is no longer there.

        An integer id needs no look, so it is given even if its item is gone.

        Raises:
            IndexMissing: the index was dropped.
            StoreUnavailable.
        """
        ids: list[ItemId | None] = handles.tolist()
        hashed, shard = is_hashed(handles), shards_of(handles, len(self._shards))
        for number in np.unique(shard[hashed]).tolist():
            mine = np.flatnonzero(hashed & (shard == number))
            for low in range(0, len(mine), NAMES):
                some = mine[low : low + NAMES]
                for place, item in zip(some.tolist(), self._named(number, handles[some]), strict=True):
                    ids[place] = item
        return ids

    def _named(self, number: int, handles: NDArray[np.int64]) -> list[ItemId | None]:
        shard = self._shards[number]
        while True:
            known = self._pages.get(number)
            if known is None:
                known = self._pages[number] = shard.directory().pages
            names, _ = shard.names(handles, known, False)
            if None not in names:
                return names
            now = shard.directory().pages  # names may be missing because there are more pages of them
            if now == known:
                return names
            self._pages[number] = now
