"""Retrieval metrics that do not depend on how ties are sorted.

Hamming distances tie in large groups, and an unstable sort moves mean average precision by one or two points. Here a
tied group counts with the average over all of its orders, in closed form (McSherry and Najork, "Computing information
retrieval performance measures efficiently in the presence of tied scores", ECIR 2008). The metrics take counts per
distance, one row per query, as `rankings` makes them; a ranking without ties has one item at each.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def average_precision(everything: NDArray[np.int64], relevant: NDArray[np.int64]) -> NDArray[np.float64]:
    """Expected average precision over all orders of tied items; over the whole ranking, AP@ALL.

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


def precision_at(everything: NDArray[np.int64], relevant: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """Expected share of relevant items among the first k, over all orders of tied items.

    Args:
        everything: int64 (Q, levels), the number of items at each distance, nearest first.
        relevant: int64 (Q, levels), the number of relevant ones among them.
        k: depth; where fewer items exist, the missing ones count as not relevant.

    Returns:
        float64 (Q,).
    """
    return _expected_sum(everything, relevant, np.full(k, 1.0 / k))


def normalised_dcg(counts: NDArray[np.int64], k: int, gains: tuple[float, ...] | None = None) -> NDArray[np.float64]:
    """Expected NDCG@k with graded gains, over all orders of tied items.

    DCG is the sum over positions i = 1..k of gain / log2(i + 1) (Järvelin and Kekäläinen, "Cumulated gain-based
    evaluation of IR techniques", ACM TOIS 2002, with the gain taken as it is, not as 2^gain - 1); each position of a
    tied group has the group's mean gain (McSherry and Najork). The ideal ordering is that of all items in the counts.

    Args:
        counts: int64 (Q, levels, grades), the number of items of each grade at each distance, nearest first.
        k: depth.
        gains: the gain of each grade, ascending, not negative; by default the grade itself: 0 for a stranger, 1 for the
            same superclass, 2 for the same class.

    Returns:
        float64 (Q,), 0 where no item has a gain.
    """
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    worth = np.arange(counts.shape[2], dtype=float) if gains is None else np.asarray(gains)
    found = _expected_sum(counts.sum(2), counts @ worth, discounts)
    best_first = counts.sum(1)[:, ::-1]
    ideal = _expected_sum(best_first, best_first * worth[::-1], discounts)
    return np.divide(found, ideal, out=np.zeros_like(found), where=ideal > 0)


def within_nearest(distances: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """How likely each item is among the k nearest when ties fall in any order.

    Args:
        distances: (N,), N at least k.
        k: how many.

    Returns:
        float64 (N,), 1 for items nearer than the k-th, 0 for those farther; the sum is k.
    """
    limit = np.partition(distances, k - 1)[k - 1]
    nearer, tied = distances < limit, distances == limit
    chances: NDArray[np.float64] = nearer + tied * ((k - np.count_nonzero(nearer)) / np.count_nonzero(tied))
    return chances


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


def _expected_sum(
    everything: NDArray[np.int64], values: NDArray[np.integer] | NDArray[np.floating], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The sum of weight * value over the first positions, each with the mean value of the group that it falls in.

    Args:
        everything: int64 (Q, levels), the number of items at each distance.
        values: (Q, levels), the sum of their values.
        weights: float64 (k,), the weight of each position.
    """
    cumulative = np.concatenate([[0.0], np.cumsum(weights)])
    end = np.cumsum(everything, 1)
    inside = cumulative[np.minimum(end, len(weights))] - cumulative[np.minimum(end - everything, len(weights))]
    total: NDArray[np.float64] = (inside * values / np.maximum(everything, 1)).sum(1)
    return total
