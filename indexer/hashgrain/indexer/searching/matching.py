"""How many of the items that searches compared matched their filters: what the next search by the same filter reads."""

from __future__ import annotations

from hashgrain.indexer.stored.filters import Filter

FILTERS = 1000
"""Filters of which it is kept; where there are more, all are forgotten."""

_FALLS_BY = 0.2  # of the way to a smaller share at a time: to read too much costs more than to read once more


class Matching:
    """The shares of items that match, by filter; threads may share it, since a lost note does no harm."""

    def __init__(self) -> None:
        self._shares: dict[Filter, float] = {}

    def share(self, by: Filter | None) -> float:
        """What to reckon with: 1 where nothing is known."""
        return 1.0 if by is None else self._shares.get(by, 1.0)

    def note(self, by: Filter, share: float) -> None:
        """Take note of what a reading's share was: a larger one at once, a smaller one by and by."""
        known = self._shares.get(by)
        if known is None and len(self._shares) >= FILTERS:
            self._shares.clear()
        self._shares[by] = share if known is None or share >= known else known + _FALLS_BY * (share - known)
