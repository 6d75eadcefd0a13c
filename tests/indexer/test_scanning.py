"""The compiled scan against a plain sort, over buckets of any size in any order, in several shards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.indexer import SearchRequest
from hashgrain.indexer.request import RANKS
from hashgrain.indexer.searching.queries import Queries
from hashgrain.indexer.searching.ranking import Winners, rank_candidates
from hashgrain.indexer.searching.spans import Candidates, Span, coarse_type

SIZE = st.sampled_from([0, 0, 1, 2, 7, 40, 511, 512, 513, 1500])
"""Of buckets: empty ones, and such as begin or end at the border of a block."""

WITHIN = st.one_of(st.just({}), st.integers(0, 12).map(lambda bits: {"within": bits}))

COLUMNS = ("distances", "handle", "shard", "row", "bucket")


def span_of(first: int, sizes: list[int], layout: CodeLayout, wide: bool, rng: np.random.Generator) -> Span:
    """Buckets that stand in random order and partly apart from each other, with codes of few kinds: so many ties."""
    gaps = rng.integers(0, 2, len(sizes)) * rng.integers(0, 5, len(sizes))
    order = rng.permutation(len(sizes)) if rng.random() < 0.5 else np.arange(len(sizes))
    start = np.zeros(len(sizes), np.int64)
    start[order] = np.cumsum((np.array(sizes, np.int64) + gaps)[order]) - np.array(sizes, np.int64)[order]
    rows = sum(sizes) + int(gaps.sum())
    fine = rng.integers(0, 256, (6, layout.fine_bytes), dtype=np.uint8)[rng.integers(0, 6, rows)]
    fine[:, -1] ^= rng.integers(0, 4, rows, dtype=np.uint8)
    coarse = rng.integers(0, 1 << layout.coarse_bits, 3)[rng.integers(0, 3, rows)].astype(coarse_type(layout))
    last = (1 << 32) - 1 - (1 << 20) * bool(first)  # a handle decides its shard
    handle = rng.permutation(rows).astype(np.uint32) + np.uint32(last - rows)
    buckets = first + np.arange(len(sizes))
    handles = handle.astype(np.int64) - (1 << 32) if wide else handle
    return Span(buckets, start, np.array(sizes, np.int64), handles, coarse, fine)


def plain(
    candidates: Candidates, query: int, queries: Queries, request: SearchRequest
) -> list[tuple[int, int, int, int, int]]:
    """The best of one query: distance, handle, shard, row, bucket."""
    found = []
    fine_code, coarse_code = queries.codes.fine[query], int(queries.coarse[query])
    mine = slice(candidates.begin[query], candidates.end[query])
    for shard, (span, (starts, counts)) in enumerate(zip(candidates.spans, candidates.rows, strict=True)):
        for bucket, (start, count) in enumerate(zip(starts[mine].tolist(), counts[mine].tolist(), strict=True)):
            for row in range(start, start + count):
                fine = int(np.unpackbits(span.fine[row] ^ fine_code).sum())
                near = (int(span.coarse[row]) ^ coarse_code).bit_count()
                distance = {"total": fine + near, "fine": fine, "coarse": near}[request.rank]
                if request.within is None or distance <= request.within:
                    where = (shard, row, int(candidates.begin[query]) + bucket)
                    found.append((distance, fine, int(span.handle[row]), *where))
    return [(distance, *others) for distance, _, *others in sorted(found)[: request.depth]]  # type: ignore[misc]


def taken_apart(winners: Winners, query: int) -> list[tuple[int, ...]]:
    """The winners of one query, as `plain` gives them."""
    columns = [getattr(winners, name)[query, : winners.held[query]].tolist() for name in COLUMNS]
    return list(zip(*columns, strict=True))


def queries_of(spans: list[Span], layout: CodeLayout, rank: Any, rng: np.random.Generator) -> Queries:
    """Three queries near some rows, or near nothing."""
    fine = rng.integers(0, 256, (3, layout.fine_bytes), dtype=np.uint8)
    if len(spans[0].fine):
        fine[:2] = spans[0].fine[rng.integers(0, len(spans[0].fine), 2)]
    bits = rng.integers(0, 2, (3, layout.coarse_bits), dtype=np.uint8)
    return Queries.of(HashCodes(np.packbits(bits, axis=1), fine), layout, rank)


def parts_of(buckets: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Some buckets for each of three queries, of which the second has none and the third shares those of the first."""
    first = int(rng.integers(0, buckets + 1))
    return rng.permutation(buckets), np.array([0, first, 0]), np.array([buckets, first, first])


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.lists(SIZE, max_size=8), min_size=1, max_size=2),
    coarse_bits=st.sampled_from([8, 13, 16, 17, 24]),
    fine_bits=st.sampled_from([32, 40, 48, 64, 96, 128, 192, 256]),
    wide=st.booleans(),
    rank=st.sampled_from(RANKS),
    k=st.sampled_from([1, 2, 10, 100, 5000]),
    within=WITHIN,
    seed=st.integers(0, 2**32),
)
def test_the_best_are_those_of_a_plain_sort(
    sizes: list[list[int]],
    coarse_bits: int,
    fine_bits: int,
    wide: bool,
    rank: Any,
    k: int,
    within: dict[str, int],
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    layout = CodeLayout(coarse_bits, fine_bits)
    first = [0, *np.cumsum([len(shard) for shard in sizes]).tolist()]
    spans = [span_of(first[shard], mine, layout, wide, rng) for shard, mine in enumerate(sizes)]
    queries = queries_of(spans, layout, rank, rng)
    request = SearchRequest(k, rank, **within)
    candidates = Candidates.of(*parts_of(first[-1], rng), spans)
    assert candidates.records[0] == sum(map(sum, sizes))
    found = rank_candidates(candidates, queries, request)
    for query in range(3):
        assert taken_apart(found, query) == plain(candidates, query, queries, request)


@pytest.mark.parametrize("handle", [(1 << 32) - 1, (1 << 62) - 1, -(1 << 61)])
@pytest.mark.parametrize("coarse_bits", [8, 24])
def test_the_largest_of_everything_fits_a_place(coarse_bits: int, handle: int) -> None:
    layout = CodeLayout(coarse_bits, 256)
    nothing, one, zero = np.empty(0, np.int64), np.ones(1, np.int64), np.zeros(1, np.int64)
    coarse = np.array([(1 << coarse_bits) - 1], coarse_type(layout))
    span = Span(zero, zero, one, np.array([handle]), coarse, np.full((1, 32), 255, np.uint8))
    empty = Span(nothing, nothing, nothing, nothing, coarse[:0], span.fine[:0])
    candidates = Candidates.of(zero, zero, one, [empty] * 1023 + [span])
    codes = HashCodes(np.zeros((1, layout.coarse_bytes), np.uint8), np.zeros((1, 32), np.uint8))
    found = rank_candidates(candidates, Queries.of(codes, layout, "total"), SearchRequest(3))
    assert taken_apart(found, 0) == [(256 + coarse_bits, handle, 1023, 0, 0)]


def test_a_distance_beyond_all_bounds_takes_everything() -> None:
    layout = CodeLayout(8, 32)
    rng = np.random.default_rng(0)
    span = span_of(0, [20, 30], layout, False, rng)
    candidates = Candidates.of(np.arange(2), np.zeros(1, np.int64), np.full(1, 2), [span], budget=10**30)
    queries = queries_of([span], layout, "total", rng)[np.arange(1)]
    found = rank_candidates(candidates, queries, SearchRequest(10**30, within=10**30))
    assert found.held.tolist() == [50]
