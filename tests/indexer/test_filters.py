"""Filters: masks over stored attributes are what plain comparisons of payloads give; what is none is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer import Filter
from hashgrain.indexer.reference_filter import matches
from hashgrain.indexer.stored.fields import KINDS, Fields

FIELDS = Fields.of({"tenant": "keyword", "price": "number", "year": "integer", "sold": "boolean"})

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "tenant": st.sampled_from(["a", "b", "", "ä", "0"]),
    "price": st.sampled_from([0, -1.5, 2, 2.0, 1e300, -0.0]),
    "year": st.sampled_from([0, -1, 2020, (1 << 63) - 1, -(1 << 63) + 1]),
    "sold": st.booleans(),
}


def conditions(field: str) -> st.SearchStrategy[Any]:
    value = st.none() | VALUES[field]
    found = value | st.lists(value, min_size=0, max_size=3)
    if field in ("price", "year"):
        found |= st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), VALUES[field], min_size=1)
    return found


LEAVES = st.sampled_from(list(VALUES)).flatmap(lambda field: conditions(field).map(lambda value: {field: value}))
NODES = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(lambda one, two: {**one, **two}, inner, inner)
        | st.builds(
            lambda key, some: {key: some}, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)
        )
        | inner.map(lambda one: {"not": one})
    ),
    max_leaves=6,
)
PAYLOADS = st.none() | st.fixed_dictionaries(
    {}, optional={field: st.none() | values for field, values in VALUES.items()}
)


@settings(max_examples=150, deadline=None)
@given(node=NODES, payloads=st.lists(PAYLOADS, min_size=1, max_size=12))
def test_a_mask_is_what_plain_comparisons_give(node: dict[str, Any], payloads: list[dict[str, Any] | None]) -> None:
    stored = [json.dumps(payload).encode() if payload is not None else b"" for payload in payloads]
    attributes = FIELDS.pack(stored, range(len(stored)))
    made = Filter.of(node)
    made.require(FIELDS, "index 'x'")
    expected = [matches(payload, made.node) for payload in payloads]
    assert made.mask(attributes, FIELDS).tolist() == expected


def test_what_is_equal_as_json_is_one_filter() -> None:
    one, two = Filter.of({"a": 1, "b": [2]}), Filter.parse('{"b": [2], "a": 1}')
    assert one == two
    assert hash(one) == hash(two)
    assert Filter.of(one) is one


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({}, "of one key or more"),
        ([], "of one key or more"),
        ({"and": []}, "takes a list of filters"),
        ({"or": {"price": 1}}, "takes a list of filters"),
        ({"not": [1]}, "of one key or more"),
        ({"price": {"above": 3}}, "made of gt, gte, lt, lte"),
        ({"price": {}}, "made of gt, gte, lt, lte"),
        ({"price": {"lt": None}}, "null as a bound"),
        ({"price": [[1]]}, "strings, numbers, true, false or null"),
        ({"price": {1, 2}}, "what JSON can hold"),
        ({"price": float("nan")}, "what JSON can hold"),
        ({"tenant": "x" * 70_000}, "bytes as JSON"),
    ],
)
def test_what_is_no_filter_is_refused(given_: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Filter.of(given_)


def test_a_filter_in_a_filter_in_a_filter_ends_somewhere() -> None:
    node: dict[str, Any] = {"price": 1}
    for _ in range(17):
        node = {"not": node}
    with pytest.raises(InvalidInput, match="more than 16 deep"):
        Filter.of(node)
    with pytest.raises(InvalidInput, match="no JSON"):
        Filter.parse('{"price": 1')


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"prize": 1}, r"no field 'prize' .* it has tenant \(keyword\), price \(number\)"),
        ({"not": {"or": [{"colour": "red"}]}}, "no field 'colour'"),
        ({"tenant": 5}, "holds strings"),
        ({"price": "5"}, "holds numbers"),
        ({"price": True}, "holds numbers"),
        ({"year": 2020.5}, "holds integers of 64 bits"),
        ({"year": 1 << 63}, "holds integers of 64 bits"),
        ({"sold": 1}, "holds true or false"),
        ({"tenant": {"lt": "b"}}, "has no ranges"),
        ({"sold": {"gt": False}}, "has no ranges"),
        ({"year": [2020, "x"]}, "holds integers"),
    ],
)
def test_unknown_fields_and_wrong_kinds_are_told(node: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Filter.of(node).require(FIELDS, "index 'x'")


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"and": "number"}, "cannot name a field"),
        ({"1st": "number"}, "cannot name a field"),
        ({"a b": "number"}, "cannot name a field"),
        ({"price": "float"}, "keyword, number, integer, boolean"),
        ({f"f{n}": "number" for n in range(33)}, "32 at most"),
        ([("price", "number")], "fields are a dict"),
    ],
)
def test_what_cannot_be_declared_is_refused(declared: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Fields.of(declared)


def test_a_value_of_another_kind_names_its_item() -> None:
    for field, value in {"tenant": 3, "price": "3", "year": 3.0, "sold": 0}.items():
        with pytest.raises(InvalidInput, match=f"item 'i1' has .* in the field '{field}'"):
            FIELDS.pack([b"", json.dumps({field: value}).encode()], ["i0", "i1"])


def test_bytes_of_attributes_are_pinned() -> None:
    payload = {"tenant": "acme", "price": 9.5, "year": 2024, "sold": True}
    stored = FIELDS.pack([json.dumps(payload).encode(), b""], [1, 2])
    assert stored[0].tobytes().hex() == "302657b33c4da2810000000000002340e80700000000000001"
    assert stored[1].tobytes().hex() == "0000000000000000000000000000f87f0000000000000080ff"
    assert FIELDS.size == 25
    assert set(KINDS) == set(FIELDS.kinds.values())


def test_missing_is_missing_in_every_kind() -> None:
    attributes = FIELDS.pack(None, [1])
    for field in FIELDS.kinds:
        assert Filter.of({field: None}).mask(attributes, FIELDS).tolist() == [True]
        assert not np.any(Filter.of({"not": {field: None}}).mask(attributes, FIELDS))
