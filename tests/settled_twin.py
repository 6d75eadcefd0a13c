"""A `ReferenceIndex` that equals an index whose writers have come to rest, ties and all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import redis

from hashgrain.codes import HashCodes
from hashgrain.indexer import Index, ReferenceIndex
from hashgrain.indexer.identifiers import decode_id, encode_ids, shard_of
from hashgrain.indexer.keys import ShardKeys
from plain_answers import as_plain
from random_codes import random_codes
from write_history import LAYOUT, NAME, Row

QUESTIONS: list[dict[str, Any]] = [
    *({"exact": True, "rank": rank} for rank in ("total", "fine", "coarse")),
    *({"candidates": count, "rank": rank} for count in (5, 40) for rank in ("total", "fine", "coarse")),
    *({"probes": count} for count in (1, 4)),
    *({"radius": radius, "rank": "fine"} for radius in (0, 3, 6)),
    *({"within": within} for within in (2, 20, 40)),
    {"within": 2, "rank": "coarse"},
    {},
]


def item_numbers(redis_url: str, shards: int) -> dict[str | int, tuple[int, int]]:
    """By id, the shard and number that the store gave the item."""
    client, found = redis.Redis.from_url(redis_url), {}
    for shard in range(shards):
        places: Any = client.hgetall(ShardKeys(NAME, shard).nums)
        found |= {decode_id(encoded): (shard, int(place.partition(b":")[0])) for encoded, place in places.items()}
    return found


def settled_twin(
    state: Mapping[str | int, Row], numbers: Mapping[str | int, tuple[int, int]], shards: int
) -> ReferenceIndex:
    """Items as they must be, under the numbers that the store gave them: by those, ties are ordered.

    Numbers come of the order in which the server took up what several writers wrote at once, which nothing else
    tells; those in between are spent on an id that is deleted in the end.
    """
    assert set(state) == set(numbers), set(state) ^ set(numbers)
    twin = ReferenceIndex(LAYOUT, shards)
    spare = [next(f"spare-{n}" for n in range(10**4) if _shard(f"spare-{n}", shards) == s) for s in range(shards)]
    for shard in range(shards):
        given = 0
        for item in sorted((item for item in state if numbers[item][0] == shard), key=lambda item: numbers[item]):
            for _ in range(given, numbers[item][1]):
                twin.add([spare[shard]], _codes(Row(0, 0, None)))
            twin.add([item], _codes(state[item]), [state[item].payload])
            given = numbers[item][1] + 1
    twin.delete(spare)
    return twin


def require_same_answers(index: Index, twin: ReferenceIndex, centres: int) -> None:
    """Equal answers to all kinds of questions, with everything that an answer says."""
    assert len(index) == len(twin)
    queries = random_codes(4, LAYOUT, 77, centres=centres, logits=True)
    for question in QUESTIONS:
        for k in (3, 1000):
            wanted = [as_plain(hit) for hit in twin.search(queries, k, payloads=True, **question)]
            assert [as_plain(hit) for hit in index.search(queries, k, payloads=True, **question)] == wanted, question


def _shard(item: str | int, shards: int) -> int:
    return shard_of(encode_ids([item])[0], shards)


def _codes(row: Row) -> HashCodes:
    packed = (row.coarse.to_bytes(LAYOUT.coarse_bytes), row.fine.to_bytes(LAYOUT.fine_bytes))
    return HashCodes(*(np.frombuffer(code, np.uint8)[None] for code in packed))
