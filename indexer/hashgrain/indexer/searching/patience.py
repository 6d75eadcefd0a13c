"""When to go by kept buckets, and when to leave them alone for some searches."""

from __future__ import annotations

MOST_SKIPPED = 63
"""Searches that read all that they need, at most, before one goes by kept buckets again."""


class Patience:
    """Whether searches go by buckets that are kept.

    Beside a busy writer some bucket changes nearly whenever a search goes by those that are kept, and then two round
    trips were for nothing. So each time that this happens, twice as many readings as before leave the kept ones alone
    (binary exponential backoff: Metcalfe and Boggs, Ethernet, CACM 1976), and half as many each time that one holds.
    Threads that share it may count a reading too few.
    """

    def __init__(self) -> None:
        self._skip = self._level = 0

    def allows(self) -> bool:
        """Whether the next reading goes by what is kept; if so, `learn` is to be told what came of it."""
        if self._skip:
            self._skip -= 1
            return False
        return True

    def learn(self, *, held: bool) -> None:
        """Take note of whether a reading of kept buckets held."""
        self._level = max(self._level - 1, 0) if held else min(self._level + 1, MOST_SKIPPED.bit_length())
        self._skip = (1 << self._level) - 1
