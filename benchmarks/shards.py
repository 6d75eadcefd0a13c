"""How the cost of a query grows with the shards of an index: `python -m benchmarks.shards [--items N]`.

The same generated items in 1, 3 and 6 shards, on one server and on a cluster of three, all on this machine. Each query
is put to every index in turn, with the same budget, cold and with kept buckets; what is printed are medians, and their
ratios to those of one shard on one server.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from dataclasses import dataclass, field

import numpy as np

from benchmarks.codes import GeneratedCodes
from benchmarks.lookup import cache_bytes, say
from benchmarks.recall import K
from benchmarks.server import own_cluster, own_redis
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.indexer import Index
from hashgrain.runtime.redis_server import ask_redis, redis_software

SHARDS = (1, 3, 6)
CANDIDATES = 4096


@dataclass
class Way:
    """An index, and how long it took to search it.

    Attributes:
        where: its servers.
        shards: how many it has.
        how: cold, or hot.
        index: it.
        seconds: of each query.
    """

    where: str
    shards: int
    how: str
    index: Index
    seconds: list[float] = field(default_factory=list)

    def search(self, query: HashCodes) -> None:
        """Search once, and take the time."""
        begun = time.perf_counter()
        self.index.search(query, K, candidates=CANDIDATES)
        self.seconds.append(time.perf_counter() - begun)

    @property
    def p50(self) -> float:
        """Median, in milliseconds."""
        return 1000 * float(np.median(self.seconds))


def main() -> None:
    """Load, search, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=300)
    arguments = parser.parse_args()
    layout = CodeLayout(16, 64)
    made = GeneratedCodes(layout, arguments.items, seed=1)
    codes, queries = made.codes(), made.queries(arguments.queries)
    with own_redis() as alone, own_cluster() as cluster, contextlib.ExitStack() as stack:
        ways: list[Way] = []
        for where, url in (("one server", alone), ("cluster of 3", cluster)):
            for shards in SHARDS:
                say(f"loading {shards} shards, {where}")
                name = f"in-{shards}"
                with Index.create(url, name, layout, shards=shards) as index:
                    index.load(np.arange(len(codes)), codes)
                for how, kept in (("cold", None), ("hot", cache_bytes(codes))):
                    opened = stack.enter_context(Index.open(url, name, cache_bytes=kept))
                    opened.search(queries, K, candidates=CANDIDATES)  # what is compiled is loaded, what is kept is kept
                    ways.append(Way(where, shards, how, opened))
        say("searching")
        for row in range(len(queries)):
            for way in ways[row % len(ways) :] + ways[: row % len(ways)]:
                way.search(queries[row : row + 1])
        asked = f"{len(queries)} queries of {CANDIDATES:,} candidates, k = {K}"
        print(f"\n{layout}, {len(codes):,} items, {asked}; {redis_software(ask_redis(alone))}")
    print(table(ways))


def table(ways: list[Way]) -> str:
    """A line for each index."""
    first = {way.how: way.p50 for way in ways if way.where == ways[0].where and way.shards == 1}
    lines = [f"{'servers':<14}{'shards':>7}{'cold ms':>9}{'ratio':>7}{'hot ms':>9}{'ratio':>7}"]
    for cold, hot in zip(ways[0::2], ways[1::2], strict=True):
        lines.append(
            f"{cold.where:<14}{cold.shards:7}{cold.p50:9.3f}{cold.p50 / first['cold']:7.2f}"
            f"{hot.p50:9.3f}{hot.p50 / first['hot']:7.2f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
