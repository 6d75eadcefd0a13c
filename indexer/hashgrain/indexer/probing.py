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

KEY_BITS = 24
"""The longest coarse code; shorter ones are numbers with leading zeros."""

_HAMMING_BITS = 5
_MARGIN_SCALE = float(1 << 28)  # 24 of them, 5 bits of Hamming distance and 24 of the code: 62 bits

BITS_OF_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.int64)
"""int64 (256, 8): row b holds the bits of byte b, the most significant first."""


def margin_weights(logits: NDArray[np.float32] | None, bits: int) -> NDArray[np.int64]:
    """Weight of each bit, int64 (bits,), from the query's finite logits, float32 (bits,), or 1 without any."""
    if logits is None:
        return np.ones(bits, np.int64)
    margins = np.abs(logits.astype(np.float64))
    largest = float(margins.max())
    if largest == 0.0:
        return np.zeros(bits, np.int64)
    return np.floor(margins / largest * _MARGIN_SCALE).astype(np.int64)


class Probing:
    """The order in which one query reads the buckets.

    Args:
        occupied: uint32 (B,), the coarse codes of the non-empty buckets, as numbers.
        query: the query's coarse code, as a number.
        weights: int64 (bits,), see `margin_weights`.

    Attributes:
        hamming: int64 (B,), coarse bits in which each bucket differs from the query.
    """

    def __init__(self, occupied: NDArray[np.uint32], query: int, weights: NDArray[np.int64]) -> None:
        differing = occupied ^ np.uint32(query)
        self.hamming: NDArray[np.int64] = popcount(differing).astype(np.int64)
        self._priority = weigh(differing, weights) << (_HAMMING_BITS + KEY_BITS)
        self._priority |= (self.hamming << KEY_BITS) | occupied.astype(np.int64)

    def nearest(self, count: int) -> NDArray[np.intp]:
        """Positions of the first `count` buckets (all, if there are fewer), in order."""
        if count < len(self._priority):
            first = np.argpartition(self._priority, count - 1)[:count]
        else:
            first = np.arange(len(self._priority))
        return self.ordered(first)

    def within(self, radius: int) -> NDArray[np.intp]:
        """Positions of the buckets that differ in at most `radius` bits, ascending."""
        return np.flatnonzero(self.hamming <= radius)

    def ordered(self, buckets: NDArray[np.intp]) -> NDArray[np.intp]:
        """The same positions in the order in which the query reads them."""
        ordered: NDArray[np.intp] = buckets[np.argsort(self._priority[buckets])]
        return ordered

    def complete_radius(self, read: NDArray[np.intp], coarse_bits: int) -> int:
        """The r for which every bucket within r bits is among those at the positions `read`."""
        unread = np.ones(len(self.hamming), np.bool_)
        unread[read] = False
        return int(self.hamming[unread].min()) - 1 if unread.any() else coarse_bits


def weigh(differing: NDArray[np.uint32], weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum of the weights, int64 (bits,), of the set bits of each coarse code, uint32 (N,); one table per byte."""
    by_byte = np.zeros(KEY_BITS, np.int64)
    by_byte[KEY_BITS - len(weights) :] = weights
    total = np.zeros(len(differing), np.int64)
    for byte, shift in enumerate((16, 8, 0)):
        table = BITS_OF_BYTE @ by_byte[8 * byte : 8 * byte + 8]
        total += table[(differing >> np.uint32(shift)) & np.uint32(0xFF)]
    return total
