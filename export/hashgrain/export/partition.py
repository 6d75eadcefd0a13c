"""How good a partition the codes are: recall of the true nearest items for the share of the database that is scanned.

An index keeps a bucket per key and reads buckets in order of their distance to the query. Here the same order is
walked without an index: items by the distance of their key to the query's, up to a budget, the last bucket cut where
the budget ends. Buckets at one distance may come in any order, and so may the items of a bucket: recall is the expected
value over all of these orders, in closed form. An item found counts where its fine distance is at most that of the
true k-th, so that no system is blamed for choosing differently among equals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hashgrain.codes import CodeLayout, HashCodes, hamming
from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.packing import unpack_bits

SHARES = (0.005, 0.01, 0.02, 0.05)
EXTRA_FINE_BITS = 16
CHUNK = 16


@dataclass(frozen=True)
class PartitionRecall:
    """Mean over queries of the recall of the exhaustive fine ranking's first k.

    Attributes:
        key: which bits name a bucket, in words.
        order: ``margin``, where each differing bit weighs the query's |logit|, or ``hamming``.
        share: of the database that is scanned.
        recall: of the true k nearest by fine distance.
    """

    key: str
    order: str
    share: float
    recall: float


def partition_recall(
    queries: HashCodes,
    database: HashCodes,
    layout: CodeLayout,
    k: int = 10,
    shares: tuple[float, ...] = SHARES,
    extra_fine_bits: int = EXTRA_FINE_BITS,
    progress: bool = False,
) -> tuple[PartitionRecall, ...]:
    """Recall@k for each key (coarse code; coarse code and leading fine bits; as many fine bits alone), order and share.

    Args:
        queries: codes of Q pictures, with logits at both levels.
        database: codes of N pictures.
        layout: the code lengths.
        k: how many nearest items are sought.
        shares: of the database, ascending; one that is fewer than k items is left out, since no index could find k.
        extra_fine_bits: leading fine bits of the key that has both.
        progress: show a progress bar.

    Raises:
        InvalidInput: the queries carry no logits.
    """
    if queries.coarse_logits is None or queries.fine_logits is None:
        raise InvalidInput("the queries carry no logits, which weigh the bits; encode them with logits")
    budgets = {share: int(share * len(database)) for share in shares if share * len(database) >= k}
    if not budgets:
        return ()
    targets = _near_items(queries.fine, database.fine, k)
    bits = np.hstack([unpack_bits(database.coarse, layout.coarse_bits), unpack_bits(database.fine, layout.fine_bits)])
    logits = np.hstack([queries.coarse_logits, queries.fine_logits])
    coarse, longer = layout.coarse_bits, layout.coarse_bits + extra_fine_bits
    fine = min(longer, layout.fine_bits)
    recalls = []
    bar = tqdm(total=6, desc="partition", unit="order", disable=not progress)
    for name, part in (
        ("coarse", slice(coarse)),
        (f"coarse + {extra_fine_bits} fine bits", slice(longer)),
        (f"{fine} fine bits", slice(coarse, coarse + fine)),
    ):
        keys, bucket, sizes = np.unique(
            np.packbits(bits[:, part], axis=1), axis=0, return_inverse=True, return_counts=True
        )
        signs = 2 * np.unpackbits(keys, axis=1, count=bits[:, part].shape[1]).astype(np.float32) - 1
        for order in ("margin", "hamming"):
            weights = logits[:, part] if order == "margin" else np.where(logits[:, part] > 0, 1, -1)
            found = _recalls(weights.astype(np.float32), signs, bucket.ravel(), sizes, targets, budgets, k)
            recalls += [PartitionRecall(name, order, share, recall) for share, recall in found.items()]
            bar.update()
    bar.close()
    return tuple(recalls)


def expected_least(limit: NDArray[np.int64], group: NDArray[np.int64], good: NDArray[np.int64],
                   drawn: NDArray[np.int64]) -> NDArray[np.float64]:  # fmt: skip
    """The expected value of min(limit, X), X the good items among those drawn from a group: hypergeometric.

    Args:
        limit, group, good, drawn: int64 (Q,); good and drawn are at most group.

    Returns:
        float64 (Q,), the sum over x < limit of P(X > x).
    """
    deepest = int(limit.max(initial=0))
    x = np.arange(deepest)
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, group.max(initial=0) + 1)))])

    def log_choose(n: NDArray[np.int64], r: NDArray[np.int64]) -> NDArray[np.float64]:
        inside = (r >= 0) & (r <= n)
        r = np.where(inside, r, 0)
        n = np.maximum(n, r)
        ways: NDArray[np.float64] = log_factorials[n] - log_factorials[r] - log_factorials[n - r]
        return np.where(inside, ways, -np.inf)

    n, b, m = group[:, None], good[:, None], drawn[:, None]
    probability = np.exp(log_choose(b, x) + log_choose(n - b, m - x) - log_choose(n, m))
    above = np.clip(1 - np.cumsum(probability, 1), 0, 1)
    expected: NDArray[np.float64] = (above * (x < limit[:, None])).sum(1)
    return expected


def _near_items(queries: NDArray[np.uint8], database: NDArray[np.uint8], k: int) -> list[NDArray[np.int64]]:
    """For each query the items whose fine distance is at most that of the true k-th."""
    near = []
    for start in range(0, len(queries), CHUNK):
        distances = hamming(queries[start : start + CHUNK], database)
        farthest = np.partition(distances, k - 1, axis=1)[:, k - 1]
        near += [np.flatnonzero(row <= limit) for row, limit in zip(distances, farthest, strict=True)]
    return near


def _recalls(
    weights: NDArray[np.float32],
    signs: NDArray[np.float32],
    bucket: NDArray[np.int64],
    sizes: NDArray[np.int64],
    near: list[NDArray[np.int64]],
    budgets: dict[float, int],
    k: int,
) -> dict[float, float]:
    """Mean recall for each share.

    Args:
        weights: float32 (Q, bits), the query's signed weight of each bit: the less they agree with a key's signs, the
            farther the bucket.
        signs: float32 (buckets, bits) of -1 and +1, the keys.
        bucket: int64 (N,), the bucket of each item.
        sizes: int64 (buckets,), items in each.
        near: for each query, the items that count as found.
        budgets: items to scan, by share.
        k: how many of them are sought.
    """
    limits = np.array(list(budgets.values()))
    whole, group, good, drawn = (np.zeros((len(weights), len(limits)), np.int64) for _ in range(4))
    for query, items in enumerate(near):
        first, end = _spans(-(signs @ weights[query]), sizes)
        first, end = first[bucket[items], None], end[bucket[items], None]
        whole[query] = (end <= limits).sum(0)
        cut = (first < limits) & (limits < end)
        good[query] = cut.sum(0)
        group[query] = np.where(cut, end - first, 0).max(0)
        drawn[query] = np.where(cut, limits - first, 0).max(0)
    at_most = np.maximum(k - whole, 0)
    expected = expected_least(at_most.ravel(), group.ravel(), good.ravel(), drawn.ravel()).reshape(whole.shape)
    means = (np.minimum(whole, k) + expected).mean(0) / k
    return {share: float(mean) for share, mean in zip(budgets, means, strict=True)}


def _spans(distances: NDArray[np.float32], sizes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Items before each bucket's distance, and up to and including it, int64 (buckets,) each."""
    order = np.argsort(distances)
    ends = np.cumsum(sizes[order])
    starts_anew = np.concatenate([[True], np.diff(distances[order]) != 0])
    level = np.cumsum(starts_anew) - 1
    last = np.append(np.flatnonzero(starts_anew)[1:], len(order)) - 1
    end = np.empty_like(sizes)
    end[order] = ends[last][level]
    first = np.empty_like(sizes)
    first[order] = np.concatenate([[0], ends[last]])[level]
    return first, end
