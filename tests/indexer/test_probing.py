"""Stage one against plain sorts and plain looks at every bucket and every item."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgrain.codes import CodeLayout
from hashgrain.codes.hamming import hamming
from hashgrain.indexer.loops import NOTHING_UNREAD
from hashgrain.indexer.request import RANKS
from hashgrain.indexer.searching.probing import Probing
from hashgrain.indexer.searching.queries import Queries
from made_buckets import MadeBuckets, made_buckets
from random_codes import random_codes

LAYOUTS = st.builds(CodeLayout, st.sampled_from([8, 13, 16, 20, 24]), st.sampled_from([32, 40, 64, 96, 128, 256]))
BUCKETS = st.lists(st.sampled_from([1, 2, 7, 30]), min_size=1, max_size=3)


def ranked(rank: str, fine: Any, coarse: Any) -> Any:
    return {"total": fine + coarse, "fine": fine, "coarse": coarse}[rank]


def bounds(made: MadeBuckets, queries: Queries) -> tuple[Any, Any]:
    """No item's fine, and coarse, code is nearer: int (Q, B)."""
    partitions = [directory.partition for directory in made.whole.shards]
    found = []
    for kind, mine in (("fine", queries.codes.fine), ("packed_coarse", queries.codes.coarse)):
        centroids = np.concatenate([getattr(part, kind) for part in partitions])
        radii = np.concatenate([getattr(part, kind.replace("packed_", "") + "_radius") for part in partitions])
        found.append(np.maximum(hamming(mine, centroids).astype(int) - radii, 0))
    return found[0], found[1]


@settings(deadline=None)
@given(LAYOUTS, BUCKETS, st.sampled_from(RANKS), st.integers(0, 40), st.integers(0, 2**32))
def test_buckets_come_by_distance_then_fine_distance_then_position(
    layout: CodeLayout, buckets: list[int], rank: Any, count: int, seed: int
) -> None:
    made, codes = made_buckets(layout, 5, buckets, seed), random_codes(3, layout, seed + 2)
    found = Probing(made.whole, Queries.of(codes, layout, rank)).nearest(count)
    partitions = [directory.partition for directory in made.whole.shards]
    fine = hamming(codes.fine, np.concatenate([part.fine for part in partitions])).astype(int)
    coarse = hamming(codes.coarse, np.concatenate([part.packed_coarse for part in partitions])).astype(int)
    for query in range(3):
        places = zip(ranked(rank, fine, coarse)[query].tolist(), fine[query].tolist(), range(sum(buckets)), strict=True)
        assert found[query].tolist() == [position for _, _, position in sorted(places)][:count]


@settings(deadline=None)
@given(LAYOUTS, BUCKETS, st.sampled_from(RANKS), st.integers(0, 40), st.integers(0, 6), st.integers(0, 2**32))
def test_no_item_so_near_lies_in_another_bucket(
    layout: CodeLayout, buckets: list[int], rank: Any, distance: int, spare: int, seed: int
) -> None:
    made, codes = made_buckets(layout, 60, buckets, seed, spare=spare), random_codes(3, layout, seed + 2)
    queries = Queries.of(codes, layout, rank)
    probing = Probing(made.whole, queries)
    fine, coarse = (
        hamming(codes.fine, made.items.fine).astype(int),
        hamming(codes.coarse, made.items.coarse).astype(int),
    )
    fine_bound, coarse_bound = bounds(made, queries)
    for by_coarse in (False, True):
        found = probing.within(distance, coarse=by_coarse)
        away = coarse if by_coarse else ranked(rank, fine, coarse)
        bound = coarse_bound if by_coarse else ranked(rank, fine_bound, coarse_bound)
        for query in range(3):
            assert set(made.bucket[away[query] <= distance].tolist()) <= set(found[query].tolist())
            assert found[query].tolist() == np.flatnonzero(bound[query] <= distance).tolist()


@settings(deadline=None)
@given(LAYOUTS, BUCKETS, st.sampled_from(RANKS), st.integers(0, 2**32))
def test_the_bounds_of_what_is_unread_are_the_smallest_of_its_buckets(
    layout: CodeLayout, buckets: list[int], rank: Any, seed: int
) -> None:
    """Each query has read other buckets: some, none, all."""
    made, codes = made_buckets(layout, 60, buckets, seed), random_codes(3, layout, seed + 2)
    queries = Queries.of(codes, layout, rank)
    fine, coarse = bounds(made, queries)
    rng = np.random.default_rng(seed)
    some = np.flatnonzero(rng.random(sum(buckets)) < 0.5)
    read = np.concatenate([some, rng.permutation(sum(buckets))])
    begin, end = np.array([0, 0, len(some)]), np.array([len(some), 0, len(read)])
    probing = Probing(made.whole, queries)
    found = probing.unread(read, begin, end, np.full(3, -1))
    enough = rng.integers(-1, 60, 3)
    hasty = probing.unread(read, begin, end, enough)
    for query in range(3):
        left = np.setdiff1d(np.arange(sum(buckets)), read[begin[query] : end[query]])
        if len(left):
            wanted = [coarse[query, left].min(), ranked(rank, fine, coarse)[query, left].min()]
        else:
            wanted = [NOTHING_UNREAD, NOTHING_UNREAD]
        assert found[:, query].tolist() == wanted
        assert hasty[0, query] == wanted[0]
        assert hasty[1, query] >= wanted[1]
        assert (hasty[1, query] > enough[query]) == (wanted[1] > enough[query])


@pytest.mark.parametrize("buckets", [[700, 650], [17_000]])
def test_the_order_and_the_bounds_of_many_buckets_are_those_of_a_look_at_each(buckets: list[int]) -> None:
    """More than a block, and so many that they are looked at in larger groups."""
    layout, count = CodeLayout(16, 64), sum(buckets)
    made, codes = made_buckets(layout, 40, buckets, 3), random_codes(2, layout, 5)
    queries = Queries.of(codes, layout, "total")
    probing = Probing(made.whole, queries)
    partitions = [directory.partition for directory in made.whole.shards]
    far = hamming(codes.fine, np.concatenate([part.fine for part in partitions])).astype(int)
    total = far + hamming(codes.coarse, np.concatenate([part.packed_coarse for part in partitions]))
    order = np.array([np.lexsort((far[query], total[query])) for query in range(2)])
    for wanted in (1, 10, 300, count - 10, count):
        assert probing.nearest(wanted).tolist() == order[:, :wanted].tolist()
    fine, coarse = bounds(made, queries)
    read = order[:, : count - 10].ravel()
    ends = np.array([0, count - 10, 2 * (count - 10)])
    unread = probing.unread(read, ends[:-1], ends[1:], np.full(2, -1))
    for query in range(2):
        left = order[query, count - 10 :]
        assert unread[:, query].tolist() == [coarse[query, left].min(), (fine + coarse)[query, left].min()]
