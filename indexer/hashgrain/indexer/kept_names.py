"""Names that a searcher has looked up: ids by shard and number.

A shard never gives a number out twice, so what was found under one stays true for as long as it is found in a bucket.
(Where a repair gives a number its right name back, searchers that were open before go on with the wrong one.)
"""

from __future__ import annotations

from hashgrain.indexer.identifiers import ItemId
from hashgrain.indexer.reading import Names, Numbers

MOST_NAMES = 1 << 17
"""How many are kept; some 20 MB with short ids."""


class KeptNames:
    """A bounded map from shard and number to id; where it is full, it begins anew. Threads may share it."""

    def __init__(self) -> None:
        self._ids: dict[tuple[int, int], ItemId] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, names: Names) -> None:
        """Keep what was found."""
        found = {place: item for place, (item, _) in names.items() if item is not None}
        if len(self._ids) + len(found) > MOST_NAMES:
            self.clear()
        self._ids.update(found)

    def find(self, numbers: Numbers) -> Names | None:
        """The names of some items, without payloads; None where one is not known."""
        ids = self._ids
        try:
            return {(shard, n): (ids[shard, n], None) for shard, mine in numbers.items() for n in mine.tolist()}
        except KeyError:
            return None

    def clear(self) -> None:
        """Let go of everything."""
        self._ids = {}
