"""Packing: the bit order on the wire and on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.packing import coarse_keys, pack_logits, packed_bytes, unpack_bits

GOLDEN = Path(__file__).parents[1] / "golden" / "packing_v1.json"


@pytest.mark.parametrize("case", json.loads(GOLDEN.read_text()), ids=lambda case: f"{len(case['logits'])} bits")
def test_the_packed_bytes_are_those_of_the_golden_file(case: dict[str, object]) -> None:
    logits = np.array([case["logits"]], np.float32)
    assert pack_logits(logits).tobytes().hex() == case["packed"]


def test_zero_and_minus_zero_are_the_0_bit() -> None:
    assert pack_logits(np.array([[0.0, -0.0, 1e-30, -1e-30, np.inf, -np.inf, 1, -1]], np.float32))[0, 0] == 0b00101010


@given(st.data(), st.integers(1, 40), st.integers(0, 5))
def test_unpacking_gives_the_bits_back(data: st.DataObject, bits: int, rows: int) -> None:
    wanted = data.draw(arrays(np.uint8, (rows, bits), elements=st.integers(0, 1)))
    packed = pack_logits(wanted.astype(np.float32) - np.float32(0.5))
    assert packed.shape == (rows, packed_bytes(bits))
    assert np.array_equal(unpack_bits(packed, bits), wanted)


@given(st.integers(8, 24), st.data())
def test_a_coarse_key_reads_the_bits_as_one_number_first_bit_highest(bits: int, data: st.DataObject) -> None:
    key = data.draw(st.integers(0, 2**bits - 1))
    digits = np.array([[int(digit) for digit in f"{key:0{bits}b}"]], np.float32)
    assert coarse_keys(pack_logits(digits), bits).tolist() == [key]


def test_nan_is_refused_with_the_image_that_has_it() -> None:
    logits = np.ones((3, 8), np.float32)
    logits[2, 5] = np.nan
    with pytest.raises(InvalidInput, match="image 2"):
        pack_logits(logits)


@pytest.mark.parametrize("shape", [(8,), (1, 1, 8)])
def test_logits_of_another_rank_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="two-dimensional"):
        pack_logits(np.ones(shape, np.float32))


def test_a_width_that_does_not_fit_the_bits_is_refused_with_both_numbers() -> None:
    with pytest.raises(InvalidInput, match=r"12-bit codes take 2 bytes a row, got an array of \(1, 3\)"):
        unpack_bits(np.zeros((1, 3), np.uint8), 12)
