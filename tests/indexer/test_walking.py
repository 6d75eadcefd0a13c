"""The walk through the codes around a query against a sort of all occupied ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgrain.indexer import walking
from hashgrain.indexer.occupancy import Occupancy
from hashgrain.indexer.probing import margin_weights, unit_weights


@settings(deadline=None)  # the first call compiles
@given(
    bits=st.integers(8, 12),
    share=st.sampled_from([0.01, 0.2, 0.8, 1.0]),
    kinds=st.sampled_from([0, 1, 2, 5, 1000]),
    count=st.integers(1, 600),
    limit=st.integers(1, 1 << 12),
    seed=st.integers(0, 2**32),
)
def test_the_walk_gives_the_order_of_a_plain_sort_or_gives_up(
    bits: int, share: float, kinds: int, count: int, limit: int, seed: int
) -> None:
    """With weights of few kinds many codes are equally far; only a limit below all codes makes it give up."""
    rng = np.random.default_rng(seed)
    occupied = np.flatnonzero(rng.random(1 << bits) < share)
    occupancy = Occupancy(occupied.astype(np.uint32), bits)
    query = int(rng.integers(1 << bits))
    weights = margin_weights(rng.integers(0, kinds + 1, bits).astype(np.float32))
    count, limit = min(count, len(occupied)), min(limit, 1 << bits)

    def place(position: int) -> tuple[int, int, int]:
        code = int(occupied[position])
        differing = [bit for bit in range(bits) if (code ^ query) >> (bits - 1 - bit) & 1]
        return sum(int(weights[bit]) for bit in differing), len(differing), code

    found = np.full(count, -1, np.int64)
    done = walking.nearest(occupancy.words, occupancy.before, query, weights, count, limit, found)
    if done == -1:
        assert limit < 1 << bits
    else:
        assert done == count
        assert found.tolist() == sorted(range(len(occupied)), key=place)[:count]


@pytest.mark.parametrize("bits", [8, 16, 24])
def test_the_query_s_own_bucket_is_found_at_once(bits: int) -> None:
    codes = np.array([0, 77, (1 << bits) - 1], np.uint32)
    occupancy = Occupancy(codes, bits)
    for position, code in enumerate(codes.tolist()):
        found = np.empty(1, np.int64)
        assert walking.nearest(occupancy.words, occupancy.before, code, unit_weights(bits), 1, 64, found) == 1
        assert found.tolist() == [position]


@settings(deadline=None)
@given(st.integers(8, 24), st.data())
def test_the_bitmap_tells_how_many_codes_come_before(bits: int, data: st.DataObject) -> None:
    codes = sorted(data.draw(st.sets(st.integers(0, (1 << bits) - 1), max_size=30)))
    occupancy = Occupancy(np.array(codes, np.uint32), bits)
    words = occupancy.words.tolist()
    assert [word * 64 + bit for word, held in enumerate(words) if held for bit in range(64) if held >> bit & 1] == codes
    assert occupancy.before.tolist()[:: len(words)] == [0]
    for position, code in enumerate(codes):
        earlier = (words[code // 64] & ((1 << code % 64) - 1)).bit_count()
        assert occupancy.before[code // 64] + earlier == position
