"""The codes in which a ranking counts distances, as rows of 64-bit words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.hamming import popcount
from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.request import Rank

Words = NDArray[np.uint64]

_WORD = 8


def ranked_words(fine: NDArray[np.uint8], coarse: NDArray[np.unsignedinteger], rank: Rank, layout: CodeLayout) -> Words:
    """Codes whose Hamming distance is the distance of the ranking, uint64 (N, W).

    Args:
        fine: uint8 (N, fine bytes), packed.
        coarse: uint16 or uint32 (N,), the coarse codes as numbers.
        rank: the ranking.
        layout: the code lengths.
    """
    parts = []
    if rank != "coarse":
        parts.append(fine)
    if rank != "fine":
        parts.append(coarse.astype("<u4").view(np.uint8).reshape(-1, 4)[:, : layout.coarse_bytes])
    size = sum(part.shape[1] for part in parts)
    rows = np.zeros((len(fine), -(-size // _WORD) * _WORD), np.uint8)
    rows[:, :size] = np.concatenate(parts, axis=1)
    return rows.view(np.uint64)


def distances(left: Words, right: Words) -> NDArray[np.uint16]:
    """Hamming distance of each row to the same row of the other, or to its only one."""
    found: NDArray[np.uint16] = popcount(left ^ right).sum(axis=1, dtype=np.uint16)
    return found
