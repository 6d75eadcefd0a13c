"""Which coarse codes are occupied, as a bitmap that tells at once whether a code is, and the how-manieth it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.hamming import popcount

WORD_BITS = 64


class Occupancy:
    """The occupied coarse codes of an index.

    Args:
        codes: uint32 (B,), the codes as numbers, ascending, each once.
        bits: length of a coarse code.

    Attributes:
        codes, bits: the same.
        everywhere: intp (B,), the positions of all codes.
        words: uint64 (words,), code c is bit c % 64, counted from the lowest, of word c // 64.
        before: uint32 (words,), how many codes are occupied in the words before each.
    """

    def __init__(self, codes: NDArray[np.uint32], bits: int) -> None:
        self.codes = codes
        self.bits = bits
        self.everywhere: NDArray[np.intp] = np.arange(len(codes))
        flags = np.zeros(max(1 << bits, WORD_BITS), np.bool_)
        flags[codes] = True
        self.words: NDArray[np.uint64] = np.packbits(flags, bitorder="little").view("<u8").astype(np.uint64)
        in_word = popcount(self.words).astype(np.uint32)
        self.before: NDArray[np.uint32] = np.cumsum(in_word, dtype=np.uint32) - in_word

    def __len__(self) -> int:
        return len(self.codes)
