"""The compiled scan against a plain sort, over buckets of any size in any order, in several shards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashgrain.indexer import SearchRequest
from hashgrain.indexer.ranking import rank_candidates
from hashgrain.indexer.request import RANKS
from hashgrain.indexer.spans import Candidates, Span

SIZE = st.sampled_from([0, 0, 1, 2, 7, 40, 511, 512, 513, 1500])
"""Of buckets: empty ones, and such as begin or end at the border of a block."""

WITHIN = st.one_of(st.just({}), st.integers(0, 12).map(lambda bits: {"within": bits}))


def span_of(sizes: list[int], fine_bytes: int, rng: np.random.Generator) -> Span:
    """Buckets that stand in random order and partly apart from each other, with codes of few kinds: so many ties."""
    gaps = rng.integers(0, 2, len(sizes)) * rng.integers(0, 5, len(sizes))
    order = rng.permutation(len(sizes)) if rng.random() < 0.5 else np.arange(len(sizes))
    start = np.zeros(len(sizes), np.int64)
    start[order] = np.cumsum((np.array(sizes) + gaps)[order]) - np.array(sizes)[order]
    rows = sum(sizes) + int(gaps.sum())
    fine = rng.integers(0, 256, (6, fine_bytes), dtype=np.uint8)[rng.integers(0, 6, rows)]
    fine[:, -1] ^= rng.integers(0, 4, rows, dtype=np.uint8)
    number = rng.permutation(rows).astype(np.uint32) + np.uint32((1 << 31) - 1 - rows)
    return Span(np.arange(len(sizes)), start, np.array(sizes, np.int64), number, fine)


def plain(
    candidates: Candidates, query: NDArray[np.uint8], near: list[int], request: SearchRequest
) -> list[tuple[int, ...]]:
    """The best, as (distance, fine distance, number, shard, row, bucket)."""
    found = []
    for shard, (span, rows) in enumerate(zip(candidates.spans, candidates.rows, strict=True)):
        for bucket, (start, count) in enumerate(zip(*map(np.ndarray.tolist, rows), strict=True)):
            for row in range(start, start + count):
                fine = int(np.unpackbits(span.fine[row] ^ query).sum())
                distance = {"total": fine + near[bucket], "fine": fine, "coarse": near[bucket]}[request.rank]
                if request.within is None or distance <= request.within:
                    found.append((distance, fine, int(span.number[row]), shard, row, bucket))
    return sorted(found)[: request.depth]


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.tuples(SIZE, SIZE), min_size=1, max_size=8),
    shards=st.integers(1, 2),
    fine_bits=st.sampled_from([32, 40, 48, 64, 96, 128, 192, 256]),
    rank=st.sampled_from(RANKS),
    k=st.sampled_from([1, 2, 10, 100, 5000]),
    within=WITHIN,
    seed=st.integers(0, 2**32),
)
def test_the_best_are_those_of_a_plain_sort(
    sizes: list[tuple[int, int]], shards: int, fine_bits: int, rank: Any, k: int, within: dict[str, int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    spans = [span_of([bucket[shard] for bucket in sizes], fine_bits // 8, rng) for shard in range(shards)]
    codes = rng.integers(0, 1 << 12, len(sizes), dtype=np.uint32)
    coarse = int(rng.integers(1 << 12))
    row = rng.integers(0, max(len(spans[0].fine), 1))
    query = spans[0].fine[row] if len(spans[0].fine) else np.zeros(fine_bits // 8, np.uint8)
    request = SearchRequest(k, rank, **({} if rank == "fine" else within))
    candidates = Candidates.of(rng.permutation(len(sizes)), spans)
    assert len(candidates) == sum(sum(bucket[:shards]) for bucket in sizes)
    found = rank_candidates(candidates, codes, query, coarse, request)
    near = [(code ^ coarse).bit_count() for code in codes[candidates.buckets].tolist()]
    wanted = plain(candidates, query, near, request)
    columns = (found.distances, found.number, found.shard, found.row, found.bucket)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == [
        (distance, *others) for distance, _, *others in wanted
    ]


@pytest.mark.parametrize("coarse", [0, 24])
def test_the_largest_of_everything_fits_a_place(coarse: int) -> None:
    number = np.array([(1 << 31) - 1], np.uint32)
    span = Span(np.arange(1), np.zeros(1, np.int64), np.ones(1, np.int64), number, np.full((1, 32), 255, np.uint8))
    empty = Span(np.arange(0), number[:0].astype(np.int64), number[:0].astype(np.int64), number[:0], span.fine[:0])
    candidates = Candidates.of(np.arange(1), [empty] * 1023 + [span])
    codes = np.array([(1 << coarse) - 1], np.uint32)
    found = rank_candidates(candidates, codes, np.zeros(32, np.uint8), 0, SearchRequest(3))
    assert (found.distances.tolist(), found.number.tolist()) == ([256 + coarse], [(1 << 31) - 1])
    assert found.shard.tolist() == [1023]
