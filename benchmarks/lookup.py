"""The index in Redis beside Faiss' binary indexes in process: `python -m benchmarks.lookup [--items N]`."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.codes import GeneratedCodes
from hashgrain.codes import CodeLayout, HashCodes, hamming
from hashgrain.codes.errors import IndexMissing
from hashgrain.indexer import Index, drop_index
from hashgrain.runtime.servers import start, stop

K = 10
NAME = "benchmark"


def main() -> None:
    """Load, search, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=300)
    arguments = parser.parse_args()
    layout = CodeLayout(16, 64)
    made = GeneratedCodes(layout, arguments.items, seed=1)
    base, queries = made.codes(), made.queries(arguments.queries)
    truth = np.sort(hamming(queries.fine, base.fine), axis=1)[:, K - 1]
    faiss.omp_set_num_threads(1)
    servers = start(announce=print)
    try:
        rows = [*_faiss_rows(base, queries, truth), *_index_rows(servers.redis_address, base, queries, truth)]
    finally:
        if servers.started:
            stop()
    print(
        f"{arguments.items:,} items, 16 + 64 bits, {arguments.queries} queries one at a time, k = {K}, by fine distance"
    )
    print(f"{servers.redis.software}, Faiss {faiss.__version__} on one thread; tie-aware recall@{K}")
    print(f"{'':34}{'recall':>8}{'p50 ms':>9}{'p99 ms':>9}{'x Faiss flat':>14}{'items/s':>12}{'B/item':>8}")
    flat = rows[0][2]
    for name, recall, p50, p99, load, size in rows:
        print(f"{name:34}{recall:8.3f}{p50:9.3f}{p99:9.3f}{p50 / flat:14.2f}{load:12,.0f}{size:8.0f}")


Row = tuple[str, float, float, float, float, float]


def _faiss_rows(base: HashCodes, queries: HashCodes, truth: NDArray[np.uint16]) -> list[Row]:
    bits = 8 * base.fine.shape[1]
    rows: list[Row] = []
    start_s = time.perf_counter()
    flat = faiss.IndexBinaryFlat(bits)
    flat.add(base.fine)
    rows.append(_timed("Faiss IndexBinaryFlat, in process", queries, truth, lambda q: flat.search(q.fine, K)[0][0],
                       len(base) / (time.perf_counter() - start_s), 8))  # fmt: skip
    start_s = time.perf_counter()
    lists = max(16, int(len(base) ** 0.5))
    inverted = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(bits), bits, lists)
    inverted.train(base.fine)
    inverted.add(base.fine)
    inverted.nprobe = max(1, lists // 50)
    load = len(base) / (time.perf_counter() - start_s)
    name = f"Faiss IVF {lists}/{inverted.nprobe}, in process"
    rows.append(_timed(name, queries, truth, lambda q: inverted.search(q.fine, K)[0][0], load, 16))
    return rows


def _index_rows(redis: str, base: HashCodes, queries: HashCodes, truth: NDArray[np.uint16]) -> list[Row]:
    with contextlib.suppress(IndexMissing):
        drop_index(redis, NAME)
    rows: list[Row] = []
    with Index.create(redis, NAME, CodeLayout(16, 64)) as index:
        start_s = time.perf_counter()
        index.add(range(len(base)), base)
        load = len(base) / (time.perf_counter() - start_s)
        size = index.stats().memory / len(base)
        rows += _search_rows("hashgrain", index, queries, truth, load, size)
        with Index.open(redis, NAME, cache_bytes=1 << 30) as hot:
            hot.search(queries[:1], K, exact=True)  # reads every bucket
            rows += _search_rows("hashgrain, hot", hot, queries, truth, load, size)
        index.drop()
    return rows


def _search_rows(
    name: str, index: Index, queries: HashCodes, truth: NDArray[np.uint16], load: float, size: float
) -> list[Row]:
    items = len(index)
    rows = [
        _timed(f"{name}, {candidates:,} candidates", queries, truth,
               lambda q, c=candidates: index.search(q, K, rank="fine", candidates=c)[0].distances, load, size)
        for candidates in (items // 100, items // 50, items // 20)
    ]  # fmt: skip
    rows.append(_timed(f"{name}, exact", queries, truth,
                       lambda q: index.search(q, K, rank="fine", exact=True)[0].distances, load, size))  # fmt: skip
    return rows


def _timed(
    name: str, queries: HashCodes, truth: NDArray[np.uint16], search: Callable[[HashCodes], NDArray[np.integer]],
    load: float, size: float,
) -> Row:  # fmt: skip
    """Recall counts every neighbour no farther than the true k-th: tied items are equally right."""
    search(queries[:1])
    seconds, right = [], 0
    for row, query in enumerate(queries):
        begin = time.perf_counter()
        found = search(query)
        seconds.append(time.perf_counter() - begin)
        right += int(np.sum(np.asarray(found) <= truth[row]))
    p50, p99 = 1000 * np.percentile(seconds, [50, 99])
    return name, right / (K * len(queries)), float(p50), float(p99), load, size


if __name__ == "__main__":
    main()
