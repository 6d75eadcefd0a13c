"""The buckets of several shards as one sequence of positions."""

from __future__ import annotations

import numpy as np
import pytest

from hashgrain.codes import CodeLayout
from made_buckets import made_buckets


def test_positions_count_through_the_shards_in_order() -> None:
    whole = made_buckets(CodeLayout(12, 40), 30, [3, 1, 4], 0).whole
    assert len(whole) == 8
    assert whole.first.tolist() == [0, 3, 4, 8]
    assert whole.live == 30
    for position, (shard, number) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (2, 1), (2, 2), (2, 3)]):
        partition = whole.shards[shard].partition
        assert whole.fine[position].tolist() == partition.fine[number].tolist()
        assert whole.coarse[position] == partition.coarse[number]
        assert whole.fine_radius[position] == partition.fine_radius[number]
        assert whole.coarse_radius[position] == partition.coarse_radius[number]


@pytest.mark.parametrize(
    ("shard", "positions", "numbers"), [(0, [0, 2], [0, 2]), (1, [], []), (2, [4, 6, 7], [0, 2, 3])]
)
def test_a_shard_is_asked_for_its_buckets_by_their_numbers(
    shard: int, positions: list[int], numbers: list[int]
) -> None:
    whole = made_buckets(CodeLayout(12, 40), 30, [3, 1, 4], 0).whole
    found = whole.shard_positions(np.array([0, 2, 4, 6, 7]), shard)
    assert [part.tolist() for part in found] == [positions, numbers]


def test_the_only_shard_s_numbers_are_the_positions() -> None:
    whole = made_buckets(CodeLayout(12, 40), 30, [5], 0).whole
    positions, numbers = whole.shard_positions(whole.everywhere, 0)
    assert positions is whole.everywhere
    assert numbers is whole.everywhere
