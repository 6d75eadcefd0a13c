"""Ways to choose which items are compared with a query, each as a curve of recall@10 against the share compared."""

from __future__ import annotations

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.recall import K, tie_aware_recall
from hashgrain.codes import HashCodes, hamming, unpack_bits
from hashgrain.indexer import Index

Curve = list[tuple[float, float]]
"""(share of the items compared, recall@10), ascending."""

FINE_KEY_BITS = 16


def index_curve(index: Index, queries: HashCodes, kth: NDArray[np.int64], shares: list[float]) -> Curve:
    """The index in Redis, its budget of candidates set to each share."""
    items = len(index)
    curve = []
    for share in shares:
        hits = index.search(queries, K, rank="fine", candidates=max(K, round(share * items)))
        compared = float(np.mean([hit.candidates for hit in hits])) / items
        curve.append((compared, tie_aware_recall([hit.distances for hit in hits], kth, K)))
    return curve


def split_key_curve(items: HashCodes, queries: HashCodes, kth: NDArray[np.int64], shares: list[float]) -> Curve:
    """Buckets keyed by the coarse code and the first 16 fine bits, probed by the margins of both: computed, not stored.

    A partition by bits of the codes themselves, however small its buckets are, to compare with.
    """
    assert queries.coarse_logits is not None
    assert queries.fine_logits is not None
    coarse_bits = queries.coarse_logits.shape[1]
    bits = np.hstack([unpack_bits(items.coarse, coarse_bits), unpack_bits(items.fine[:, :2], FINE_KEY_BITS)])
    keys, bucket, sizes = np.unique(bits, axis=0, return_inverse=True, return_counts=True)
    by_bucket, start = np.argsort(bucket.ravel(), kind="stable"), np.concatenate([[0], np.cumsum(sizes)])
    margins = np.hstack([queries.coarse_logits, queries.fine_logits[:, :FINE_KEY_BITS]])
    found: list[list[NDArray[np.integer]]] = [[] for _ in shares]
    compared = np.zeros(len(shares))
    for row, margin in enumerate(margins):
        order = np.argsort((keys != (margin > 0)) @ np.abs(margin), kind="stable")
        filled = np.cumsum(sizes[order])
        taken = [int(np.searchsorted(filled, share * len(items))) + 1 for share in shares]
        members = np.concatenate([by_bucket[start[b] : start[b + 1]] for b in order[: max(taken)]])
        distances = hamming(queries.fine[row : row + 1], items.fine[members])[0]
        for place, count in enumerate(taken):
            stop = int(filled[min(count, len(filled)) - 1])
            found[place].append(np.sort(distances[:stop])[:K])
            compared[place] += stop / len(items)
    return [
        (float(total) / len(queries), tie_aware_recall(answers, kth, K))
        for total, answers in zip(compared, found, strict=True)
    ]


def faiss_ivf_curve(items: HashCodes, queries: HashCodes, kth: NDArray[np.int64], lists: int) -> Curve:
    """Faiss' IndexBinaryIVF with so many lists, trained on the items, by the number of lists probed."""
    index = trained_ivf(items, lists)
    sizes = np.array([index.invlists.list_size(number) for number in range(lists)])
    curve = []
    for probes in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128):
        if probes > lists // 4:
            break
        index.nprobe = probes
        nearest = index.quantizer.search(queries.fine, probes)[1]
        compared = float(sizes[nearest].sum(axis=1).mean()) / len(items)
        curve.append((compared, tie_aware_recall(list(index.search(queries.fine, K)[0]), kth, K)))
    return curve


def trained_ivf(items: HashCodes, lists: int) -> faiss.IndexBinaryIVF:
    """An IndexBinaryIVF of the fine codes."""
    bits = 8 * items.fine.shape[1]
    index = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(bits), bits, lists)
    index.train(items.fine)
    index.add(items.fine)
    return index


def at_share(curve: Curve, share: float) -> float | None:
    """Recall at a share, interpolated between measured points on a logarithmic axis; None outside of them."""
    shares = np.array([point[0] for point in curve])
    if not shares[0] <= share <= shares[-1]:
        return None
    return float(np.interp(np.log(share), np.log(shares), [point[1] for point in curve]))
