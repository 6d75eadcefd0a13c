"""Payloads that are changed without the codes."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from durable_server import DurableServer
from hashgrain.codes.errors import InvalidInput, StoreFull
from hashgrain.indexer import Index, check_index
from hashgrain.indexer.stored.payloads import LARGEST_PAYLOAD
from listed_items import LAYOUT, codes_of


@pytest.mark.parametrize("shards", [1, 3])
def test_payloads_change_and_codes_stay(redis_url: str, shards: int) -> None:
    ids = [*range(100), *(f"item {n}" for n in range(100))]
    with Index.create(redis_url, "photos", LAYOUT, shards=shards, bucket_items=16) as index:
        index.add(ids, codes_of(range(200)), [{"old": n} for n in range(200)])
        given: list[dict[str, Any] | None] = [None if n % 5 == 0 else {"new": n, "price": 1.5} for n in range(150)]
        assert index.set_payloads([*ids[:150], "nobody", 1000], [*given, {}, {"a": 1}]) == ["nobody", 1000]
        found = index.get(ids)
        assert found.payloads == [*given, *({"old": n} for n in range(150, 200))]
        assert found.codes.fine.tobytes() == codes_of(range(200)).fine.tobytes()
        hit = index.search(codes_of([6]), k=1, payloads=True)[0]
        assert (hit.ids, hit.payloads) == ([6], [{"new": 6, "price": 1.5}])
        assert len(index) == 200
    assert check_index(redis_url, "photos").clean


def test_of_an_id_that_comes_twice_the_last_payload_counts(redis_url: str) -> None:
    with Index.create(redis_url, "photos", LAYOUT) as index:
        index.add(["a"], codes_of([0]))
        assert index.set_payloads(["a", "a"], [{"n": 1}, {"n": 2}]) == []
        assert index.get(["a"]).payloads == [{"n": 2}]


def test_a_payload_that_cannot_be_stored_changes_nothing(redis_url: str) -> None:
    fits = {"x": "y" * (LARGEST_PAYLOAD - len('{"x":""}'))}
    with Index.create(redis_url, "photos", LAYOUT) as index:
        index.add([1, 2], codes_of([0, 1]), [fits, None])
        assert index.get([1]).payloads == [fits]
        too_large = {"x": fits["x"] + "z"}
        with pytest.raises(InvalidInput, match="item 2 takes 1,048,577 bytes as JSON, at most 1,048,576"):
            index.set_payloads([1, 2], [{}, too_large])
        with pytest.raises(InvalidInput, match="item 3 takes 1,048,577 bytes"):
            index.add([3], codes_of([0]), [too_large])
        with pytest.raises(InvalidInput, match="cannot be written as JSON"):
            index.set_payloads([1, 2], [{}, {"x": b"bytes"}])
        with pytest.raises(InvalidInput, match="2 ids and 1 payloads"):
            index.set_payloads([1, 2], [{}])
        assert (index.get([1, 2]).payloads, len(index)) == ([fits, None], 2)


def test_a_full_store_refuses_a_payload_and_lets_one_be_taken_away(server: DurableServer) -> None:
    client = redis.Redis.from_url(server.url)
    with Index.create(server.url, "photos", LAYOUT) as index:
        index.add([1, 2], codes_of([0, 1]), [{"n": 1}, {"n": 2}])
        client.config_set("maxmemory", 1)
        with pytest.raises(StoreFull):
            index.set_payloads([1, 2], [{"n": 3}, None])
        assert index.get([1, 2]).payloads == [{"n": 1}, {"n": 2}]
        assert index.set_payloads([1], [None]) == []
        assert index.get([1, 2]).payloads == [None, {"n": 2}]
