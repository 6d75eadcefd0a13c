"""What goes wrong around an index: full memory, dead writers, damaged buckets. Nothing half-written, nothing silent."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import IndexCorrupt, StoreFull
from hashgrain.indexer import Index
from random_codes import random_codes

LAYOUT = CodeLayout(12, 64)
BATCH = 40
BUCKET = "hg:{x:0}:b:000000"

TESTS = Path(__file__).parents[1]


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(redis_url)
    yield client
    client.config_set("maxmemory", 0)


def fill_up(client: redis.Redis) -> None:
    client.config_set("maxmemory", 1)


def everything(client: redis.Redis) -> dict[bytes, bytes | None]:
    return {key: client.dump(key) for key in client.scan_iter()}


def test_a_full_store_refuses_a_batch_wholly_and_says_how_much_was_written(
    redis_url: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Index.create(redis_url, "x", LAYOUT, shards=2) as index:
        index.add(range(100), random_codes(100, LAYOUT), [{"n": n} for n in range(100)])
        before = everything(client)
        fill_up(client)
        with pytest.raises(StoreFull, match=r"maxmemory.*nothing of this batch.*0 of 50 items were written before it"):
            index.add(range(50, 100), random_codes(50, LAYOUT, 1))
        assert everything(client) == before
        client.config_set("maxmemory", 0)
        index.add(range(50, 100), random_codes(50, LAYOUT, 1))
        assert len(index) == 100


def test_memory_that_runs_out_between_batches_keeps_the_batches_before(
    redis_url: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hashgrain.indexer.adding.writing.BATCH_ITEMS", 10)
    with Index.create(redis_url, "x", LAYOUT) as index:
        shard, done = index._shards[0], []
        whole = shard.write

        def counted(name: str, *arguments: Any) -> list[Any]:
            if len(done) == 3:
                fill_up(client)
            done.append(name)
            return whole(name, *arguments)

        monkeypatch.setattr(shard, "write", counted)
        with pytest.raises(StoreFull, match="30 of 50 items were written before it"):
            index.add(range(50), random_codes(50, LAYOUT))
        hit = index.search(random_codes(1, LAYOUT), 100, exact=True)[0]
        assert sorted(hit.ids) == list(range(30))  # type: ignore[type-var]


def test_a_full_store_can_be_searched_emptied_and_dropped(redis_url: str, client: redis.Redis) -> None:
    with Index.create(redis_url, "x", LAYOUT) as index:
        index.add(range(100), random_codes(100, LAYOUT))
        fill_up(client)
        assert index.search(random_codes(1, LAYOUT), 5, exact=True)[0].candidates == 100
        assert index.delete(range(40)) == 40
        assert sorted(index.search(random_codes(1, LAYOUT), 100, exact=True)[0].ids) == list(range(40, 100))  # type: ignore[type-var]
        index.drop()
    assert client.keys() == []


def test_nothing_is_created_in_a_full_store(redis_url: str, client: redis.Redis) -> None:
    fill_up(client)
    for shards in (1, 2):
        with pytest.raises(StoreFull):
            Index.create(redis_url, "x", LAYOUT, shards=shards)
    assert client.keys() == []


WRITER = """
import sys
from random_codes import random_codes
from hashgrain.codes import CodeLayout
from hashgrain.indexer import Index

index, batch, layout = Index.open(sys.argv[1], "x"), int(sys.argv[2]), CodeLayout(12, 64)
print("open", flush=True)
for number in range(10**6):
    # One id is replaced by every batch, the others are new.
    ids = ["latest", *(f"{number}-{n}" for n in range(batch - 1))]
    index.add(ids, random_codes(batch, layout, number), [{"batch": number}] * batch)
    print(number, flush=True)
"""


@pytest.mark.parametrize("wait", [0.02, 0.05, 0.09, 0.14])
def test_a_killed_writer_leaves_every_batch_whole_or_absent(redis_url: str, wait: float) -> None:
    Index.create(redis_url, "x", LAYOUT).close()
    command = [sys.executable, "-c", WRITER, redis_url, str(BATCH)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=TESTS) as writer:
        assert writer.stdout is not None
        assert [writer.stdout.readline() for _ in range(2)] == ["open\n", "0\n"]  # the first write compiles
        time.sleep(wait)
        writer.kill()
        acknowledged = 1 + len(writer.stdout.read().splitlines())
    with Index.open(redis_url, "x") as index:
        hit = index.search(random_codes(1, LAYOUT), 10**6, exact=True, payloads=True)[0]
        assert hit.payloads is not None
        found = dict(zip(hit.ids, hit.payloads, strict=True))
        batches = 0 if not found else 1 + max(payload["batch"] for payload in hit.payloads if payload)
        assert batches in (acknowledged, acknowledged + 1), "at most the batch under way is not acknowledged"
        wanted = {f"{number}-{n}": {"batch": number} for number in range(batches) for n in range(BATCH - 1)}
        assert found == wanted | ({"latest": {"batch": batches - 1}} if batches else {})
        assert len(index) == len(found)
        assert index.stats().items == len(found)


def test_a_bucket_of_a_broken_length_is_told_by_its_key_to_readers_and_writers(
    redis_url: str, client: redis.Redis
) -> None:
    with Index.create(redis_url, "x", LAYOUT) as index:
        codes = random_codes(30, LAYOUT)
        index.add(range(30), codes)
        client.append(BUCKET, b"\0")
        before = everything(client)
        for call in (lambda: index.search(codes[:1], exact=True), lambda: index.add(range(30, 60), codes)):
            with pytest.raises(IndexCorrupt, match=rf"{BUCKET} holds 421 bytes, no multiple of the"):
                call()
        assert everything(client) == before


def test_a_bucket_that_went_missing_is_told_by_its_key(redis_url: str, client: redis.Redis) -> None:
    with Index.create(redis_url, "x", LAYOUT) as index:
        codes = random_codes(30, LAYOUT)
        index.add(range(30), codes)
        client.delete(BUCKET)
        for call in (lambda: index.search(codes[:1], exact=True), lambda: index.add(range(30, 60), codes)):
            with pytest.raises(IndexCorrupt, match=f"{BUCKET} is missing.*`hashgrain index check"):
                call()


def test_a_bucket_that_another_service_took_is_refused_before_anything_is_written(
    redis_url: str, client: redis.Redis
) -> None:
    with Index.create(redis_url, "x", LAYOUT) as index:
        codes = random_codes(30, LAYOUT)
        client.delete(BUCKET)
        client.rpush(BUCKET, "theirs")
        before = everything(client)
        with pytest.raises(IndexCorrupt, match="another service uses that key"):
            index.add(range(30), codes)
        assert everything(client) == before


def test_places_that_cannot_be_read_are_told_by_the_key_of_their_page(redis_url: str, client: redis.Redis) -> None:
    with Index.create(redis_url, "x", LAYOUT) as index:
        index.add(["a"], random_codes(1, LAYOUT))
        client.append("hg:{x:0}:p:000000", "!")
        before = everything(client)
        for call in (lambda: index.delete(["a"]), lambda: index.add(["a"], random_codes(1, LAYOUT))):
            with pytest.raises(IndexCorrupt, match=r"hg:\{x:0\}:p:000000 holds 9 bytes, no multiple of the 8 bytes"):
                call()
        assert everything(client) == before


def test_a_partition_that_is_cut_off_is_told(redis_url: str, client: redis.Redis) -> None:
    with Index.create(redis_url, "x", LAYOUT) as index:
        client.set("hg:{x:0}:partition", "cut off")
        with pytest.raises(IndexCorrupt, match="partition holds 7 bytes, not one or more entries of 14 bytes"):
            index.search(random_codes(1, LAYOUT))


def test_scripts_that_the_server_forgot_are_loaded_again(redis_url: str, client: redis.Redis) -> None:
    """As after a restart or a failover."""
    with Index.create(redis_url, "x", LAYOUT) as index:
        index.add(["a"], random_codes(1, LAYOUT))
        client.script_flush()
        index.add(["b"], random_codes(1, LAYOUT))
        client.script_flush()
        assert index.delete(["a", "b"]) == 2


def test_a_reader_beside_a_writer_never_sees_half_of_a_batch(redis_url: str) -> None:
    """Every batch replaces all items, moves them to other buckets and stamps them: a search must see one stamp only."""
    stop = threading.Event()
    with Index.create(redis_url, "x", LAYOUT) as index:
        index.add(range(BATCH), random_codes(BATCH, LAYOUT), [{"batch": 0}] * BATCH)

        def write() -> None:
            with Index.open(redis_url, "x") as own:
                number = 0
                while not stop.is_set():
                    number += 1
                    own.add(range(BATCH), random_codes(BATCH, LAYOUT, number), [{"batch": number}] * BATCH)
                    time.sleep(0.002)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            seen: list[Any] = []
            while len(seen) < 60 or (len(set(seen)) <= 3 and len(seen) < 10_000):
                hit = index.search(random_codes(1, LAYOUT), BATCH, exact=True, payloads=True)[0]
                assert sorted(hit.ids) == list(range(BATCH))  # type: ignore[type-var]
                assert hit.payloads is not None
                stamps = {payload and payload["batch"] for payload in hit.payloads}
                assert len(stamps) == 1
                seen.append(stamps.pop())
        finally:
            stop.set()
            writer.join()
    assert seen == sorted(seen), "a later search never sees an earlier state"
    assert len(set(seen)) > 3, "the writer must have written meanwhile"
