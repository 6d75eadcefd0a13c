"""CodeLayout and HashCodes: what they accept, and the messages where they do not."""

from __future__ import annotations

import numpy as np
import pytest

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.errors import InvalidInput, LayoutMismatch
from random_codes import random_codes


@pytest.mark.parametrize(("coarse", "fine"), [(7, 64), (25, 64), (16, 24), (16, 264), (16, 63)])
def test_lengths_out_of_range_are_refused_with_the_number(coarse: int, fine: int) -> None:
    with pytest.raises(InvalidInput, match=f"got {coarse if not 8 <= coarse <= 24 else fine}$"):
        CodeLayout(coarse, fine)


@pytest.mark.parametrize(("bits", "width"), [(8, 1), (9, 2), (16, 2), (17, 3), (24, 3)])
def test_a_coarse_code_takes_whole_bytes(bits: int, width: int) -> None:
    assert CodeLayout(bits, 64).coarse_bytes == width


def test_require_names_both_layouts() -> None:
    with pytest.raises(LayoutMismatch, match=r"the index holds 16-bit .* 64-bit .*, got 16-bit .* 48-bit"):
        CodeLayout(16, 64).require(CodeLayout(16, 48), "the index")


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 2), np.int64),
        np.zeros(2, np.uint8),
        [[0, 0], [0, 0]],
        None,
    ],
    ids=["dtype", "rank", "list", "none"],
)
def test_codes_must_be_two_dimensional_bytes(wrong: object) -> None:
    with pytest.raises(InvalidInput, match="coarse must be a two-dimensional uint8 array"):
        HashCodes(wrong, np.zeros((2, 8), np.uint8))  # type: ignore[arg-type]


def test_rows_must_agree() -> None:
    with pytest.raises(InvalidInput, match="coarse has 2 rows, fine has 3"):
        HashCodes(np.zeros((2, 2), np.uint8), np.zeros((3, 8), np.uint8))


def test_check_tells_both_widths() -> None:
    codes = random_codes(2, CodeLayout(16, 48))
    with pytest.raises(LayoutMismatch, match="holds 64-bit fine codes .8 bytes., got 48 bits .6 bytes."):
        codes.check(CodeLayout(16, 64))


def test_padding_bits_must_be_zero_lest_two_buckets_stand_for_one_code() -> None:
    codes = HashCodes(np.array([[0, 1]], np.uint8), np.zeros((1, 8), np.uint8))
    with pytest.raises(LayoutMismatch, match="last 4 bits of a 12-bit coarse code must be zero"):
        codes.check(CodeLayout(12, 64))


def test_logits_of_another_width_are_refused() -> None:
    codes = HashCodes(np.zeros((1, 2), np.uint8), np.zeros((1, 8), np.uint8), np.zeros((1, 15), np.float32))
    with pytest.raises(LayoutMismatch, match="16-bit coarse codes, got 15 coarse logits"):
        codes.check(CodeLayout(16, 64))


def test_from_logits_keeps_the_logits_and_binarises_them() -> None:
    codes = HashCodes.from_logits(np.array([[1.0] * 8]), np.array([[-1.0] * 32]))
    assert codes.coarse.tolist() == [[255]]
    assert codes.fine.tolist() == [[0, 0, 0, 0]]
    assert codes.coarse_logits is not None
    assert codes.coarse_logits.dtype == np.float32


def test_rows_are_taken_and_joined_with_their_logits() -> None:
    codes = random_codes(5, CodeLayout(16, 64), logits=True)
    parts = [codes[:2], codes[np.array([2, 3, 4])]]
    joined = HashCodes.concatenate(parts)
    assert np.array_equal(joined.fine, codes.fine)
    assert np.array_equal(joined.coarse_logits, codes.coarse_logits)  # type: ignore[arg-type]
    without = HashCodes(parts[1].coarse, parts[1].fine)
    assert HashCodes.concatenate([parts[0], without]).coarse_logits is None, "logits of a part only are of no use"
    assert [len(one) for one in codes] == [1] * 5


def test_nothing_cannot_be_joined() -> None:
    with pytest.raises(InvalidInput, match="nothing to concatenate"):
        HashCodes.concatenate([])
