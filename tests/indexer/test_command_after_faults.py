"""Full memory, damaged buckets, another schema, no server: `hashgrain index check` says what to do, and it helps."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from command import hashgrain
from damaged_index import NAME, PLAIN, Stored, build, require_equal
from durable_server import DurableServer
from hashgrain.codes.errors import StoreFull
from hashgrain.indexer import Index
from hashgrain.indexer.stored.keys import SCHEMA_VERSION, ShardKeys
from random_codes import random_codes
from write_history import LAYOUT, Row, Write

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(redis_url)
    yield client
    client.config_set("maxmemory", 0)


@pytest.fixture
def index_command(redis_url: str) -> Run:
    """Run `hashgrain index` against the test's Redis."""
    return lambda *arguments: hashgrain("index", *arguments, HASHGRAIN_REDIS=redis_url)


def require_sound(index_command: Run) -> None:
    checked = index_command("check", NAME)
    assert (checked.returncode, checked.stderr) == (0, ""), checked
    assert re.fullmatch(r"examined index x: [^\n]+\nnothing is wrong\n", checked.stdout)


def test_memory_that_is_full_half_way_through_an_add_can_be_emptied_raised_and_filled(
    redis_url: str, client: redis.Redis, index_command: Run
) -> None:
    ids: list[str | int] = [f"photo-{n}" for n in range(6000)]
    first = Write(0, list(range(500)), random_codes(500, LAYOUT), [{"n": n} for n in range(500)])
    large = Write(1, ids, random_codes(6000, LAYOUT, 1), [{"n": n, "text": "x" * 100} for n in range(6000)])
    state: dict[str | int, Row] = {}
    with Index.create(redis_url, NAME, LAYOUT, shards=2) as index:
        add(index, first, state)
        memory: Any = client.info("memory")
        client.config_set("maxmemory", memory["used_memory"] + 700_000)
        with pytest.raises(StoreFull, match=r"raise maxmemory or delete items, then add the rest") as full:
            index.add(large.ids, large.codes, large.payloads)  # type: ignore[arg-type]
        told = re.search(r"\((\d+) of 6000 items were written before it\)", str(full.value))
        assert told is not None
        written = int(told[1])
        assert 0 < written < 6000, "memory must have run out half-way"
        there = {*index.search(random_codes(1, LAYOUT, 2), 10**5, exact=True)[0].ids}
        assert len(there) == len(index) == 500 + written
        state |= {item: row for item, row in large.rows().items() if item in there and row}
        require_sound(index_command)
        require_settled(redis_url, state)

        assert index.delete(first.ids[:300]) == 300, "deleting is the way out of a full store"
        for item in first.ids[:300]:
            del state[item]
        require_sound(index_command)
        require_settled(redis_url, state)

        client.config_set("maxmemory", 0)
        assert index.add(large.ids, large.codes, large.payloads).replaced == written  # type: ignore[arg-type]
        state |= {item: row for item, row in large.rows().items() if row}
        require_sound(index_command)
        require_settled(redis_url, state)


def add(index: Index, write: Write, state: dict[str | int, Row]) -> None:
    assert write.codes is not None
    index.add(write.ids, write.codes, write.payloads)
    state |= {item: row for item, row in write.rows().items() if row}


def require_settled(redis_url: str, state: dict[str | int, Row]) -> None:
    """That exactly these items are there, at their true distances and with their payloads."""
    query = random_codes(1, LAYOUT, 2)
    with Index.open(redis_url, NAME) as index:
        hit = index.search(query, 10**5, exact=True, payloads=True)[0]
    found = dict(zip(hit.ids, zip(hit.distances.tolist(), hit.payloads or (), strict=True), strict=True))
    assert len(found) == len(hit.ids)
    assert found == {item: (row.distances(query)["total"], row.payload) for item, row in state.items()}


def insert_in_the_middle(stored: Stored) -> None:
    key = stored.keys.bucket(stored.bucket(PLAIN))
    stored.client.set(key, stored.text(key)[:25] + b"!" + stored.text(key)[25:])


def test_a_torn_bucket_is_told_and_mended(redis_url: str, index_command: Run) -> None:
    index, twin, stored = build(redis_url)
    with index:
        key = stored.keys.bucket(stored.bucket(PLAIN))
        stored.client.append(key, b"\0" * 5)
        checked = index_command("check", NAME)
        assert (checked.returncode, checked.stderr) == (1, "")
        assert checked.stdout.split("\n", 1)[1] == (
            "\n"
            "torn-bucket: 1 found\n"
            f"  {key}: {len(stored.text(key))} bytes, no multiple of the 18 bytes of a record; "
            f"its {len(stored.text(key)) // 18} whole ones are accounted for\n"
            "  so     every search and write that meets this bucket fails\n"
            "  next   `hashgrain index check x --repair` mends it\n"
            "\n"
            "0 repaired, 1 left\n"
        )
        mended = index_command("check", NAME, "--repair")
        assert mended.returncode == 0
        assert mended.stdout.endswith("\n1 repaired, 0 left\n")
        require_sound(index_command)
        require_equal(index, twin)


def test_a_bucket_whose_records_are_shifted_is_told_and_built_again(redis_url: str, index_command: Run) -> None:
    index, _, stored = build(redis_url)
    with index:
        insert_in_the_middle(stored)
    for options in ((), ("--repair",)):
        checked = index_command("check", NAME, *options)
        assert (checked.returncode, checked.stderr) == (1, "")
        assert "\nshifted-bucket: 1 found\n" in checked.stdout
        assert "next   restore a backup, or drop the index with `hashgrain index drop x --yes`" in checked.stdout
    assert index_command("drop", NAME, "--yes").returncode == 0
    assert stored.client.keys() == []
    index, twin, _ = build(redis_url)
    with index:
        require_sound(index_command)
        require_equal(index, twin)


def test_another_schema_version_is_refused_with_both_numbers_and_left_alone(
    redis_url: str, client: redis.Redis, index_command: Run
) -> None:
    index, twin, _ = build(redis_url)
    meta = ShardKeys(NAME, 0).meta
    with index:
        client.hset(meta, "schema", "99")
        before = {key: client.dump(key) for key in client.scan_iter()}
        for options in ((), ("--repair",), ("--json",)):
            checked = index_command("check", NAME, *options)
            assert (checked.returncode, checked.stdout) == (1, "")
            assert f"schema version 99, this code knows {SCHEMA_VERSION}" in checked.stderr
        assert {key: client.dump(key) for key in client.scan_iter()} == before
        client.hset(meta, "schema", str(SCHEMA_VERSION))
        require_sound(index_command)
        require_equal(index, twin)


def test_a_server_that_is_gone_is_told_with_the_next_step(server: DurableServer) -> None:
    Index.create(server.url, NAME, LAYOUT).close()
    server.kill()
    checked = hashgrain("index", "check", NAME, HASHGRAIN_REDIS=server.url)
    assert (checked.returncode, checked.stdout) == (1, "")
    assert f"no Redis at {server.url}" in checked.stderr
    assert "start one with `hashgrain up`" in checked.stderr
    server.start()
    assert hashgrain("index", "check", NAME, HASHGRAIN_REDIS=server.url).returncode == 0
