"""Payloads: JSON objects in and out, anything else refused with the item's id."""

from __future__ import annotations

from typing import Any

import pytest

from hashgrain.codes.errors import IndexCorrupt, InvalidInput
from hashgrain.indexer.stored.payloads import decode_payload, encode_payloads


def test_payloads_come_back_as_they_were() -> None:
    given: list[dict[str, Any] | None] = [{"price": 9.5, "tags": ["é", None, True], "deep": {"x": 1}}, None, {}]
    stored = encode_payloads(given, ["a", "b", "c"])
    assert stored[1] == b""
    assert [decode_payload(item or None, "key") for item in stored] == given


def test_no_payloads_at_all_is_one_empty_each() -> None:
    assert encode_payloads(None, ["a", "b"]) == [b"", b""]


def recursive() -> dict[str, Any]:
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    return loop


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"x": object()}, "item 'b' cannot be written as JSON"),
        ({"x": {1, 2}}, "item 'b' cannot be written as JSON"),
        ({"x": float("nan")}, "item 'b' cannot be written as JSON"),
        (recursive(), "item 'b' cannot be written as JSON"),
        ({1: "x"}, "item 'b' has the key 1; keys must be strings"),
        ([1], "item 'b' is of type list; give a dict or None"),
        ("text", "item 'b' is of type str; give a dict or None"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_the_id(payload: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        encode_payloads([None, payload], ["a", "b"])


@pytest.mark.parametrize("payloads", [{"a": 1}, "ab", 5])
def test_payloads_must_be_a_list(payloads: Any) -> None:
    with pytest.raises(InvalidInput, match="payloads must be a list"):
        encode_payloads(payloads, ["a", "b"])


def test_numbers_of_ids_and_payloads_are_both_told() -> None:
    with pytest.raises(InvalidInput, match="got 2 ids and 3 payloads"):
        encode_payloads([None] * 3, ["a", "b"])


@pytest.mark.parametrize("stored", [b"{", b"[1]", b"\xff", b"5"])
def test_stored_bytes_that_are_no_object_are_told_with_the_key(stored: bytes) -> None:
    with pytest.raises(IndexCorrupt, match="the-key holds a payload that is no JSON object"):
        decode_payload(stored, "the-key")
