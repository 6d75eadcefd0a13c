"""Faiss' binary indexes, in this process: nothing between the query and the codes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.contenders import RECALL, Contender, cheapest
from benchmarks.partitions import trained_ivf
from benchmarks.recall import K
from hashgrain.codes import HashCodes
from hashgrain.codes.cores import usable_cores

PROBES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
CORES = usable_cores()


def flat_index(items: HashCodes) -> faiss.IndexBinaryFlat:
    """All fine codes in a row."""
    index = faiss.IndexBinaryFlat(8 * items.fine.shape[1])
    index.add(items.fine)
    return index


def kth_by(flat: faiss.IndexBinaryFlat, queries: HashCodes) -> NDArray[np.int64]:
    """The true K-th distance of each query, int64 (Q,), by exhaustive search on all cores."""
    found: NDArray[np.int64] = _on_cores(flat, queries)[:, K - 1].astype(np.int64)
    return found


def flat_contender(flat: faiss.IndexBinaryFlat, items: HashCodes) -> Contender:
    """Exhaustive search."""
    return Contender(
        "Faiss IndexBinaryFlat", lambda query: _on_one(flat, query), lambda queries: _on_cores(flat, queries), None,
        float(items.fine.shape[1])
    )  # fmt: skip


def ivf_contender(items: HashCodes, queries: HashCodes, kth: NDArray[np.int64], recall: float = RECALL) -> Contender:
    """Inverted lists, about sqrt(N) of them, with the fewest probes that reach the recall."""
    lists = 2 ** round(np.log2(max(16.0, len(items) ** 0.5)))
    begin = time.perf_counter()
    index = trained_ivf(items, lists)
    load = len(items) / (time.perf_counter() - begin)

    def answers(probes: int) -> list[NDArray[np.integer]]:
        index.nprobe = probes
        return list(_on_cores(index, queries))

    index.nprobe = cheapest([p for p in PROBES if p <= lists], answers, kth, recall)
    name = f"Faiss IVF, {lists:,} lists, {index.nprobe} probed"
    size = items.fine.shape[1] + 8.0  # the code and a 64-bit number
    return Contender(
        name, lambda query: _on_one(index, query), lambda queries: _on_cores(index, queries), load, size
    )  # fmt: skip


def _on_one(index: Any, queries: HashCodes) -> NDArray[np.integer]:
    found: NDArray[np.integer] = index.search(queries.fine, K)[0][0]
    return found


def _on_cores(index: Any, queries: HashCodes) -> NDArray[np.integer]:
    """A thread of ours for each core, as Faiss' own threads wait by spinning and lose much on a busy machine."""
    parts = np.array_split(queries.fine, CORES)
    return np.concatenate(list(_pool.map(lambda fine: index.search(fine, K)[0], parts)))


faiss.omp_set_num_threads(1)
_pool = ThreadPoolExecutor(CORES)
