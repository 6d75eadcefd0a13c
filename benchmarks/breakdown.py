"""Where the time of a search goes: `python -m benchmarks.breakdown [--items N]`.

CPU time of one thread, in us a query, by the compiled loop that it is spent in; all else is Python and NumPy. Searches
go by kept buckets and ask Redis nothing (see `max_staleness`), so nothing of it is waiting.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import own_index
from benchmarks.codes import GeneratedCodes
from benchmarks.own_index import NAME
from benchmarks.recall import K
from benchmarks.server import own_redis
from hashgrain.codes import CodeLayout
from hashgrain.indexer import Index
from hashgrain.indexer.loops import bounding, centroids, locating, loops, scanning
from hashgrain.indexer.searching import search

PARTS = {
    "stage one: ranking centroids": (centroids, "nearest_each"),
    "finding the buckets' rows": (locating, "locate"),
    "spending the budget": (locating, "spend_each"),
    "stage two: comparing": (scanning, "scan_each"),
    "putting winners in order": (scanning, "settle_each"),
    "what unread buckets can hold": (bounding, "unread_bounds_each"),
}
ROUNDS = 5

Spent = Counter[str]


def main() -> None:
    """Search one by one and in a batch, and print both columns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--share", type=float, default=0.008, help="of the items, compared with a query")
    parser.add_argument("--queries", type=int, default=1000)
    arguments = parser.parse_args()
    made = GeneratedCodes(CodeLayout(16, 64), arguments.items, seed=1)
    asked, candidates = made.queries(arguments.queries), max(K, round(arguments.share * arguments.items))
    search.in_threads = lambda work, parts: [work(part) for part in parts]  # type: ignore[assignment]
    with own_redis() as url:
        own_index.load(url, np.arange(arguments.items), made.codes())
        with Index.open(url, NAME, cache_bytes=4 << 30, max_staleness=60.0) as index:
            own_index.warm_up(url, index, asked[:1])
            singles = [asked[row : row + 1] for row in range(len(asked))]

            def one_by_one() -> None:
                for query in singles:
                    index.search(query, K, rank="fine", candidates=candidates)

            columns = [measured(work, len(asked)) for work in (
                one_by_one, lambda: index.search(asked, K, rank="fine", candidates=candidates)
            )]  # fmt: skip
    print(f"{arguments.items:,} items, {arguments.share:.1%} compared, CPU us a query of one thread")
    print(f"{'':34}{'one by one':>12}{f'batches of {len(asked):,}':>19}")
    for part in (*PARTS, "Python and NumPy", "all"):
        print(f"{part:34}{columns[0][part]:12.1f}{columns[1][part]:19.1f}")


def measured(work: Callable[[], object], queries: int) -> dict[str, float]:
    """us a query by part, of the quickest round."""
    work()
    spent: Spent = Counter()
    originals = {part: getattr(module, name) for part, (module, name) in PARTS.items()}
    for part, (module, name) in PARTS.items():
        setattr(module, name, _timed(originals[part], part, spent))
    loops.cache_clear()
    rounds = []
    try:
        for _ in range(ROUNDS):
            spent.clear()
            begin = time.thread_time()
            work()
            total = time.thread_time() - begin
            rounds.append({**spent, "Python and NumPy": total - spent.total(), "all": total})
    finally:
        for part, (module, name) in PARTS.items():
            setattr(module, name, originals[part])
        loops.cache_clear()
    best = min(rounds, key=lambda one: one["all"])
    return {part: 1e6 * best.get(part, 0.0) / queries for part in (*PARTS, "Python and NumPy", "all")}


def _timed(function: Callable[..., Any], part: str, spent: Spent) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        begin = time.thread_time()
        try:
            return function(*arguments)
        finally:
            spent[part] += time.thread_time() - begin  # type: ignore[assignment]

    return run


if __name__ == "__main__":
    main()
