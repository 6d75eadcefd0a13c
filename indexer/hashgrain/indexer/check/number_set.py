"""A set of small integers at one bit each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


class NumberSet:
    """A set of integers from 0 on; takes one bit for each up to the largest member, rounded up to a power of two."""

    def __init__(self) -> None:
        self._bits = np.zeros(128, np.uint8)

    def add(self, numbers: Iterable[int]) -> None:
        """Put numbers in."""
        new = np.fromiter(numbers, np.int64)
        if not len(new):
            return
        size = len(self._bits)
        while int(new.max()) >= 8 * size:
            size *= 2
        if size > len(self._bits):
            # Untouched pages of zeros cost no memory, so one member that is large by mistake does little harm.
            grown = np.zeros(size, np.uint8)
            grown[: len(self._bits)] = self._bits
            self._bits = grown
        np.bitwise_or.at(self._bits, new >> 3, (1 << (new & 7)).astype(np.uint8))

    def __contains__(self, number: int) -> bool:
        return number >> 3 < len(self._bits) and bool(self._bits[number >> 3] >> (number & 7) & 1)

    def within(self, other: NumberSet) -> bool:
        """Whether all members are in the other set, too."""
        shared = min(len(self._bits), len(other._bits))
        return not np.any(self._bits[:shared] & ~other._bits[:shared]) and not np.any(self._bits[shared:])

    def numbers(self) -> NDArray[np.int64]:
        """The members, ascending, int64."""
        return np.flatnonzero(np.unpackbits(self._bits, bitorder="little")).astype(np.int64)
