"""Batches: bounded in items and in bytes, in order, and nothing lost at their borders."""

from __future__ import annotations

import pytest

from hashgrain.codes import CodeLayout
from hashgrain.indexer import writing
from hashgrain.indexer.shard import ItemRow
from random_codes import random_codes

LAYOUT = CodeLayout(12, 64)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "BATCH_ITEMS", 3)
    monkeypatch.setattr(writing, "BATCH_BYTES", 100)


def sizes(payload_bytes: list[int]) -> list[int]:
    rows = [ItemRow(b"i%d" % n, 0, b"", bytes(size)) for n, size in enumerate(payload_bytes)]
    batches = list(writing._batches(rows))
    assert [row for batch in batches for row in batch] == rows
    return [len(batch) for batch in batches]


def test_a_batch_holds_a_bounded_number_of_items() -> None:
    assert sizes([]) == []
    assert sizes([0] * 3) == [3]
    assert sizes([0] * 7) == [3, 3, 1]


def test_a_batch_holds_a_bounded_number_of_bytes_but_always_an_item() -> None:
    assert sizes([60, 60, 10, 500, 10]) == [1, 2, 1, 1]


def test_rows_keep_the_last_of_equal_ids_with_its_own_code_and_payload() -> None:
    codes = random_codes(3, LAYOUT)
    rows = writing.item_rows(["a", "b", "a"], codes, [{"n": 0}, None, {"n": 2}], LAYOUT)
    assert [(row.encoded, row.payload) for row in rows] == [(b"sb", b""), (b"sa", b'{"n":2}')]
    assert [row.fine for row in rows] == [codes.fine[1].tobytes(), codes.fine[2].tobytes()]
    first_bits = f"{codes.coarse[2].tobytes().hex()}"
    assert rows[1].coarse == int(first_bits, 16) >> 4, "a 12-bit code in two bytes"
