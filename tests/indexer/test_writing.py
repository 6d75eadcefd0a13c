"""Batches: bounded in items and in bytes, in order, and nothing lost at their borders."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import StoreUnavailable
from hashgrain.codes.packing import coarse_keys
from hashgrain.indexer import Index, Written
from hashgrain.indexer.adding import writing
from hashgrain.indexer.adding.collection import Collection
from hashgrain.indexer.stored.handles import handles_of
from hashgrain.indexer.stored.shard import Stale
from random_codes import random_codes

LAYOUT = CodeLayout(12, 64)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "BATCH_ITEMS", 3)
    monkeypatch.setattr(writing, "BATCH_BYTES", 100)


def sizes(payload_bytes: list[int]) -> list[int]:
    count = len(payload_bytes)
    items = Collection.of(range(count), random_codes(count, LAYOUT), None)
    items = replace(items, payloads=[bytes(size) for size in payload_bytes])
    batches = list(writing._batches(items, np.arange(count)))
    assert [row for batch in batches for row in batch.tolist()] == list(range(count))
    return [len(batch) for batch in batches]


def test_a_batch_holds_a_bounded_number_of_items() -> None:
    assert sizes([]) == []
    assert sizes([0] * 3) == [3]
    assert sizes([0] * 7) == [3, 3, 1]


def test_a_batch_holds_a_bounded_number_of_bytes_but_always_an_item() -> None:
    assert sizes([60, 60, 10, 500, 10]) == [1, 2, 1, 1]


def test_the_last_of_equal_ids_is_kept_with_its_own_code_and_payload() -> None:
    codes = random_codes(3, LAYOUT)
    items = Collection.of(["a", "b", "a"], codes, [{"n": 0}, None, {"n": 2}])
    assert (items.encoded, items.payloads) == ([b"b", b"a"], [b"", b'{"n":2}'])
    assert items.fine.tolist() == codes.fine[1:].tolist()
    assert items.packed_coarse.tolist() == codes.coarse[1:].tolist()
    numbers = [int(row.tobytes().hex(), 16) >> 4 for row in codes.coarse[1:]]
    assert coarse_keys(items.packed_coarse, 12).tolist() == numbers, "12 bits in 2 bytes"
    assert items.handles.tolist() == handles_of([b"b", b"a"]).tolist()


def test_items_are_written_though_others_split_their_buckets_meanwhile(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Index.create(redis_url, "x", LAYOUT, bucket_items=4) as index,
        Index.open(redis_url, "x") as other,
    ):
        index.add(range(3), random_codes(3, LAYOUT))
        shard, write, calls = index._shards[0], index._shards[0].write, []

        def after_a_split(name: str, *arguments: Any) -> Any:
            if name == "add":
                calls.append(name)
                if len(calls) < 4:
                    other.add(range(10 * len(calls), 10 * len(calls) + 10), random_codes(10, LAYOUT, len(calls)))
            return write(name, *arguments)

        monkeypatch.setattr(shard, "write", after_a_split)
        assert index.add([0, "new"], random_codes(2, LAYOUT, 9)) == Written(1, 1)
        assert len(calls) == 4, "three times the buckets were others by then"
        assert set(index.search(random_codes(1, LAYOUT), 100, exact=True)[0].ids) == {0, 1, 2, "new", *range(10, 40)}


def test_a_writer_whom_others_never_leave_in_peace_gives_up_with_an_error(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "ATTEMPTS", 3)
    with Index.create(redis_url, "x", LAYOUT) as index:
        shard, write, tries = index._shards[0], index._shards[0].write, []

        def refused(name: str, *arguments: Any) -> Any:
            if name == "add":
                tries.append(1)
                raise Stale("bucket 0 has changed")
            return write(name, *arguments)

        monkeypatch.setattr(shard, "write", refused)
        with pytest.raises(StoreUnavailable, match="split the buckets under 3 attempts to write"):
            index.add([1], random_codes(1, LAYOUT))
        assert len(tries) == 3
        assert len(index) == 0
