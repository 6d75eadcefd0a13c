"""The codes in which a ranking counts distances, as rows of 64-bit words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.hamming import popcount
from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.request import RANKS, Rank

Words = NDArray[np.uint64]

_WORD = 8


def require_radius(radius: int, rank: Rank, layout: CodeLayout) -> int:
    """The radius itself.

    Raises:
        InvalidInput: `rank` is no ranking, or the radius no integer from 0 to below the bits that the ranking counts.
    """
    if rank not in RANKS:
        raise InvalidInput(f"rank must be one of {', '.join(RANKS)}, got {rank!r}")
    bits = {"total": layout.fine_bits + layout.coarse_bits, "fine": layout.fine_bits, "coarse": layout.coarse_bits}
    if isinstance(radius, bool) or not isinstance(radius, int | np.integer) or not 0 <= radius < bits[rank]:
        raise InvalidInput(
            f"radius must be an integer of 0 or more, and less than the {bits[rank]} bits of the {rank} distance, "
            f"got {radius!r}"
        )
    return int(radius)


def ranked_words(fine: NDArray[np.uint8], coarse: NDArray[np.uint32], rank: Rank, layout: CodeLayout) -> Words:
    """Codes whose Hamming distance is the distance of the ranking, uint64 (N, W).

    Args:
        fine: uint8 (N, fine bytes), packed.
        coarse: uint32 (N,), the coarse codes as numbers.
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
