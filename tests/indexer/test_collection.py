"""A whole collection: integers stay numbers, and what comes out is what adding makes of the same ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer.adding.collection import Collection, integer_handles
from hashgrain.indexer.stored.handles import FIRST_HASHED
from random_codes import random_codes

LAYOUT = CodeLayout(12, 64)


def collected(ids: Iterable[Any], rows: int, payloads: list[dict[str, Any] | None] | None = None) -> Collection:
    return Collection.of(ids, random_codes(rows, LAYOUT), payloads)


@pytest.mark.parametrize(
    "ids",
    [
        [3, -1, 5],
        (3, -1, 5),
        range(7, 10),
        np.array([3, -1, 5]),
        np.array([3, 1, 5], np.uint8),
        np.array([3, 1, 5], np.uint64),
        [FIRST_HASHED - 1, -FIRST_HASHED, 0],
        [],
        np.empty(0, np.int64),
    ],
    ids=repr,
)
def test_integers_are_their_own_handles(ids: Any) -> None:
    """In a list, a range or an array of any width."""
    handles = integer_handles(ids)
    assert handles is not None
    assert handles.dtype == np.int64
    assert handles.tolist() == list(ids)


@pytest.mark.parametrize(
    "ids",
    [
        ["3", 4],
        [True, 4],
        [np.int64(3), 4],
        [3.0, 4.0],
        [1 << 70, 4],
        [FIRST_HASHED, 4],
        [-FIRST_HASHED - 1, 4],
        np.array([1 << 63, 4], np.uint64),
        np.array([3.0, 4.0]),
        np.array([[3, 4]]),
        np.array([True, False]),
        "34",
    ],
    ids=repr,
)
def test_all_else_is_looked_at_one_by_one(ids: Any) -> None:
    """Whether it can be an id at all is decided there."""
    assert integer_handles(ids) is None


@given(ids=st.lists(st.integers(-3, 30), min_size=1, max_size=60), kind=st.sampled_from([list, np.array, iter]))
def test_numbers_are_what_looking_at_each_makes_of_them(ids: list[int], kind: Callable[[list[int]], Any]) -> None:
    """Of several items of one id the last counts, with its own code and payload."""
    payloads = [{"n": n} if n % 3 else None for n in range(len(ids))]
    codes = random_codes(len(ids), LAYOUT)
    found, expected = Collection.of(kind(ids), codes, payloads), Collection.named(ids, codes, payloads)
    assert found.encoded is None
    assert found.payloads is not None
    for name in ("handles", "fine", "packed_coarse"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()
    assert expected.payloads is not None
    assert list(found.payloads) == list(expected.payloads)


def test_names_are_kept_where_any_id_is_no_number() -> None:
    """Of all items, the numbers among them too."""
    items = collected(["a", 5, "a", FIRST_HASHED], 4)
    assert items.encoded == [b"\xff5", b"a", b"\xff%d" % FIRST_HASHED]
    assert items.payloads is None
    assert items.fine.tolist() == random_codes(4, LAYOUT).fine[1:].tolist()


@pytest.mark.parametrize("ids", [[1, 2], np.array([1, 2]), ["a", "b"]], ids=repr)
def test_there_must_be_as_many_ids_as_codes(ids: Any) -> None:
    """Both numbers are said."""
    with pytest.raises(InvalidInput, match="got 2 ids and 3 codes"):
        collected(ids, 3)


@pytest.mark.parametrize("ids", ["ab", 5, [True, 1], [1.5, 2], np.array([[1], [2]]), [1 << 64, 2]], ids=repr)
def test_what_can_be_no_id_is_refused(ids: Any) -> None:
    """As adding refuses it."""
    with pytest.raises(InvalidInput, match="id"):
        collected(ids, 2)


def test_a_payload_that_cannot_be_stored_is_refused_by_the_name_of_its_item() -> None:
    """The id is in the message, of a number too."""
    with pytest.raises(InvalidInput, match="the payload of item 8 "):
        collected([7, 8], 2, [None, {"x": float("nan")}])
    with pytest.raises(InvalidInput, match="got 2 ids and 1 payloads"):
        collected([7, 8], 2, [None])
