"""Recall at k that counts ties as right, against exhaustive ranking by fine distance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes import HashCodes, hamming
from hashgrain.codes.errors import InvalidInput

K = 10
"""Neighbours that every benchmark asks for."""


def kth_distances(queries: HashCodes, items: Iterable[HashCodes], k: int) -> NDArray[np.int64]:
    """Of each query, the k-th smallest fine distance over all items, int64 (Q,); items come in chunks.

    Raises:
        InvalidInput: there are fewer than k items.
    """
    best = np.empty((len(queries), 0), np.int64)
    for chunk in items:
        for part in (chunk[start : start + _PART] for start in range(0, len(chunk), _PART)):
            distances = hamming(queries.fine, part.fine).astype(np.int64)
            few = min(k, distances.shape[1])
            nearest = np.partition(distances, few - 1, axis=1)[:, :few]
            best = np.sort(np.hstack([best, nearest]), axis=1)[:, :k]
    if best.shape[1] < k:
        raise InvalidInput(f"recall at {k} needs {k} items or more, got {best.shape[1]}")
    return best[:, -1]


def tie_aware_recall(found: Sequence[NDArray[np.integer]], kth: NDArray[np.int64], k: int) -> float:
    """Mean over the queries of the share of the k answers that are as near as the true k-th.

    Any item at the k-th distance is as right as any other; answers that are missing count as wrong.

    Args:
        found: per query, fine distances of up to k items that were answered.
        kth: see `kth_distances`.
        k: how many were asked for.
    """
    right = sum(int(np.sum(np.asarray(distances)[:k] <= limit)) for distances, limit in zip(found, kth, strict=True))
    return right / (k * len(kth))


_PART = 1 << 16
