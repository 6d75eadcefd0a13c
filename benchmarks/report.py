"""A run of `lookup` as text: a row for each system, ratios, and every target with how far it is."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.contenders import RECALL, Measured
from benchmarks.faiss_peer import CORES
from benchmarks.own_index import BesideWriter, Floor, Loaded
from benchmarks.recall import K
from benchmarks.targets import Target
from hashgrain.codes import CodeLayout

STATED_FOR = 1_000_000
NAME_BYTES = len("item-00000000")


@dataclass(frozen=True)
class Run:
    """All that was measured.

    Attributes:
        layout, items, queries, batch: what was searched, and how many queries were asked singly and in a batch.
        software: names with versions.
        rows: hashgrain cold, cold exact, hot, hot exact, Faiss flat, Faiss IVF, then peers over a socket.
        missing: a line for each peer that was not given.
        loaded, named: the index under integers, and a smaller one under strings.
        kept: bytes that the searcher keeps per byte of the buckets it read, or None without a cache.
        floor: of a cold query.
        start_ms: from opening the index to the first answer.
        cold_beside, hot_beside: readers beside a writer.
        same_beside: a cold reader beside a writer that gives items the codes that they have.
        stale: hot and hot exact, by a searcher that may be some milliseconds behind.
        stage_one_us: stage one alone, or None where it was not measured.
    """

    layout: CodeLayout
    items: int
    queries: int
    batch: int
    software: Sequence[str]
    rows: Sequence[Measured]
    missing: Sequence[str]
    loaded: Loaded
    named: Loaded
    kept: float | None
    floor: Floor
    start_ms: float
    cold_beside: BesideWriter
    hot_beside: BesideWriter
    same_beside: BesideWriter
    stale: Sequence[Measured] = ()
    stage_one_us: float | None = None


def report(run: Run) -> str:
    """All of it."""
    stated = "" if run.items == STATED_FOR else f" (stated for {STATED_FOR:,} items; here {run.items:,})"
    return "\n".join(
        [
            "",
            f"{run.items:,} generated items, {run.layout}; {run.queries} queries one at a time, "
            f"batches of {run.batch:,}, k = {K}, by fine distance",
            f"{platform.machine()}, {CORES} cores; Python {platform.python_version()}, {', '.join(run.software)}",
            results([*run.rows, *run.stale]),
            *(
                f"no setting of it reaches recall {RECALL:g}: {row.contender.name}"
                for row in run.rows
                if row.recall < RECALL
            ),
            *run.missing,
            "",
            *details(run),
            "",
            f"targets{stated}",
            *(target.line() for target in targets(run)),
        ]
    )


def results(rows: Sequence[Measured]) -> str:
    """The table; batches on all cores, single queries on one thread; ratios to Faiss' IVF."""
    ivf = rows[5]
    lines = [
        f"{'':42}{'recall':>7}{'p50 ms':>9}{'p99 ms':>9}{'p50 / IVF':>11}{'batch q/s':>11}{'/ IVF':>7}"
        f"{'load items/s':>14}{'B/item':>8}"
    ]
    for row in rows:
        rate = f"{'-':>11}{'-':>7}"
        if row.rate is not None and ivf.rate is not None:
            rate = f"{row.rate:11,.0f}{row.rate / ivf.rate:7.2f}"
        load, size = row.contender.load, row.contender.size
        lines.append(
            f"{row.contender.name:42}{row.recall:7.3f}{row.p50:9.3f}{row.p99:9.3f}{row.p50 / ivf.p50:11.2f}{rate}"
            + (f"{load:14,.0f}" if load is not None else f"{'-':>14}")
            + (f"{size:8.1f}" if size is not None else f"{'-':>8}")
        )
    return "\n".join(lines)


def details(run: Run) -> list[str]:
    """What stands in no row."""
    floor, cold = run.floor, run.rows[0].p50
    return [
        f"a cold query moves {floor.bytes:,.0f} bytes in {cold:.3f} ms: {cold / floor.get:.1f} times one GET of as "
        f"many bytes ({floor.get:.3f} ms), {cold / floor.ping:.1f} times PING ({floor.ping:.3f} ms)",
        f"B/item by INFO {run.loaded.size:.1f}, by Index.stats {run.loaded.own_size:.1f}; "
        f"under string ids of {NAME_BYTES} bytes {run.named.size:.1f} and {run.named.own_size:.1f}",
        "a searcher keeps nothing"
        if run.kept is None
        else f"a searcher keeps {run.kept:.2f} bytes per byte of the buckets that the server sent it",
        f"from opening the index to the first answer: {run.start_ms:.1f} ms",
        *(
            f"{how} reader: p99 {beside.idle:.3f} ms alone, {beside.beside:.3f} ms beside a writer that replaces "
            f"{beside.upserts:,.0f} items/s {by}({beside.script_us:.1f} us of the server's thread for each)"
            + (f"; {beside.refused} of {beside.asked} searches were refused" if beside.refused else "")
            for how, beside, by in (
                ("cold", run.cold_beside, ""),
                ("hot", run.hot_beside, ""),
                ("cold", run.same_beside, "by the codes that they have "),
            )
        ),
    ]


def targets(run: Run) -> list[Target]:
    """Every figure that the index is to reach."""
    cold, cold_exact, hot, hot_exact, flat, ivf, *peers = run.rows
    # An exact search has the recall, too, and may be the quicker one.
    hot_p50 = min(row.p50 for row in (hot, hot_exact, *run.stale))
    exact_p50 = min(row.p50 for row in (hot_exact, *run.stale[1:]))
    cold_p50 = min(cold.p50, cold_exact.p50)
    rate = max((row.rate for row in (hot, hot_exact, *run.stale) if row.rate is not None), default=None)
    p50 = {row.contender.name.split()[0]: row.p50 for row in peers}
    worst = max((run.cold_beside, run.hot_beside), key=lambda beside: beside.beside / beside.idle)
    return [
        Target("hot single query, p50 / Faiss IVF's at the same recall", hot_p50 / ivf.p50, 3),
        Target("hot batches, queries/s / Faiss IVF's", _ratio(rate, ivf.rate), 1, at_most=False),
        Target("hot recall@10", hot.recall, 0.99, at_most=False),
        Target("cold single query, p50", cold_p50, 0.4, unit=" ms"),
        Target("pgvector's p50 / cold p50 (--pgvector)", _ratio(p50.get("pgvector"), cold_p50), 5, at_most=False),
        Target(
            "Redis vector sets' p50 / cold p50 (--vector-sets)", _ratio(p50.get("Redis"), cold_p50), 2,
            at_most=False,
        ),
        Target("memory in Redis, integer ids", run.loaded.size, 24, unit=" B/item"),
        Target("memory in Redis, string ids, beyond their bytes", run.named.size - NAME_BYTES, 40, unit=" B/item"),
        Target("searcher's cache / bytes of its buckets", run.kept, 1.2),
        Target("load into an empty index", run.loaded.rate, 1_000_000, at_most=False, unit=" items/s"),
        Target(
            "replacing items while a reader searches", min(run.cold_beside.upserts, run.hot_beside.upserts), 100_000,
            at_most=False, unit=" items/s",
        ),
        Target("reader's p99 beside a writer / alone", worst.beside / worst.idle, 5),
        Target("start of a searcher to its first answer (stated for 100,000,000)", run.start_ms, 2000, unit=" ms"),
        Target("hot p50 at 100,000,000 items / at 1,000,000 (benchmarks.growth)", None, 3),
        Target("stage one alone: the nearest 100 of 50,000 buckets", run.stage_one_us, 10, unit=" us"),
        Target("exact hot scan: Faiss flat's p50 / ours, one core", flat.p50 / exact_p50, 2, at_most=False),
    ]  # fmt: skip


def _ratio(numerator: float | None, denominator: float | None) -> float | None:
    return None if numerator is None or denominator is None else numerator / denominator
