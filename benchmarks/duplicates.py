"""Near duplicates of a whole index beside Faiss' range search: `python -m benchmarks.duplicates [--items N]`.

Generated codes of 16 + 64 bits; a duplicate is within `--radius` bits of the two together. The index is read from
Redis and looked through for groups (`Index.duplicates`) by all cores. Faiss holds the same bits, with zeros up to the
128 for which it has a fast loop, and is asked for the items within the radius of some of them, on all cores, too; the
time for all items is that of these, scaled up. Two of its indexes miss nothing: IndexBinaryFlat, which compares all,
and IndexBinaryMultiHash with radius + 1 tables, of which one at least must agree (building them counts). What
Faiss finds is looked for in the groups.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import redis
from numpy.typing import NDArray

from benchmarks.codes import GeneratedCodes
from benchmarks.faiss_peer import CORES
from benchmarks.lookup import say
from benchmarks.server import own_redis
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.indexer import Index
from hashgrain.runtime.redis_server import redis_software

LAYOUT = CodeLayout(16, 64)
FAISS_BYTES = 16
MOST_TABLE_BITS = 26
"""Of the peer's hashes: longer ones find no fewer wrong candidates and take more memory."""


@dataclass(frozen=True, eq=False)
class Found:
    """What an index was looked through for.

    Attributes:
        seconds: it took, the reading included.
        memory: MB that the process had more at most, without mapped files.
        groups: how many.
        items: how many items are in a group.
        largest: items of the largest group.
        group: int64 (N,), the first item of the group of each item; itself where it is in none.
    """

    seconds: float
    memory: float
    groups: int
    items: int
    largest: int
    group: NDArray[np.int64]


def main() -> None:
    """Measure, compare what was found, and print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--radius", type=int, default=3, help="bits, 3 by default")
    parser.add_argument("--queries", type=int, default=2000, help="items that Faiss is asked for")
    arguments = parser.parse_args()
    items, radius = arguments.items, arguments.radius
    codes = GeneratedCodes(LAYOUT, items, seed=1).codes()
    with own_redis() as url:
        own(url, codes[:10_000], radius)  # what is compiled is loaded
        found = own(url, codes, radius)
        with redis.Redis.from_url(url) as server:
            software = redis_software(server.info("server"))
    print(f"{items:,} items of {LAYOUT}, within {radius} bits; {software}, Faiss {faiss.__version__}, {CORES} cores")
    print(
        f"hashgrain: {found.groups:,} groups of {found.items:,} items, the largest of {found.largest:,}; "
        f"{found.memory:.0f} MB, {1e6 * found.memory / items:.0f} bytes per item"
    )
    rows = np.random.default_rng(0).choice(items, min(arguments.queries, items), replace=False)
    together = np.zeros((items, FAISS_BYTES), np.uint8)
    together[:, : LAYOUT.fine_bytes + LAYOUT.coarse_bytes] = np.concatenate([codes.fine, codes.coarse], axis=1)
    print(f"{'':34}{'seconds':>12}{'/ hashgrain':>14}")
    print(f"{'hashgrain, Redis to groups':34}{found.seconds:12.1f}{1:14.1f}")
    for name, seconds in peers(together, rows, radius, found.group):
        print(f"{name:34}{seconds:12.1f}{seconds / found.seconds:14.1f}", flush=True)


def own(url: str, codes: HashCodes, radius: int) -> Found:
    """Load an index, look through it, and drop it."""
    say(f"loading {len(codes.fine):,} items")
    with Index.create(url, "duplicates", LAYOUT) as index:
        index.load(np.arange(len(codes.fine)), codes)
        say("looking for duplicates")
        group = np.arange(len(codes.fine))
        groups = items = largest = 0
        with peak_memory() as memory:
            begin = time.perf_counter()
            for one in index.duplicates(radius):
                group[one.ids] = one.ids[0]
                groups, items, largest = groups + 1, items + len(one), max(largest, len(one))
            seconds = time.perf_counter() - begin
        index.drop()
    return Found(seconds, memory[0], groups, items, largest, group)


def peers(
    codes: NDArray[np.uint8], rows: NDArray[np.int64], radius: int, group: NDArray[np.int64]
) -> Iterator[tuple[str, float]]:
    """Names, and seconds for all items."""
    bits, tables = 8 * FAISS_BYTES, radius + 1
    length = min((LAYOUT.coarse_bits + LAYOUT.fine_bits) // tables, MOST_TABLE_BITS)
    made = {
        "Faiss IndexBinaryFlat": lambda: faiss.IndexBinaryFlat(bits),
        f"Faiss MultiHash, {tables} x {length} bits": lambda: faiss.IndexBinaryMultiHash(bits, tables, length),
    }
    for name, make in made.items():
        say(name)
        begin = time.perf_counter()
        index = make()
        index.add(codes)
        build = time.perf_counter() - begin
        begin = time.perf_counter()
        compare(range_search(index, codes, rows, radius), rows, group)
        yield name, build + (time.perf_counter() - begin) * len(codes) / len(rows)


def range_search(
    index: Any, codes: NDArray[np.uint8], rows: NDArray[np.int64], radius: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Of parts of the rows, how many each row finds, and all that they find. (Faiss' own radius is excluded.)"""

    def ask(some: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        limits, _, near = index.range_search(codes[some], radius + 1)
        return np.diff(limits.astype(np.int64)), near

    return list(_pool.map(ask, np.array_split(rows, CORES)))


def compare(
    found: list[tuple[NDArray[np.int64], NDArray[np.int64]]], rows: NDArray[np.int64], group: NDArray[np.int64]
) -> None:
    """Whether all that was found lies in the groups of those that found it."""
    for (counts, near), some in zip(found, np.array_split(rows, CORES), strict=True):
        if not (np.repeat(group[some], counts) == group[near]).all():
            raise AssertionError("Faiss has found a near pair of items that are not in one group")


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """MB that the process holds more at most, filled in at the end; mapped files do not count."""
    most, over, told = 0.0, threading.Event(), [0.0]
    before = _memory()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.02):
            most = max(most, _memory() - before)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield told
    finally:
        over.set()
        watching.join()
        told[0] = most


def _memory() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000


_pool = ThreadPoolExecutor(CORES)


if __name__ == "__main__":
    main()
