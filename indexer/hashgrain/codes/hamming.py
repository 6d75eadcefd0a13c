"""Hamming distance on packed codes, for NumPy 1.26 and 2 alike."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray


def popcount(words: NDArray[np.unsignedinteger]) -> NDArray[np.uint8]:
    """Number of 1 bits of every element, any unsigned dtype, same shape, uint8."""
    if hasattr(np, "bitwise_count"):  # NumPy 2
        counts: NDArray[np.uint8] = np.bitwise_count(words)
        return counts
    return _popcount_swar(words)


def _popcount_swar(words: NDArray[np.unsignedinteger]) -> NDArray[np.uint8]:
    """Parallel bit count by shift and add (Warren, Hacker's Delight, 5-1)."""
    x = words.astype(np.uint64)
    x -= (x >> np.uint64(1)) & np.uint64(0x5555555555555555)
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return ((x * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.uint8)


def hamming(queries: NDArray[np.uint8], codes: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Hamming distance from every query to every code.

    Args:
        queries: packed codes, uint8 (Q, bytes).
        codes: packed codes, uint8 (N, bytes).

    Returns:
        uint16 (Q, N), in bits.
    """
    left, right = _words(queries), _words(codes)
    distances = np.zeros((len(queries), len(codes)), np.uint16)
    for word in range(left.shape[1]):
        distances += popcount(left[:, word, None] ^ right[None, :, word])
    return distances


@cache
def word_type(code_bytes: int) -> np.dtype[np.unsignedinteger]:
    """The widest unsigned words that divide a packed code of so many bytes."""
    return np.dtype(f"u{next(size for size in (8, 4, 2, 1) if code_bytes % size == 0)}")


def _words(codes: NDArray[np.uint8]) -> NDArray[np.unsignedinteger]:
    """View the rows as words."""
    return np.ascontiguousarray(codes).view(word_type(codes.shape[1]))
