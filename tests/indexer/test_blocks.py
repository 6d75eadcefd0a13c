"""Loops that go block by block, on more than one block: what they find is what sorting everything gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.hamming import hamming
from hashgrain.indexer import SearchRequest
from hashgrain.indexer.loops import centroids, scanning
from hashgrain.indexer.request import RANKS, Rank
from hashgrain.indexer.searching.probing import Probing
from hashgrain.indexer.searching.queries import Queries
from hashgrain.indexer.searching.ranking import rank_candidates
from hashgrain.indexer.searching.spans import Candidates, Span
from hashgrain.indexer.stored.directories import Directories
from hashgrain.indexer.stored.keys import NARROW
from hashgrain.indexer.stored.partition import Partition, pack_entries
from hashgrain.indexer.stored.shard import Directory

ROWS = 2 * scanning._BLOCK + 5000
LAYOUTS = [CodeLayout(16, 64), CodeLayout(12, 256)]
FEW_BITS = 0b10000001, 0b1000000  # in one byte each of fine and coarse code, so that most items tie


def codes(rows: int, layout: CodeLayout, rng: np.random.Generator) -> HashCodes:
    fine = np.zeros((rows, layout.fine_bytes), np.uint8)
    coarse = np.zeros((rows, layout.coarse_bytes), np.uint8)
    fine[:, -1] = rng.integers(0, 256, rows, np.uint8) & FEW_BITS[0]
    fine[: rows // 3, 0] = rng.integers(0, 256, rows // 3, np.uint8)
    coarse[:, 0] = rng.integers(0, 256, rows, np.uint8) & FEW_BITS[1]
    return HashCodes(coarse, fine)


def distances(items: HashCodes, query: HashCodes, rank: Rank) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """That of the ranking, and the fine one."""
    fine = hamming(query.fine, items.fine)[0].astype(np.int64)
    coarse = hamming(query.coarse, items.coarse)[0].astype(np.int64)
    return {"fine": fine, "coarse": coarse, "total": fine + coarse}[rank], fine


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("wide", [False, True])
def test_a_scan_of_several_blocks_finds_what_sorting_finds(layout: CodeLayout, rank: Rank, wide: bool) -> None:
    rng = np.random.default_rng(3)
    items = codes(ROWS, layout, rng)
    handle = rng.permutation(ROWS).astype(np.int64) + (1 << 40) * wide
    cuts = np.sort(rng.integers(0, ROWS, 97))
    cuts[40:44] = cuts[40]  # empty buckets
    bounds = np.concatenate([[0, scanning._BLOCK + 77], cuts[cuts > scanning._BLOCK + 77], [ROWS]])
    start, count = bounds[:-1], np.diff(bounds)
    numbers = Queries.of(items, layout, rank).coarse
    span = Span(np.arange(len(start)), start, count, handle if wide else handle.astype(np.uint32), numbers, items.fine)
    queries = codes(3, layout, rng)
    orders = [np.arange(len(start)), rng.permutation(len(start)), np.arange(len(start))[::-1]]
    ends = np.cumsum([len(order) for order in orders])
    candidates = Candidates.of(np.concatenate(orders), ends - len(start), ends, [span])
    asked: list[dict[str, Any]] = [{"k": 1}, {"k": 10}, {"k": 700}, {"k": 10, "within": 1}, {"k": ROWS + 1}]
    for settings in asked:
        found = rank_candidates(candidates, Queries.of(queries, layout, rank), SearchRequest(rank=rank, **settings))
        for q in range(len(queries)):
            ranked, fine = distances(items, queries[q : q + 1], rank)
            wanted = np.lexsort((handle, fine, ranked))[: settings["k"]]
            wanted = wanted[ranked[wanted] <= settings.get("within", ranked.max())]
            held = int(found.held[q])
            assert found.handle[q, :held].tolist() == handle[wanted].tolist()
            assert found.row[q, :held].tolist() == wanted.tolist()
            assert found.distances[q, :held].tolist() == ranked[wanted].tolist()
            mine = candidates.buckets[found.bucket[q, :held]]
            assert ((start[mine] <= wanted) & (wanted < start[mine] + count[mine])).all()


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("buckets", [700, 2 * centroids._BLOCK, 2 * centroids._BLOCK + 700])
def test_the_nearest_of_several_blocks_of_centroids_come_in_order(layout: CodeLayout, rank: Rank, buckets: int) -> None:
    rng = np.random.default_rng(4)
    made, zeros = codes(buckets, layout, rng), np.zeros(buckets, np.int64)
    entries = pack_entries(made.fine, made.coarse, zeros, zeros, np.full(buckets, NARROW, np.uint8))
    whole = Directories([Directory(Partition.parse(b"", entries, layout, ""), buckets, 1)], layout)
    queries = codes(2, layout, rng)
    probing = Probing(whole, Queries.of(queries, layout, rank))
    for count in (1, 30, 600, buckets):
        found = probing.nearest(count)
        for q in range(len(queries)):
            ranked, fine = distances(made, queries[q : q + 1], rank)
            assert found[q].tolist() == np.lexsort((fine, ranked))[:count].tolist()
