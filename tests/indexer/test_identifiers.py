"""Ids: both types kept apart, decoded as they were given, refused where they cannot be stored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashgrain.codes.errors import IndexCorrupt, InvalidInput
from hashgrain.indexer.stored.identifiers import decode_id, encode_ids, last_of_each

ANY_ID = st.one_of(st.integers(-(2**63), 2**63 - 1), st.text(st.characters(codec="utf-8"), min_size=1, max_size=127))


@given(st.lists(ANY_ID))
def test_ids_come_back_with_their_own_type(ids: list[str | int]) -> None:
    again = [decode_id(encoded) for encoded in encode_ids(ids)]
    assert again == ids
    assert [type(item) for item in again] == [type(item) for item in ids]


def test_a_number_is_not_its_text() -> None:
    assert encode_ids(["5", 5, -5]) == [b"5", b"\xff5", b"\xff-5"]


def test_numpy_integers_are_integers() -> None:
    assert encode_ids(np.array([3, -4])) == encode_ids([3, -4])


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("", "id 1 is an empty string"),
        (True, "id 1 is the boolean True"),
        (np.True_, "id 1 is the boolean True"),
        (1.0, "id 1 is of type float"),
        (None, "id 1 is of type NoneType"),
        (b"x", "id 1 is of type bytes"),
        (2**63, "integer ids have 64 bits"),
        (-(2**63) - 1, "integer ids have 64 bits"),
        ("\ud800", "cannot be written as UTF-8"),
        ("x" * 512, "takes 512 bytes, at most 511"),
        ("é" * 256, "takes 512 bytes, at most 511"),
    ],
)
def test_what_cannot_be_an_id_is_refused_with_its_position(item: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        encode_ids(["fine", item])  # type: ignore[list-item]


def test_the_longest_id_is_accepted() -> None:
    assert decode_id(encode_ids(["x" * 511])[0]) == "x" * 511


@pytest.mark.parametrize("ids", ["abc", b"abc", 5, None])
def test_a_single_id_must_stand_in_a_list(ids: object) -> None:
    with pytest.raises(InvalidInput, match="ids must be a list"):
        encode_ids(ids)  # type: ignore[arg-type]


@pytest.mark.parametrize("stored", [b"", b"\xff5.0", b"\xff", b"\xffx", b"x\xff"])
def test_stored_bytes_that_are_no_id_are_told(stored: bytes) -> None:
    with pytest.raises(IndexCorrupt, match="is stored as an item's id"):
        decode_id(stored)


def test_the_last_of_equal_ids_stays_in_its_place() -> None:
    assert last_of_each([b"a", b"b", b"a", b"c", b"b"]) == [2, 3, 4]
