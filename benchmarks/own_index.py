"""The index of this project in a Redis of its own: loading it, searching it cold and hot, and beside a writer."""

from __future__ import annotations

import math
import multiprocessing
import time
from dataclasses import dataclass
from functools import partial
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from typing import Any

import numpy as np
import redis
from numpy.typing import NDArray

from benchmarks.codes import GeneratedCodes
from benchmarks.contenders import Contender, cheapest, milliseconds
from benchmarks.recall import K
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.errors import StoreUnavailable
from hashgrain.indexer import Hit, Index
from hashgrain.indexer.searching.probing import Probing
from hashgrain.indexer.searching.queries import Queries
from hashgrain.indexer.stored.directories import Directories
from hashgrain.indexer.stored.keys import NARROW
from hashgrain.indexer.stored.partition import Partition, pack_entries
from hashgrain.indexer.stored.shard import Directory

NAME = "benchmark"
SHARES = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0)
BESIDE_S = 3.0
STALE_S = 0.01
"""How far behind the second hot searcher may be."""

PROBED_BUCKETS, TAKEN_BUCKETS = 50_000, 100
UPSERTS = 1000
"""Items of one call of the writer."""


@dataclass(frozen=True)
class Loaded:
    """An index that was filled: items a second, and bytes an item by INFO's used_memory and by `Index.stats`."""

    rate: float
    size: float
    own_size: float


def load(url: str, ids: Any, items: HashCodes, name: str = NAME, **settings: Any) -> Loaded:
    """Create an index and load all items in bulk."""
    layout = CodeLayout(8 * items.coarse.shape[1], 8 * items.fine.shape[1])
    with redis.Redis.from_url(url) as server, Index.create(url, name, layout, **settings) as index:
        before = used_memory(server)
        begin = time.perf_counter()
        index.load(ids, items)
        rate = len(items) / (time.perf_counter() - begin)
        return Loaded(rate, (used_memory(server) - before) / len(items), index.stats().memory / len(items))


def used_memory(server: redis.Redis) -> int:
    """Bytes that the server has allocated, but for the buffers of its clients and of its persistence."""
    info: Any = server.info("memory")
    apart = sum(int(info.get(name, 0)) for name in ("mem_clients_normal", "mem_aof_buffer"))
    return int(info["used_memory"]) - apart


def fewest_candidates(index: Index, queries: HashCodes, kth: NDArray[np.int64]) -> int:
    """The least budget, of a few shares of the items, whose answers reach the recall."""
    budgets = sorted({max(K, round(share * len(index))) for share in SHARES})
    return cheapest(
        budgets, lambda budget: [hit.distances for hit in index.search(queries, rank="fine", candidates=budget)], kth
    )


def contenders(index: Index, how: str, candidates: int, loaded: Loaded | None) -> list[Contender]:
    """A search with a budget, and an exact one; where all is to be read anew for each query, that has no batches."""
    share = candidates / len(index)
    rate, size = (loaded.rate, loaded.size) if loaded else (None, None)

    def probed(queries: HashCodes) -> list[Hit]:
        return index.search(queries, K, rank="fine", candidates=candidates)

    def exact(queries: HashCodes) -> list[Hit]:
        return index.search(queries, K, rank="fine", exact=True)

    name = f"hashgrain {how}, {share:.1%} of the items"
    batch = None if index.cache_stats() is None else exact
    return [
        Contender(name, lambda query: probed(query)[0].distances, probed, rate, size),
        Contender(f"hashgrain {how}, exact", lambda query: exact(query)[0].distances, batch),
    ]


def stage_one(made: GeneratedCodes, queries: HashCodes) -> float:
    """Median us of finding a query's nearest 100 buckets of 50,000, whose centroids are random items' codes."""
    layout = made.layout
    codes = GeneratedCodes(layout, PROBED_BUCKETS, made.seed + 2).codes()
    zeros = np.zeros(PROBED_BUCKETS, np.int64)
    entries = pack_entries(codes.fine, codes.coarse, zeros, zeros, np.full(PROBED_BUCKETS, NARROW, np.uint8))
    whole = Directories([Directory(Partition.parse(b"0", entries, layout, "random"), made.items, 1)], layout)
    probes = [Probing(whole, Queries.of(queries[row : row + 1], layout, "fine")) for row in range(len(queries))]
    probes[0].nearest(TAKEN_BUCKETS)  # loads what is compiled
    return 1000 * float(np.median([milliseconds(partial(one.nearest, TAKEN_BUCKETS), 5) for one in probes]))


@dataclass(frozen=True)
class Floor:
    """What a cold query cannot go below: times in ms of PING and of one GET of as many bytes as it moves."""

    bytes: float
    ping: float
    get: float


def floor(url: str, index: Index, queries: HashCodes, candidates: int) -> Floor:
    """Count the bytes that the server sends for a query, and time a bare connection."""
    with redis.Redis.from_url(url) as server:
        before = _sent(server)
        for query in queries:
            index.search(query, K, rank="fine", candidates=candidates)
        moved = (_sent(server) - before) / len(queries)
        server.set("floor", bytes(int(moved)))
        found = Floor(moved, milliseconds(server.ping, 500), milliseconds(lambda: server.get("floor"), 300))
        server.delete("floor")
        return found


def start_up(url: str, queries: HashCodes, candidates: int) -> float:
    """Median ms from opening the index to the first answer, in a process that has imported the library."""

    def first() -> None:
        with Index.open(url, NAME) as index:
            index.search(queries[:1], K, rank="fine", candidates=candidates)

    return milliseconds(first, 5)


def warm_up(url: str, index: Index, query: HashCodes) -> float | None:
    """Read all buckets into the searcher's cache; bytes kept per byte of the buckets that the server sent for it."""
    with redis.Redis.from_url(url) as server:
        before = _sent(server)
        index.search(query, K, exact=True)
        sent = _sent(server) - before
    kept = index.cache_stats()
    return kept.bytes / sent if kept else None


@dataclass(frozen=True)
class BesideWriter:
    """A reader's p99 in ms alone and while another process replaces items, and how many of those a second.

    A search that the index refuses, because it changed faster than it could be read, counts as one that never ends;
    `refused` is how many of the `asked` beside the writer did. `script_us` is how long the server's thread is busy with
    each replaced item, in us.
    """

    idle: float
    beside: float
    upserts: float
    refused: int = 0
    asked: int = 0
    script_us: float = 0.0


def beside_writer(
    url: str, index: Index, made: GeneratedCodes, queries: HashCodes, candidates: int, *, same: bool = False
) -> BesideWriter:
    """Search one query at a time for 3 s alone, then 3 s while a process of its own replaces items by other codes.

    If `same`, it gives items the codes that they have, as who encodes again by the same model does.
    """
    idle = _p99(_search_times(index, queries, candidates))
    context = multiprocessing.get_context("spawn")
    written: Synchronized[int] = context.Value("q", 0)
    ready, stop = context.Event(), context.Event()
    writer = context.Process(target=_replace, args=(url, made, written, ready, stop, same), daemon=True)
    writer.start()
    try:
        if not ready.wait(60):
            raise TimeoutError("the writer beside the reader did not write within 60 s")
        with redis.Redis.from_url(url) as server:
            begin, first, busy = time.perf_counter(), written.value, _in_scripts(server)
            times = _search_times(index, queries, candidates)
            replaced, busy = written.value - first, _in_scripts(server) - busy
            rate = replaced / (time.perf_counter() - begin)
    finally:
        stop.set()
        writer.join(30)
        writer.kill()
    return BesideWriter(idle, _p99(times), rate, times.count(math.inf), len(times), busy / max(replaced, 1))


def _replace(
    url: str, made: GeneratedCodes, written: Synchronized[int], ready: Event, stop: Event, same: bool = False
) -> None:
    """Replace random items, 1,000 a call, until told to stop; by the codes that they have, if `same`."""
    other = GeneratedCodes(made.layout, min(made.items, 100_000), made.seed + 1).codes()
    rng = np.random.default_rng(4)
    with Index.open(url, NAME) as index:
        if same:
            index.add(np.arange(len(other)), other)
        while not stop.is_set():
            rows = rng.integers(len(other), size=UPSERTS)
            ids = rows if same else rng.integers(made.items, size=UPSERTS)
            index.add(ids.tolist(), other[rows])
            written.value += UPSERTS
            ready.set()


def _search_times(index: Index, queries: HashCodes, candidates: int) -> list[float]:
    """Seconds of each search for `BESIDE_S`, infinite where it was refused."""
    seconds: list[float] = []
    last = time.perf_counter() + BESIDE_S
    while time.perf_counter() < last or len(seconds) < 10:
        row = len(seconds) % len(queries)
        begin = time.perf_counter()
        try:
            index.search(queries[row : row + 1], K, rank="fine", candidates=candidates)
            seconds.append(time.perf_counter() - begin)
        except StoreUnavailable:
            seconds.append(math.inf)
    return seconds


def _p99(seconds: list[float]) -> float:
    return 1000 * float(np.percentile(seconds, 99, method="higher"))


def _in_scripts(server: redis.Redis) -> int:
    """us that the server has spent in scripts."""
    info: Any = server.info("commandstats")
    return int(info.get("cmdstat_evalsha", {}).get("usec", 0))


def _sent(server: redis.Redis) -> int:
    info: Any = server.info("stats")
    return int(info["total_net_output_bytes"])
