"""Retrieval metrics that do not depend on how ties are sorted.

Hamming distances tie in large groups, and an unstable sort moves mean average precision by one or two points. Here a
tied group counts with the average over all of its orders, in closed form (McSherry and Najork, "Computing information
retrieval performance measures efficiently in the presence of tied scores", ECIR 2008).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes import hamming
from hashgrain.codes.errors import InvalidInput


def mean_average_precision(
    query_codes: NDArray[np.uint8],
    database_codes: NDArray[np.uint8],
    query_labels: NDArray[np.int64],
    database_labels: NDArray[np.int64],
    chunk: int = 64,
) -> float:
    """Tie-aware mAP@ALL of the ranking by Hamming distance.

    Args:
        query_codes: packed, uint8 (Q, bytes).
        database_codes: packed, uint8 (N, bytes).
        query_labels, database_labels: int64 (Q,) and (N,); a picture is relevant where the labels are equal.
        chunk: queries per step; memory is chunk * N * 10 bytes.

    Returns:
        The mean over queries of average precision over the whole ranking; a query without a relevant picture counts
        as 0.

    Raises:
        InvalidInput: codes and labels disagree in number, or one side is empty.
    """
    _require_rows(query_codes, query_labels, "query")
    _require_rows(database_codes, database_labels, "database")
    levels = 8 * query_codes.shape[1] + 1
    total = 0.0
    for start in range(0, len(query_codes), chunk):
        rows = slice(start, start + chunk)
        distances = hamming(query_codes[rows], database_codes).astype(np.int64)
        relevant = query_labels[rows, None] == database_labels
        total += average_precision(*_histograms(distances, relevant, levels)).sum()
    return total / len(query_codes)


def average_precision(everything: NDArray[np.int64], relevant: NDArray[np.int64]) -> NDArray[np.float64]:
    """Expected average precision over all orders of tied items.

    Args:
        everything: int64 (Q, levels), the number of items at each distance, nearest first.
        relevant: int64 (Q, levels), the number of relevant ones among them.

    Returns:
        float64 (Q,), 0 where nothing is relevant.
    """
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, everything.sum(1).max() + 1))])
    before = np.cumsum(everything, 1) - everything
    relevant_before = np.cumsum(relevant, 1) - relevant
    # Within a group of n items, r of them relevant, item i is relevant with probability r / n, and then has on average
    # (i - 1) (r - 1) / (n - 1) relevant ones before it in the group. Summing precision over i gives harmonic numbers.
    slope = (relevant - 1) / np.maximum(everything - 1, 1)
    spread = harmonic[before + everything] - harmonic[before]
    sums = (relevant_before + 1 - slope * (before + 1)) * spread + slope * everything
    shares = relevant / np.maximum(everything, 1)
    found: NDArray[np.float64] = (shares * sums).sum(1) / np.maximum(relevant.sum(1), 1)
    return found


def cosine_mean_average_precision(
    query_features: NDArray[np.float32],
    database_features: NDArray[np.float32],
    query_labels: NDArray[np.int64],
    database_labels: NDArray[np.int64],
    chunk: int = 64,
) -> float:
    """mAP@ALL of the ranking by cosine of float features, the ceiling that codes are held against.

    Args:
        query_features, database_features: float32 (Q, D) and (N, D).
        query_labels, database_labels: int64 (Q,) and (N,).
        chunk: queries per step.
    """
    queries = query_features / np.linalg.norm(query_features, axis=1, keepdims=True)
    database = database_features / np.linalg.norm(database_features, axis=1, keepdims=True)
    ranks = np.arange(1, len(database) + 1)
    total = 0.0
    for start in range(0, len(queries), chunk):
        rows = slice(start, start + chunk)
        order = np.argsort(-(queries[rows] @ database.T), axis=1, kind="stable")
        relevant = database_labels[order] == query_labels[rows, None]
        precision = np.cumsum(relevant, 1) / ranks
        total += float(((precision * relevant).sum(1) / np.maximum(relevant.sum(1), 1)).sum())
    return total / len(queries)


def bucket_statistics(keys: NDArray[np.uint32]) -> dict[str, float]:
    """How the coarse codes spread over buckets.

    Args:
        keys: uint32 (N,), the bucket of every item.

    Returns:
        ``buckets`` in use, ``entropy_bits`` H, ``largest_share`` max p, and ``collision`` sum p^2: the share of the
        collection that shares a bucket with an average item.
    """
    _, counts = np.unique(keys, return_counts=True)
    shares = counts / len(keys)
    return {
        "buckets": len(counts),
        "entropy_bits": float(-(shares * np.log2(shares)).sum()),
        "largest_share": float(shares.max()),
        "collision": float((shares**2).sum()),
    }


def _histograms(
    distances: NDArray[np.int64], relevant: NDArray[np.bool_], levels: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    queries = len(distances)
    cells = distances + levels * np.arange(queries)[:, None]
    everything = np.bincount(cells.ravel(), minlength=queries * levels).reshape(queries, levels)
    hits = np.bincount(cells[relevant], minlength=queries * levels).reshape(queries, levels)
    return everything, hits


def _require_rows(codes: NDArray[np.uint8], labels: NDArray[np.int64], side: str) -> None:
    if len(codes) != len(labels):
        raise InvalidInput(f"{len(codes)} {side} codes but {len(labels)} labels; give one label per code")
    if len(codes) == 0:
        raise InvalidInput(f"the {side} side is empty; mAP needs at least one picture on each side")
