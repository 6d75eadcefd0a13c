"""Hamming distance against the naive count, on both NumPy branches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hashgrain.codes.hamming import _popcount_swar, hamming, popcount


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_popcount_counts_the_ones_of_every_unsigned_type(dtype: type[np.unsignedinteger]) -> None:
    top = int(np.iinfo(dtype).max)
    words = np.array([0, 1, top, top - 1, top // 3, top // 2 + 1], dtype)
    wanted = [int(word).bit_count() for word in words]
    assert popcount(words).tolist() == wanted
    assert popcount(words).dtype == np.uint8
    assert _popcount_swar(words).tolist() == wanted, "the branch for NumPy 1"


@given(st.integers(1, 32), st.integers(0, 4), st.integers(0, 6), st.data())
def test_distances_equal_the_bit_by_bit_count(width: int, queries: int, rows: int, data: st.DataObject) -> None:
    left = data.draw(arrays(np.uint8, (queries, width)))
    right = data.draw(arrays(np.uint8, (rows, width)))
    naive = [[(int.from_bytes(q) ^ int.from_bytes(c)).bit_count() for c in right] for q in left]
    found = hamming(left, right)
    assert found.dtype == np.uint16
    assert found.shape == (queries, rows)
    assert found.tolist() == naive


def test_a_slice_that_is_not_contiguous_is_measured_right() -> None:
    wide = np.arange(64, dtype=np.uint8).reshape(4, 16)
    assert np.array_equal(hamming(wide[:, :8], wide[::2, :8]), hamming(wide[:, :8].copy(), wide[::2, :8].copy()))


def test_the_longest_distance_does_not_overflow() -> None:
    assert hamming(np.zeros((1, 32), np.uint8), np.full((1, 32), 255, np.uint8)).tolist() == [[256]]
