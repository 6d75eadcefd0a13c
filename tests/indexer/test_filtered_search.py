"""Searches with a filter on a real server: equal to the reference, whatever was written, split and kept before."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer import (
    Index,
    Kind,
    ReferenceIndex,
    SearchOptions,
    check_index,
    create_generation,
    switch_generation,
)
from plain_answers import as_plain
from random_codes import random_codes
from stored_buckets import stored_buckets

LAYOUT = CodeLayout(12, 64)
FIELDS: dict[str, Kind] = {"tenant": "keyword", "price": "number", "year": "integer", "sold": "boolean"}
ITEMS = 300
QUERIES = random_codes(5, LAYOUT, 9, flips=0.2, logits=True)
FILTERS: list[dict[str, Any]] = [
    {"tenant": "t1"},
    {"tenant": ["t0", "t3"], "price": {"gte": 10, "lt": 60}},
    {"or": [{"sold": True}, {"not": {"year": {"lte": 2010}}}]},
    {"price": None},
    {"tenant": "nobody"},
]
BUDGETS: list[SearchOptions] = [{}, {"candidates": 20}, {"probes": 4}, {"radius": 3}, {"within": 22}, {"exact": True}]


def payload(rng: random.Random) -> dict[str, Any] | None:
    found = {
        "tenant": f"t{rng.randrange(4)}",
        "price": rng.choice([rng.uniform(0, 100), rng.randrange(100)]),
        "year": rng.randrange(2000, 2025),
        "sold": rng.random() < 0.5,
        "name": "beside the fields",
    }
    if rng.random() < 0.05:
        return None
    return {key: value for key, value in found.items() if rng.random() < 0.9}


@pytest.fixture(params=[1, 3])
def both(redis_url: str, request: pytest.FixtureRequest) -> Iterator[tuple[Index, ReferenceIndex]]:
    """An index with fields and its twin, after additions, replacements, other payloads and deletions."""
    rng = random.Random(1)
    twin = ReferenceIndex(LAYOUT)
    ids: list[str | int] = [f"i{n}" if n % 3 else n if n % 2 else n + (1 << 40) for n in range(ITEMS)]
    with Index.create(redis_url, "x", LAYOUT, shards=request.param, bucket_items=8, fields=FIELDS) as index:
        codes = random_codes(ITEMS, LAYOUT, flips=0.2)
        payloads = [payload(rng) for _ in ids]
        index.add(ids, codes, payloads)
        index.add(ids[:60], codes[60:120], payloads[60:120])
        payloads[:60], others = payloads[60:120], [payload(rng) for _ in range(40)]
        index.set_payloads(ids[100:140], others)
        payloads[100:140] = others
        index.delete(ids[200:230])
        for n, item in enumerate(ids):
            if not 200 <= n < 230:
                row = n + 60 if n < 60 else n
                twin.add([item], codes[row : row + 1], [payloads[n]])
        yield index, twin


@pytest.mark.parametrize("node", FILTERS)
@pytest.mark.parametrize("budget", BUDGETS)
def test_answers_are_those_of_the_reference(
    redis_url: str, both: tuple[Index, ReferenceIndex], node: dict[str, Any], budget: Any
) -> None:
    index, twin = both
    buckets = stored_buckets(redis_url, "x")
    with Index.open(redis_url, "x", cache_bytes=1 << 20) as keeping:
        for more in ({}, {"payloads": True}, {"rank": "fine", "refine": 9}):
            expected = twin.search(QUERIES, 6, filter=node, buckets=buckets, **budget, **more)
            for one in (index, keeping, keeping):
                found = one.search(QUERIES, 6, filter=node, **budget, **more)
                assert [as_plain(hit) for hit in found] == [as_plain(hit) for hit in expected]


def test_what_is_stored_passes_the_check_and_takes_what_it_says(
    redis_url: str, both: tuple[Index, ReferenceIndex]
) -> None:
    index, _ = both
    assert index.fields == FIELDS
    assert index.layout == LAYOUT
    assert check_index(redis_url, "x", repair=True).findings == ()
    with Index.open(redis_url, "x") as again:
        assert again.fields == FIELDS


def test_loaded_copied_and_switched_it_filters_alike(redis_url: str, both: tuple[Index, ReferenceIndex]) -> None:
    index, twin = both
    plain = {"tenant": "t1", "price": {"gte": 10}}
    expected = twin.search(QUERIES, 6, filter=plain, exact=True)
    with create_generation(redis_url, "x", LAYOUT, fields={"price": "number", "tenant": "keyword"}) as following:
        for number, items in enumerate(index.items()):
            (following.load_stored if number == 0 else following.add_stored)(items)
    switch_generation(redis_url, "x")
    found = index.search(QUERIES, 6, filter=plain, exact=True)
    assert [hit.ids for hit in found] == [hit.ids for hit in expected]
    with pytest.raises(InvalidInput, match="no field 'year'"):
        index.search(QUERIES, filter={"year": 2000})


def test_wrong_values_write_nothing_and_unknown_fields_are_told(redis_url: str) -> None:
    codes = random_codes(3, LAYOUT)
    with Index.create(redis_url, "x", LAYOUT, fields={"price": "number"}) as index:
        with pytest.raises(InvalidInput, match="item 'b' has 'cheap' in the field 'price'"):
            index.add(["a", "b", "c"], codes, [{"price": 1}, {"price": "cheap"}, None])
        with pytest.raises(InvalidInput, match="item 2 has"):
            index.load([1, 2, 3], codes, [None, {"price": []}, None])
        assert len(index) == 0
        index.add(["a"], codes[:1], [{"price": 1}])
        with pytest.raises(InvalidInput, match="item 'a' has"):
            index.set_payloads(["a"], [{"price": "cheap"}])
        assert index.get(["a"]).payloads == [{"price": 1}]
        with pytest.raises(InvalidInput, match="no field 'prize'"):
            index.search(codes, filter={"prize": 1})
    with Index.create(redis_url, "y", LAYOUT) as index, pytest.raises(InvalidInput, match="it has none"):
        index.search(codes, filter={"price": 1})


def test_a_filter_costs_nothing_to_those_who_use_none(redis_url: str) -> None:
    with Index.create(redis_url, "x", LAYOUT) as plain, Index.create(redis_url, "y", LAYOUT, fields=FIELDS) as fielded:
        for index in (plain, fielded):
            index.add(list(range(200)), random_codes(200, LAYOUT))
        assert check_index(redis_url, "y").findings == ()
        grown = {
            part: fielded.stats().memory_of[part] - plain.stats().memory_of[part] for part in ("buckets", "places")
        }
        assert 200 * 25 * 0.8 < grown["buckets"] < 200 * 25 * 2
        assert abs(grown["places"]) < 200, "an item has its place as before"
