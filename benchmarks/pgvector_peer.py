"""PostgreSQL with pgvector: an HNSW index of bit strings, over a socket."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contenders import Contender, cheapest
from benchmarks.recall import K
from hashgrain.codes import HashCodes

EF = (20, 40, 80, 120, 200, 300, 400, 600, 800, 1000)
TABLE = "hashgrain_benchmark"


class PgvectorPeer:
    """A table of its own in a database, filled; `close` drops it.

    Args:
        url: postgresql://user:password@host:port/database, with the extension available.
        items: N codes.
    """

    def __init__(self, url: str, items: HashCodes) -> None:
        import psycopg

        connect: Any = psycopg.connect  # rows come as their query says, which no type can
        self._database = connect(url, autocommit=True, prepare_threshold=0)
        bits = 8 * items.fine.shape[1]
        self._database.execute("CREATE EXTENSION IF NOT EXISTS vector")
        self._database.execute(f"DROP TABLE IF EXISTS {TABLE}")
        begin = time.perf_counter()
        self._database.execute(f"CREATE UNLOGGED TABLE {TABLE} (id integer PRIMARY KEY, code bit({bits}))")
        with self._database.cursor().copy(f"COPY {TABLE} FROM STDIN") as copy:
            for row, code in enumerate(items.fine):
                copy.write_row((row, bit_string(code)))
        self._database.execute("SET maintenance_work_mem = '2GB'")
        self._database.execute(f"CREATE INDEX ON {TABLE} USING hnsw (code bit_hamming_ops)")
        self._load = len(items) / (time.perf_counter() - begin)
        self._size = self._value(f"SELECT pg_total_relation_size('{TABLE}')") / len(items)
        server = self._value("SHOW server_version").split()[0]
        version = self._value("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        self.software = f"PostgreSQL {server}, pgvector {version}"
        self._select = (
            f"SELECT (code <~> %s::bit({bits}))::int FROM {TABLE} ORDER BY code <~> %s::bit({bits}) LIMIT {K}"
        )

    def contender(self, queries: HashCodes, kth: NDArray[np.int64]) -> Contender:
        """With the least ef_search that reaches the recall."""

        def answers(ef: int) -> list[NDArray[np.integer]]:
            self._database.execute(f"SET hnsw.ef_search = {ef}")
            return [self._search(query) for query in queries]

        ef = cheapest(EF, answers, kth)
        self._database.execute(f"SET hnsw.ef_search = {ef}")
        return Contender(f"pgvector bit HNSW, ef {ef}", self._search, None, self._load, self._size)

    def close(self) -> None:
        """Drop the table."""
        self._database.execute(f"DROP TABLE IF EXISTS {TABLE}")
        self._database.close()

    def _value(self, question: str) -> Any:
        return self._database.execute(question).fetchone()[0]

    def _search(self, query: HashCodes) -> NDArray[np.integer]:
        code = bit_string(query.fine[0])
        return np.array([row[0] for row in self._database.execute(self._select, (code, code)).fetchall()], np.int64)


def bit_string(code: NDArray[np.uint8]) -> str:
    """A packed code as PostgreSQL writes bits: "0110..."."""
    return f"{int.from_bytes(code.tobytes()):0{8 * len(code)}b}"
