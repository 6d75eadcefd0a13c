"""Names that a searcher has looked up: ids by handle, of the items whose handle is a hash.

An id has one handle for ever. So what was found under a handle stays true for as long as the handle is found in a
bucket (unless another id with the same hash of 61 bits has taken its place: see `handles`).
"""

from __future__ import annotations

from collections.abc import Iterable

from hashgrain.indexer.searching.reading import Names
from hashgrain.indexer.stored.handles import FIRST_HASHED
from hashgrain.indexer.stored.identifiers import ItemId

MOST_NAMES = 1 << 17
"""How many are kept at most; some 20 MB with short ids."""


_SHARE = 1024  # bytes of buckets for each name, so that short ids take a sixth of what buckets may


class KeptNames:
    """A bounded map from handle to id; where it is full, it begins anew. Threads may share it.

    Args:
        cache_bytes: how much is kept of buckets.
    """

    def __init__(self, cache_bytes: int) -> None:
        self._most = min(cache_bytes // _SHARE, MOST_NAMES)
        self._ids: dict[int, ItemId] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, names: Names) -> None:
        """Keep what was found."""
        found = {handle: item for handle, (item, _) in names.items() if handle >= FIRST_HASHED and item is not None}
        if len(self._ids) + len(found) > self._most:
            self.clear()
        if len(found) <= self._most:
            self._ids.update(found)

    def find(self, handles: Iterable[int]) -> Names | None:
        """The names of some items, without payloads; None where one is not known."""
        ids = self._ids
        try:
            return {handle: (ids[handle], None) for handle in handles}
        except KeyError:
            return None

    def clear(self) -> None:
        """Let go of everything."""
        self._ids = {}
