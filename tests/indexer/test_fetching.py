"""Items read by their ids."""

from __future__ import annotations

import numpy as np
import pytest

from hashgrain.codes.errors import IndexMissing, InvalidInput
from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer import Index, ItemId, create_generation, switch_generation
from listed_items import LAYOUT, codes_of, versions_of, write

IDS: list[ItemId] = [*range(-100, 200), *(f"item {n}" for n in range(100)), (1 << 63) - 1]


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("layout", [CodeLayout(16, 64), CodeLayout(9, 256)])
def test_items_come_in_the_order_of_their_ids(redis_url: str, shards: int, layout: CodeLayout) -> None:
    with Index.create(redis_url, "photos", layout, shards=shards, bucket_items=16) as index:
        write(index, IDS, range(len(IDS)))
        wanted = [IDS[n] for n in np.random.default_rng(0).permutation(len(IDS))]
        found = index.get(wanted)
        assert found.ids == wanted
        assert versions_of([found], layout) == {id_: n for n, id_ in enumerate(IDS)}


def test_ids_that_are_not_there_are_left_out_and_repeated_ones_come_once(redis_url: str) -> None:
    with Index.create(redis_url, "photos", LAYOUT, shards=2) as index:
        index.add([5, "a"], codes_of([0, 1]))
        found = index.get(iter(["b", "a", "5", 5, "a", 6]))
        assert (found.ids, found.payloads) == (["a", 5], [None, None])
        assert np.array_equal(found.codes.fine, codes_of([1, 0]).fine)
        assert index.get([]).ids == index.get(["nobody"]).ids == []


def test_a_replaced_and_a_deleted_item(redis_url: str) -> None:
    with Index.create(redis_url, "photos", LAYOUT, bucket_items=8) as index:
        write(index, range(100), range(100))
        write(index, range(50), range(1000, 1050))
        index.delete(range(40, 60))
        found = index.get(range(100))
        assert versions_of([found]) == {n: n + 1000 if n < 40 else n for n in range(100) if not 40 <= n < 60}


def test_a_past_generation_is_read_by_its_number(redis_url: str) -> None:
    with Index.create(redis_url, "photos", LAYOUT) as index:
        write(index, [1], [7])
        create_generation(redis_url, "photos", LAYOUT)
        switch_generation(redis_url, "photos")
        assert index.get([1]).ids == []
    with Index.open(redis_url, "photos@0") as past:
        assert versions_of([past.get([1])]) == versions_of(list(past.items())) == {1: 7}


def test_bad_ids_and_a_dropped_index(redis_url: str) -> None:
    with Index.create(redis_url, "photos", LAYOUT) as index:
        with pytest.raises(InvalidInput, match="id 1 is an empty string"):
            index.get(["a", ""])
        index.drop()
        with pytest.raises(IndexMissing):
            index.get([1])
