"""PostgreSQL with pgvector under a WHERE: its HNSW index of bit strings, with and without iterative scans, and none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contenders import Contender, cheapest
from benchmarks.pgvector_peer import EF, bit_string
from benchmarks.recall import K
from hashgrain.codes import HashCodes

TABLE = "hashgrain_filters"
TRIED = 40
"""Queries that ef_search is chosen by: where few rows match, one may take a second."""


class PgvectorFilters:
    """A table of its own in a database, filled; `close` drops it.

    Args:
        url: postgresql://user:password@host:port/database, with the extension available.
        items: N codes.
        column: int64 (N,), what is filtered by; it has an index of its own, as a user would give it.
    """

    def __init__(self, url: str, items: HashCodes, column: NDArray[np.int64]) -> None:
        import psycopg

        connect: Any = psycopg.connect  # rows come as their query says, which no type can
        self._database = connect(url, autocommit=True, prepare_threshold=0)
        bits = 8 * items.fine.shape[1]
        self._now: dict[str, str] = {}
        self._run("CREATE EXTENSION IF NOT EXISTS vector")
        self._run(f"DROP TABLE IF EXISTS {TABLE}")
        self._run(f"CREATE UNLOGGED TABLE {TABLE} (id integer PRIMARY KEY, n integer, code bit({bits}))")
        with self._database.cursor().copy(f"COPY {TABLE} FROM STDIN") as copy:
            for row, (n, code) in enumerate(zip(column.tolist(), items.fine, strict=True)):
                copy.write_row((row, n, bit_string(code)))
        self._run("SET maintenance_work_mem = '2GB'")
        self._run(f"CREATE INDEX ON {TABLE} USING hnsw (code bit_hamming_ops)")
        self._run(f"CREATE INDEX ON {TABLE} (n)")
        self._run(f"ANALYZE {TABLE}")
        server, version = (
            self._database.execute(question).fetchone()[0]
            for question in ("SHOW server_version", "SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        )
        self.software = f"PostgreSQL {server.split()[0]}, pgvector {version}"
        self._by = f"code <~> %s::bit({bits})"

    def contenders(self, below: int, queries: HashCodes, kth: NDArray[np.int64]) -> list[Contender]:
        """Three ways to find the nearest whose column is below a number; the first two with the least ef_search that
        reaches the recall."""
        found = []
        for scan, name in (("off", "HNSW"), ("relaxed_order", "HNSW, iterative scan")):

            def answers(ef: int, scan: str = scan) -> list[NDArray[np.integer]]:
                return [self._by_index(query, below, ef, scan) for query in queries[:TRIED]]

            ef = cheapest(EF, answers, kth[:TRIED])
            found.append(
                Contender(
                    f"pgvector {name}, ef {ef}",
                    lambda query, ef=ef, scan=scan: self._by_index(query, below, ef, scan),  # type: ignore[misc]
                )
            )
        return [*found, Contender("pgvector exact", lambda query: self._exact(query, below))]

    def close(self) -> None:
        """Drop the table."""
        self._run(f"DROP TABLE IF EXISTS {TABLE}")
        self._database.close()

    def _by_index(self, query: HashCodes, below: int, ef: int, scan: str) -> NDArray[np.integer]:
        others = {f"enable_{other}": "off" for other in ("seqscan", "bitmapscan", "sort")}
        self._set({"hnsw.ef_search": str(ef), "hnsw.iterative_scan": scan, **others})
        return self._nearest(query, below, self._by)

    def _exact(self, query: HashCodes, below: int) -> NDArray[np.integer]:
        self._set({f"enable_{other}": "on" for other in ("seqscan", "bitmapscan", "sort")})
        return self._nearest(query, below, f"({self._by}) + 0")  # no order that the index gives

    def _set(self, settings: dict[str, str]) -> None:
        """Settings of the session; those that are so already take no time of what is measured."""
        for name, value in settings.items():
            if self._now.get(name) != value:
                self._run(f"SET {name} = {value}")
                self._now[name] = value

    def _nearest(self, query: HashCodes, below: int, by: str) -> NDArray[np.integer]:
        code = bit_string(query.fine[0])
        question = f"SELECT ({self._by})::int FROM {TABLE} WHERE n < %s ORDER BY {by} LIMIT {K}"
        return np.array([row[0] for row in self._database.execute(question, (code, below, code)).fetchall()], np.int64)

    def _run(self, statement: str) -> None:
        self._database.execute(statement)
