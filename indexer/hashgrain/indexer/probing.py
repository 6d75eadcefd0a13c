"""Stage one: in which order to read the buckets.

A bucket differs from the query in some coarse bits. Its weight is the sum of the query's margins |logit| over those
bits (Lv et al., Multi-Probe LSH, VLDB 2007, order probes in the same spirit); without logits, the number of those
bits. Margins count as integers, floor(|logit| / largest * 2**28), so that their sum does not depend on the order
of addition. Buckets are read by weight, then Hamming distance, then coarse code: a total order, held in one int64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.hamming import popcount
from hashgrain.indexer.occupancy import Occupancy

KEY_BITS = 24
"""The longest coarse code; shorter ones are numbers with leading zeros."""

HAMMING_BITS = 5
"""A bucket's key holds its weight, its Hamming distance in 5 bits, and its code in 24: so keys order buckets."""

_MARGIN_SCALE = float(1 << 28)  # 24 of them, 5 bits of Hamming distance and 24 of the code: 62 bits

_WALK_SHARE = 8  # visiting one code takes about as long as weighing so many buckets in one go
_WALK_LEAST = 512  # codes: fewer are visited in less time than NumPy takes to begin

BITS_OF_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.int64)
"""int64 (256, 8): row b holds the bits of byte b, the most significant first."""


def margin_weights(logits: NDArray[np.float32]) -> NDArray[np.int64]:
    """Weight of each bit, int64, from the finite logits of a query, float32 (bits,), or of several, (Q, bits)."""
    margins = np.abs(logits, dtype=np.float64)
    largest = margins.max(axis=-1, keepdims=True)
    largest += largest == 0.0  # all weights are 0 then
    weights: NDArray[np.int64] = (margins / largest * _MARGIN_SCALE).astype(np.int64)  # which rounds down
    return weights


def unit_weights(bits: int) -> NDArray[np.int64]:
    """Weight of each bit, int64 (bits,), of a query without logits: the weight of a bucket is its Hamming distance."""
    return np.ones(bits, np.int64)


class Probing:
    """The order in which one query reads the buckets.

    Args:
        occupancy: of the buckets.
        query: the query's coarse code, as a number.
        weights: int64 (bits,), see `margin_weights` and `unit_weights`.
    """

    def __init__(self, occupancy: Occupancy, query: int, weights: NDArray[np.int64]) -> None:
        self._occupancy = occupancy
        self._query = query
        self._weights = weights

    def __len__(self) -> int:
        return len(self._occupancy)

    def nearest(self, count: int) -> NDArray[np.intp]:
        """Positions of the first `count` buckets (all, if there are fewer), in order."""
        from hashgrain.indexer import walking  # loads the compiler: only for those who search

        buckets = len(self._occupancy)
        count = min(count, buckets)
        found = np.empty(count, np.int64)
        words, before = self._occupancy.words, self._occupancy.before
        limit = min(max(buckets // _WALK_SHARE, _WALK_LEAST), 1 << self._occupancy.bits)
        if walking.nearest(words, before, self._query, self._weights, count, limit, found) == count:
            return found
        keys = self._keys(self._occupancy.codes)
        first = np.argpartition(keys, count - 1)[:count] if count < buckets else np.arange(buckets)
        return first[np.argsort(keys[first])]

    @property
    def everywhere(self) -> NDArray[np.intp]:
        """Positions of all buckets, ascending."""
        return self._occupancy.everywhere

    def within(self, radius: int) -> NDArray[np.intp]:
        """Positions of the buckets that differ in at most `radius` bits, ascending."""
        return np.flatnonzero(popcount(self._occupancy.codes ^ np.uint32(self._query)) <= radius)

    def ordered(self, buckets: NDArray[np.intp]) -> NDArray[np.intp]:
        """The same positions in the order in which the query reads them."""
        ordered: NDArray[np.intp] = buckets[np.argsort(self._keys(self._occupancy.codes[buckets]))]
        return ordered

    def complete_radius(self, read: NDArray[np.intp]) -> int:
        """The r for which every bucket within r bits is among those at the positions `read`, each given once."""
        from hashgrain.indexer import walking

        occupancy = self._occupancy
        if len(read) == len(occupancy):
            return occupancy.bits
        return walking.complete_radius(occupancy.words, occupancy.codes, self._query, occupancy.bits, read)

    def _keys(self, codes: NDArray[np.uint32]) -> NDArray[np.int64]:
        differing = codes ^ np.uint32(self._query)
        keys = weigh(differing, self._weights) << HAMMING_BITS
        keys |= popcount(differing)
        return keys << KEY_BITS | codes


def weigh(differing: NDArray[np.uint32], weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum of the weights, int64 (bits,), of the set bits of each coarse code, uint32 (N,); one table per byte."""
    by_byte = np.zeros(KEY_BITS, np.int64)
    by_byte[KEY_BITS - len(weights) :] = weights
    total = np.zeros(len(differing), np.int64)
    for byte, shift in enumerate((16, 8, 0)):
        table = BITS_OF_BYTE @ by_byte[8 * byte : 8 * byte + 8]
        total += table[(differing >> np.uint32(shift)) & np.uint32(0xFF)]
    return total
