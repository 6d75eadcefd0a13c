"""What is left of an index that loses nine of ten items: `python -m benchmarks.shrinking [--items N]`.

Items are deleted in random order, and one region after another; beside it, an index that holds the rest alone, loaded
in bulk or added. Prints buckets, bytes an item, and the share of items compared to find all within 6 bits.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from benchmarks.codes import GeneratedCodes
from benchmarks.server import own_redis
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.hamming import hamming
from hashgrain.indexer import Index

LAYOUT = CodeLayout(16, 64)
QUERIES, WITHIN, AT_ONCE = 100, 6, 1000


def main() -> None:
    """Load, delete, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=200_000, help="200,000 by default")
    count = parser.parse_args().items
    made = GeneratedCodes(LAYOUT, count, seed=1)
    codes, queries = made.codes(), made.queries(QUERIES)
    away = hamming(codes.fine[:1], codes.fine)[0] + hamming(codes.coarse[:1], codes.coarse)[0]
    orders = {"at random": np.random.default_rng(2).permutation(count), "by regions": np.argsort(away, kind="stable")}
    print(f"{'':32}{'items':>10}{'buckets':>9}{'B/item':>8}{'compared':>10}")
    with own_redis() as url:
        for how, order in orders.items():
            gone, left = order[: count * 9 // 10], np.sort(order[count * 9 // 10 :])
            with Index.create(url, "index", LAYOUT) as index:
                index.load(np.arange(count), codes)
                tell("before", index, queries)
                for first in range(0, len(gone), AT_ONCE):
                    index.delete(gone[first : first + AT_ONCE].tolist())
                tell(f"deleted {how}", index, queries)
                index.drop()
            fresh(url, left, codes[left], queries)


def fresh(url: str, ids: NDArray[np.int64], codes: HashCodes, queries: HashCodes) -> None:
    """The same of indexes that never held anything else."""
    with Index.create(url, "loaded", LAYOUT) as loaded, Index.create(url, "added", LAYOUT) as added:
        loaded.load(ids, codes)
        tell("  the rest alone, loaded", loaded, queries)
        added.add(ids.tolist(), codes)
        tell("  the rest alone, added", added, queries)
        loaded.drop()
        added.drop()


def tell(name: str, index: Index, queries: HashCodes) -> None:
    """One line."""
    found = index.stats()
    hits = index.search(queries, within=WITHIN, rank="fine")
    share = float(np.mean([hit.candidates for hit in hits])) / found.items
    print(f"{name:32}{found.items:10,}{found.buckets:9,}{found.memory / found.items:8.1f}{share:10.3f}", flush=True)


if __name__ == "__main__":
    main()
