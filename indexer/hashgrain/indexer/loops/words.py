"""Codes of both lengths as rows of words, for the compiled loops."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]
"""Codes, (N, W): fine code, coarse code, zeros up to a multiple of `GROUP` words."""

GROUP = 3
"""Words that are compared at once: 64 fine and up to 32 coarse bits are one group."""

STEP = 64
"""Centroids that vector instructions take at once, unrolled as the compiler likes it."""


def as_words(fine: NDArray[np.uint8], coarse: NDArray[np.uint8]) -> Words:
    """Lay out codes of both lengths, uint8 (N, bytes) each, as words."""
    width = -(-(fine.shape[1] + coarse.shape[1]) // (4 * GROUP)) * 4 * GROUP
    rows = np.zeros((len(fine), width), np.uint8)
    rows[:, : fine.shape[1]] = fine
    rows[:, fine.shape[1] : fine.shape[1] + coarse.shape[1]] = coarse
    return rows.view(np.uint32)


def as_columns(centroids: Words) -> Words:
    """Centroids word by word, (W, B'), B' a multiple of `STEP`: what is missing to it are copies of the last.

    These are never found, since of equally near ones the lowest number is.
    """
    missing = -len(centroids) % STEP
    return np.ascontiguousarray(np.concatenate([centroids, np.repeat(centroids[-1:], missing, axis=0)]).T)
