"""The index beside its peers, in one run on one machine: `python -m benchmarks.lookup [--items N]`.

Every system answers the same queries in turn, with the cheapest setting whose tie-aware recall@10 on these queries,
against exhaustive ranking by fine distance, is .99 or more (where none is, with the best). Prints a row for each, the
ratios, and how far each target is.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from collections.abc import Iterator

import faiss
import numpy as np
import redis

from benchmarks import own_index
from benchmarks.codes import GeneratedCodes
from benchmarks.contenders import RECALL, measure
from benchmarks.faiss_peer import flat_contender, flat_index, ivf_contender, kth_by
from benchmarks.own_index import NAME
from benchmarks.pgvector_peer import PgvectorPeer
from benchmarks.report import Run, report
from benchmarks.server import own_redis
from benchmarks.vector_sets_peer import VectorSetsPeer
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.indexer import Index
from hashgrain.runtime.redis_server import redis_software

ITEMS = 200_000
BATCH = 1000
NAMED = 100_000
"""Items that are loaded under strings, to see what these take."""


def main() -> None:
    """Load, search, compare, print."""
    arguments = parse(None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and peers' data go when it is ended
    print(report(run(arguments)))


def parse(words: list[str] | None) -> argparse.Namespace:
    """The command line, or `words`; refuses what cannot be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=ITEMS, help=f"{ITEMS:,} by default")
    parser.add_argument("--fine-bits", type=int, default=64, choices=(64, 128, 192, 256))
    parser.add_argument("--queries", type=int, default=500, help=f"asked one at a time, 100 to {BATCH:,}")
    parser.add_argument("--pgvector", metavar="URL", help="postgresql://user@host:port/database with pgvector")
    parser.add_argument("--vector-sets", metavar="URL", help="redis://host:port/0 of a Redis 8 or later")
    arguments = parser.parse_args(words)
    if not 10_000 <= arguments.items <= 100_000_000:
        parser.error(f"--items must be 10,000 to 100,000,000, got {arguments.items:,}")
    if not 100 <= arguments.queries <= BATCH:
        parser.error(f"--queries must be 100 to {BATCH:,}, got {arguments.queries:,}")
    for option, url, schemes in (
        ("--pgvector", arguments.pgvector, ("postgresql://", "postgres://")),
        ("--vector-sets", arguments.vector_sets, ("redis://", "rediss://", "unix://")),
    ):
        if url is not None and not url.startswith(schemes):
            parser.error(f"{option} takes an address that begins with {' or '.join(schemes)}, got {url!r}")
    return arguments


def run(arguments: argparse.Namespace) -> Run:
    """Measure everything."""
    layout = CodeLayout(16, arguments.fine_bits)
    made = GeneratedCodes(layout, arguments.items, seed=1)
    say(f"generating {made.items:,} items")
    items, batch = made.codes(), made.queries(BATCH)
    singles = batch[: arguments.queries]
    flat = flat_index(items)
    kth = kth_by(flat, singles)
    with socket_peers(arguments, items) as (peers, missing), own_redis() as url:
        say("loading the index")
        own_index.load(url, np.arange(1000), items[:1000], "first")  # what is compiled is loaded
        loaded = own_index.load(url, np.arange(len(items)), items)
        named = own_index.load(url, [f"item-{number:08}" for number in range(NAMED)], items[:NAMED], "named")
        room = cache_bytes(items)
        with (
            Index.open(url, NAME) as cold,
            Index.open(url, NAME, cache_bytes=room) as hot,
            Index.open(url, NAME, cache_bytes=room, max_staleness=own_index.STALE_S) as stale,
        ):
            say("choosing settings")
            kept = own_index.warm_up(url, hot, singles[:1])
            own_index.warm_up(url, stale, singles[:1])
            candidates = own_index.fewest_candidates(hot, singles, kth)
            ours = own_index.contenders(cold, "cold", candidates, loaded)
            ours += own_index.contenders(hot, "hot", candidates, None)
            reached = measure(ours[2:3], singles, singles[:1], kth)[0].recall
            ivf = ivf_contender(items, singles, kth, max(RECALL, reached))
            theirs = [flat_contender(flat, items), ivf, *(peer.contender(singles, kth) for peer in peers)]
            say("searching")
            behind = own_index.contenders(stale, f"{1000 * own_index.STALE_S:.0f} ms stale", candidates, None)
            rows = measure([*ours, *theirs, *behind], singles, batch, kth)
            stage_one_us = own_index.stage_one(made, singles)
            floor = own_index.floor(url, cold, singles, candidates)
            start_ms = own_index.start_up(url, singles, candidates)
            say("searching beside a writer")
            cold_beside = own_index.beside_writer(url, cold, made, singles, candidates)
            hot_beside = own_index.beside_writer(url, hot, made, singles, candidates)
            same_beside = own_index.beside_writer(url, cold, made, singles, candidates, same=True)
        with redis.Redis.from_url(url) as server:
            software = [redis_software(server.info("server")), f"Faiss {faiss.__version__}"]
        software += [peer.software for peer in peers]
    return Run(layout, made.items, len(singles), BATCH, software, rows[:-2], missing, loaded, named, kept, floor,
               start_ms, cold_beside, hot_beside, same_beside, rows[-2:], stage_one_us)  # fmt: skip


@contextlib.contextmanager
def socket_peers(
    arguments: argparse.Namespace, items: HashCodes
) -> Iterator[tuple[list[PgvectorPeer | VectorSetsPeer], list[str]]]:
    """Those whose address was given, loaded, and a line for each other one; their data go with them."""
    missing = []
    with contextlib.ExitStack() as stack:
        peers: list[PgvectorPeer | VectorSetsPeer] = []
        if arguments.pgvector:
            say("loading pgvector")
            peers.append(stack.enter_context(contextlib.closing(PgvectorPeer(arguments.pgvector, items))))
        else:
            missing.append("not in this run: pgvector (give --pgvector postgresql://user@host:port/database)")
        if arguments.vector_sets:
            say("loading the vector set")
            peers.append(stack.enter_context(contextlib.closing(VectorSetsPeer(arguments.vector_sets, items))))
        else:
            missing.append("not in this run: Redis vector sets (give --vector-sets redis://host:port/0 of Redis 8)")
        yield peers, missing


def cache_bytes(items: HashCodes) -> int:
    """Room for all buckets."""
    return (1 << 28) + len(items) * (int(items.fine.shape[1]) + 48)


def say(what: str) -> None:
    """What is going on, and since how many seconds this runs."""
    print(f"[{time.perf_counter() - _BEGIN:6.1f} s] {what}", flush=True)


_BEGIN = time.perf_counter()


if __name__ == "__main__":
    main()
