"""Stage one against a plain sort by (weight, Hamming distance, code)."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hashgrain.indexer.occupancy import Occupancy
from hashgrain.indexer.probing import Probing, margin_weights, unit_weights

LOGIT = st.floats(-100, 100, width=32)


@settings(deadline=None)
@given(st.integers(8, 24), st.data())
def test_buckets_come_in_the_order_of_the_plain_sort(bits: int, data: st.DataObject) -> None:
    code = st.integers(0, 2**bits - 1)
    occupied = np.array(sorted(data.draw(st.sets(code, min_size=1, max_size=40))), np.uint32)
    query = data.draw(code)
    logits = data.draw(st.none() | arrays(np.float32, bits, elements=LOGIT))
    weights = unit_weights(bits) if logits is None else margin_weights(logits)

    def place(bucket: int) -> tuple[int, int, int]:
        differing = [bit for bit in range(bits) if (bucket ^ query) >> (bits - 1 - bit) & 1]
        return sum(int(weights[bit]) for bit in differing), len(differing), bucket

    probing = Probing(Occupancy(occupied, bits), query, weights)
    wanted = sorted(range(len(occupied)), key=lambda position: place(int(occupied[position])))
    for count in (1, len(occupied) // 2, len(occupied), len(occupied) + 5):
        assert probing.nearest(count).tolist() == wanted[:count] or count == 0


def test_the_largest_weights_do_not_overflow() -> None:
    occupied = np.array([0, 1, 2**24 - 1], np.uint32)
    probing = Probing(Occupancy(occupied, 24), 0, margin_weights(np.full(24, 3e38, np.float32)))
    assert probing.nearest(3).tolist() == [0, 1, 2]
    assert probing.nearest(2).tolist() == [0, 1]


def test_a_bit_that_the_query_is_unsure_of_is_crossed_first() -> None:
    # Bit 0 (the highest) has a small margin: the bucket across it comes before one across a sure bit.
    logits = np.array([0.1, 5, 5, 5, 5, 5, 5, 5], np.float32)
    probing = Probing(Occupancy(np.array([0b00000001, 0b10000000], np.uint32), 8), 0, margin_weights(logits))
    assert probing.nearest(2).tolist() == [1, 0]


def test_the_weights_of_several_queries_are_those_of_each() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    logits[2] = 0
    assert margin_weights(logits).tolist() == [margin_weights(row).tolist() for row in logits]


def test_margins_of_nothing_weigh_nothing() -> None:
    assert margin_weights(np.zeros(8, np.float32)).tolist() == [0] * 8


def test_the_complete_radius_is_one_below_the_nearest_unread_bucket() -> None:
    probing = Probing(Occupancy(np.array([0b0, 0b1, 0b111], np.uint32), 8), 0, unit_weights(8))
    for read, radius in (([0, 1], 2), ([0, 2], 0), ([1, 2], -1), ([], -1), ([0, 1, 2], 8)):
        assert probing.complete_radius(np.array(read, np.intp)) == radius
    assert probing.within(1).tolist() == [0, 1]


@settings(deadline=None)
@given(st.integers(8, 11), st.integers(0, 2**32), st.sampled_from([0.01, 0.3, 0.9, 1.0]), st.integers(0, 12))
def test_the_complete_radius_is_that_of_a_look_at_every_bucket(bits: int, seed: int, share: float, far: int) -> None:
    """Whatever was read: all within some radius, and some of the others."""
    rng = np.random.default_rng(seed)
    occupied = np.flatnonzero(rng.random(1 << bits) < share).astype(np.uint32)
    query = int(rng.integers(1 << bits))
    probing = Probing(Occupancy(occupied, bits), query, unit_weights(bits))
    near = np.array([(code ^ query).bit_count() for code in occupied.tolist()], np.int64)
    read = (near < far) | (rng.random(len(near)) < 0.5)
    wanted = int(near[~read].min()) - 1 if not read.all() else bits
    assert probing.complete_radius(np.flatnonzero(read)) == wanted


def test_an_empty_directory_has_nothing_to_probe_and_is_complete() -> None:
    probing = Probing(Occupancy(np.array([], np.uint32), 8), 5, unit_weights(8))
    assert probing.nearest(3).tolist() == []
    assert probing.complete_radius(np.array([], np.int64)) == 8
