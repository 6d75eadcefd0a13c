"""How the cost of a query grows with the collection: `python -m benchmarks.growth [--items N]`.

Generated codes in two sizes, 1,000,000 items and N, searched by the same queries with the smallest budget whose
tie-aware recall@10 against exhaustive ranking by fine distance is .99 or more. N items of 64 fine bits take about 80 N
bytes of memory in all (server, searcher and the items themselves), and 100,000,000 of them half an hour on two cores.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
import redis

from benchmarks import own_index
from benchmarks.codes import GeneratedCodes
from benchmarks.contenders import Contender, Measured, measure
from benchmarks.faiss_peer import flat_index, kth_by
from benchmarks.lookup import cache_bytes, say
from benchmarks.own_index import NAME, Loaded
from benchmarks.recall import K
from benchmarks.server import own_redis
from benchmarks.targets import Target
from hashgrain.codes import CodeLayout
from hashgrain.indexer import Index
from hashgrain.runtime.redis_server import redis_software

BASE = 1_000_000


@dataclass(frozen=True)
class Size:
    """What was measured at one size: cold, hot and stale searches with a budget, and how the index came to be.

    Attributes:
        items: how many.
        loaded: how fast, and how large.
        share: of the items, compared with a query.
        rows: cold, hot, stale.
        start_ms: from opening the index to the first answer.
    """

    items: int
    loaded: Loaded
    share: float
    rows: list[Measured]
    start_ms: float


def main() -> None:
    """Measure both sizes, print them and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10 * BASE, help=f"{10 * BASE:,} by default")
    parser.add_argument("--fine-bits", type=int, default=64, choices=(64, 128, 192, 256))
    parser.add_argument("--queries", type=int, default=200)
    arguments = parser.parse_args()
    layout = CodeLayout(16, arguments.fine_bits)
    with own_redis() as url:
        size(url, layout, 10_000, 10)  # what is compiled is loaded
        small, large = (size(url, layout, items, arguments.queries) for items in (BASE, arguments.items))
        with redis.Redis.from_url(url) as server:
            print(f"\n{layout}, {arguments.queries} queries, k = {K}; {redis_software(server.info('server'))}")
    print(table([small, large]))
    cold, hot, stale = (after.p50 / before.p50 for before, after in zip(small.rows, large.rows, strict=True))
    print(f"p50 at {large.items:,} / at {small.items:,}: cold {cold:.2f}, hot {hot:.2f}, stale {stale:.2f}")
    print(Target("hot p50 at 100,000,000 items / at 1,000,000", hot, 3).line())
    print(Target("start of a searcher to its first answer at 100,000,000", large.start_ms, 2000, unit=" ms").line())


def size(url: str, layout: CodeLayout, items: int, queries: int) -> Size:
    """Load so many items, and search them; nothing of them is left behind."""
    say(f"generating {items:,} items")
    made = GeneratedCodes(layout, items, seed=1)
    codes, asked = made.codes(), made.queries(queries)
    say("ranking exhaustively")
    kth = kth_by(flat_index(codes), asked)
    say("loading")
    loaded = own_index.load(url, np.arange(items), codes)
    room = cache_bytes(codes)
    del codes
    with Index.open(url, NAME) as cold, Index.open(url, NAME, cache_bytes=room, max_staleness=own_index.STALE_S) as hot:
        say("choosing a budget")
        own_index.warm_up(url, hot, asked[:1])
        candidates = own_index.fewest_candidates(hot, asked, kth)
        ways = [
            own_index.contenders(index, how, candidates, None)[0] for index, how in ((cold, "cold"), (hot, "stale"))
        ]
        say("searching")
        rows = measure(ways, asked, asked, kth)
        start_ms = own_index.start_up(url, asked, candidates)
    with Index.open(url, NAME, cache_bytes=room) as strict:
        own_index.warm_up(url, strict, asked[:1])
        rows.insert(1, measure([way(strict, "hot", candidates)], asked, asked, kth)[0])
        strict.drop()
    return Size(items, loaded, candidates / items, rows, start_ms)


def way(index: Index, how: str, candidates: int) -> Contender:
    """A search with a budget, one query at a time."""
    return replace(own_index.contenders(index, how, candidates, None)[0], batch=None)


def table(sizes: list[Size]) -> str:
    """A line for each size."""
    lines = [
        f"{'items':>13}{'compared':>10}{'recall':>8}{'cold ms':>9}{'hot ms':>8}{'stale ms':>9}{'start ms':>10}"
        f"{'load items/s':>14}{'B/item':>8}"
    ]
    for one in sizes:
        cold, hot, stale = one.rows
        lines.append(
            f"{one.items:13,}{one.share:10.2%}{hot.recall:8.3f}{cold.p50:9.3f}{hot.p50:8.3f}{stale.p50:9.3f}"
            f"{one.start_ms:10.1f}{one.loaded.rate:14,.0f}{one.loaded.size:8.1f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
