"""Redis 8's vector sets with binary quantisation, over a socket."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import redis
from numpy.typing import NDArray

from benchmarks.contenders import Contender, cheapest
from benchmarks.recall import K
from hashgrain.codes import HashCodes, hamming, unpack_bits

EF = (20, 40, 80, 120, 200, 300, 400, 600, 800, 1200, 1600)
KEY = "hashgrain-benchmark"
BATCH = 500


class VectorSetsPeer:
    """A vector set of its own, filled; `close` deletes it.

    Args:
        url: redis://host:port/database of a Redis 8 or later.
        items: N codes.
    """

    def __init__(self, url: str, items: HashCodes) -> None:
        self._redis: Any = redis.Redis.from_url(url)
        self._items = items
        self._bits = 8 * items.fine.shape[1]
        self._redis.delete(KEY)
        self.software = f"Redis {self._redis.info('server')['redis_version']}"
        before = self._redis.info("memory")["used_memory"]
        begin = time.perf_counter()
        for start in range(0, len(items), BATCH):
            pipeline: Any = self._redis.pipeline(transaction=False)
            for row, vector in enumerate(self._vectors(items[start : start + BATCH]), start):
                pipeline.execute_command("VADD", KEY, "FP32", vector, str(row), "BIN")
            pipeline.execute()
        self._load = len(items) / (time.perf_counter() - begin)
        self._size = (self._redis.info("memory")["used_memory"] - before) / len(items)

    def contender(self, queries: HashCodes, kth: NDArray[np.int64]) -> Contender:
        """With the least EF that reaches the recall."""
        ef = cheapest(EF, lambda ef: [self._search(query, ef) for query in queries], kth)
        return Contender(
            f"Redis vector set BIN, EF {ef}", lambda query: self._search(query, ef), None, self._load, self._size
        )

    def close(self) -> None:
        """Delete the set."""
        self._redis.unlink(KEY)
        self._redis.close()

    def _search(self, query: HashCodes, ef: int) -> NDArray[np.integer]:
        """Distances come from the items answered: the set's own scores are rounded similarities."""
        vector = self._vectors(query)[0]
        found = self._redis.execute_command("VSIM", KEY, "FP32", vector, "COUNT", K, "EF", ef)
        rows = np.array([int(name) for name in found], np.int64)
        distances: NDArray[np.integer] = hamming(query.fine, self._items.fine[rows])[0]
        return distances

    def _vectors(self, codes: HashCodes) -> list[bytes]:
        """Bits as -1 and 1 in little-endian float32: their binary quantisation is the code."""
        return [row.tobytes() for row in (2.0 * unpack_bits(codes.fine, self._bits) - 1).astype("<f4")]
