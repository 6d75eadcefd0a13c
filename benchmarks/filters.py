"""Searches with a filter beside pgvector's WHERE, in one run.

    python -m benchmarks.filters [--items N] [--pgvector URL]

Generated codes of 16 + 64 bits, each with an integer field drawn evenly from 0 to 999, and filters that 0.1 %, 1 %,
10 % and 50 % of the items match. Every system answers the same queries in turn, ten neighbours by fine distance; recall
is against an exhaustive search of the items that match, ties as right. hashgrain: the default budget (512 items that
match), cold and with kept buckets, and an exhaustive search of kept ones. pgvector: bit HNSW with and without
iterative scans (its default limits), each with the least ef_search of a few whose recall is .99, else the largest; and
exact, by whatever the planner chooses.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Iterator

import numpy as np
import redis

from benchmarks.codes import GeneratedCodes
from benchmarks.contenders import Contender, Measured, measure
from benchmarks.lookup import say
from benchmarks.pgvector_filters import PgvectorFilters
from benchmarks.recall import K, kth_distances
from benchmarks.server import own_redis
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.indexer import Index
from hashgrain.runtime.redis_server import redis_software

LAYOUT = CodeLayout(16, 64)
VALUES = 1000
BELOW = (1, 10, 100, 500)
NAME = "filters"


def main() -> None:
    """Load, search, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=200_000, help="200,000 by default")
    parser.add_argument("--queries", type=int, default=200, help="200 by default")
    parser.add_argument("--pgvector", metavar="URL", help="postgresql://user@host:port/database with pgvector")
    arguments = parser.parse_args()
    if arguments.items < 20 * VALUES:
        parser.error(
            f"--items must be {20 * VALUES:,} or more, so that some match every filter, got {arguments.items:,}"
        )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and peers' data go when it is ended
    say(f"generating {arguments.items:,} items")
    made = GeneratedCodes(LAYOUT, arguments.items, seed=1)
    items, queries = made.codes(), made.queries(arguments.queries)
    column = np.random.default_rng(0).integers(0, VALUES, len(items))
    with peer(arguments.pgvector, items, column) as other, own_redis() as url:
        with redis.Redis.from_url(url) as server:
            software = redis_software(server.info("server"))  # type: ignore[arg-type]
        say("loading the index")
        with Index.create(url, NAME, LAYOUT, fields={"n": "integer"}) as index:
            index.load(np.arange(len(items)), items, [{"n": n} for n in column.tolist()])
        print(f"{software}{f'; {other.software}' if other else ''}; {len(items):,} items, {len(queries)} queries")
        with Index.open(url, NAME) as cold, Index.open(url, NAME, cache_bytes=1 << 30) as hot:
            for below in BELOW:
                say(f"searching, {below / VALUES:.1%} match")
                kth = kth_distances(queries, [items[np.flatnonzero(column < below)]], K)
                ours = [
                    *(own(index, how, below) for index, how in ((cold, "cold"), (hot, "hot"))),
                    own(hot, "hot, exact", below, exact=True),
                ]
                hot.search(queries[:1], exact=True)
                theirs = other.contenders(below, queries, kth) if other else []
                print_rows(below, measure([*ours, *theirs], queries, queries, kth))


def own(index: Index, how: str, below: int, **more: bool) -> Contender:
    """A search of this project, by its default budget or exhaustive."""
    by = {"n": {"lt": below}}
    return Contender(
        f"hashgrain {how}",
        lambda query: index.search(query, K, rank="fine", filter=by, **more)[0].distances,  # type: ignore[arg-type]
    )


def print_rows(below: int, rows: list[Measured]) -> None:
    """A row for each, with its time beside the hot one's."""
    print(f"\n{f'{below / VALUES:.1%} match':40}{'recall':>8}{'p50 ms':>9}{'p99 ms':>9}{'p50 / hot':>11}")
    for row in rows:
        print(
            f"{row.contender.name:40}{row.recall:8.3f}{row.p50:9.3f}{row.p99:9.3f}{row.p50 / rows[1].p50:11.2f}",
            flush=True,
        )


@contextlib.contextmanager
def peer(url: str | None, items: HashCodes, column: np.ndarray) -> Iterator[PgvectorFilters | None]:
    """The other system, where its address is given; its data go at the end."""
    if url is None:
        yield None
        return
    say("filling pgvector")
    other = PgvectorFilters(url, items, column)
    try:
        yield other
    finally:
        other.close()


if __name__ == "__main__":
    main()
