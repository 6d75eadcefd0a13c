"""Stage one against a plain sort by (weight, Hamming distance, code)."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hashgrain.indexer.probing import Probing, margin_weights

LOGIT = st.floats(-100, 100, width=32)


@given(st.integers(8, 24), st.data())
def test_buckets_come_in_the_order_of_the_plain_sort(bits: int, data: st.DataObject) -> None:
    code = st.integers(0, 2**bits - 1)
    occupied = np.array(sorted(data.draw(st.sets(code, min_size=1, max_size=40))), np.uint32)
    query = data.draw(code)
    logits = data.draw(st.none() | arrays(np.float32, bits, elements=LOGIT))
    weights = margin_weights(logits, bits)

    def place(bucket: int) -> tuple[int, int, int]:
        differing = [bit for bit in range(bits) if (bucket ^ query) >> (bits - 1 - bit) & 1]
        return sum(int(weights[bit]) for bit in differing), len(differing), bucket

    probing = Probing(occupied, query, weights)
    wanted = sorted(range(len(occupied)), key=lambda position: place(int(occupied[position])))
    for count in (1, len(occupied) // 2, len(occupied), len(occupied) + 5):
        assert probing.nearest(count).tolist() == wanted[:count] or count == 0
    assert probing.hamming.tolist() == [place(int(bucket))[1] for bucket in occupied]


def test_the_largest_weights_do_not_overflow() -> None:
    occupied = np.array([0, 1, 2**24 - 1], np.uint32)
    probing = Probing(occupied, 0, margin_weights(np.full(24, 3e38, np.float32), 24))
    assert probing.nearest(3).tolist() == [0, 1, 2]
    assert probing.nearest(2).tolist() == [0, 1]


def test_a_bit_that_the_query_is_unsure_of_is_crossed_first() -> None:
    # Bit 0 (the highest) has a small margin: the bucket across it comes before one across a sure bit.
    logits = np.array([0.1, 5, 5, 5, 5, 5, 5, 5], np.float32)
    probing = Probing(np.array([0b10000000, 0b00000001], np.uint32), 0, margin_weights(logits, 8))
    assert probing.nearest(2).tolist() == [0, 1]


def test_margins_of_nothing_weigh_nothing() -> None:
    assert margin_weights(np.zeros(8, np.float32), 8).tolist() == [0] * 8


def test_the_complete_radius_is_one_below_the_nearest_unread_bucket() -> None:
    probing = Probing(np.array([0b0, 0b1, 0b111], np.uint32), 0, margin_weights(None, 8))
    assert probing.complete_radius(np.array([0, 1]), 8) == 2
    assert probing.complete_radius(np.array([0, 2]), 8) == 0
    assert probing.complete_radius(np.array([0, 1, 2]), 8) == 8
    assert probing.within(1).tolist() == [0, 1]


def test_an_empty_directory_has_nothing_to_probe_and_is_complete() -> None:
    probing = Probing(np.array([], np.uint32), 5, margin_weights(None, 8))
    assert probing.nearest(3).tolist() == []
    assert probing.complete_radius(np.array([], np.intp), 8) == 8
