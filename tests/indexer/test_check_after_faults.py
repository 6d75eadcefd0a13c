"""A server was killed, its append-only file was torn, or its memory was full: checks are clean, nothing is lost."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from durable_server import DurableServer
from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import StoreFull
from hashgrain.indexer import Index, check_index
from random_codes import random_codes

LAYOUT = CodeLayout(12, 64)
BATCH = 40

TESTS = Path(__file__).parents[1]

WRITER = """
import sys
from random_codes import random_codes
from hashgrain.codes import CodeLayout
from hashgrain.indexer import Index

index, batch, layout = Index.open(sys.argv[1], "x"), int(sys.argv[2]), CodeLayout(12, 64)
print("open", flush=True)
for number in range(10**6):
    index.add([f"{number}-{n}" for n in range(batch)], random_codes(batch, layout, number), [{"batch": number}] * batch)
    index.add(["latest"], random_codes(1, layout, number))
    if number:
        index.delete([f"{number - 1}-0"])
    print(number, flush=True)
"""


@pytest.mark.parametrize("wait", [0.1, 0.3])
def test_a_server_killed_while_it_is_written_has_every_acknowledged_write(server: DurableServer, wait: float) -> None:
    Index.create(server.url, "x", LAYOUT, shards=2).close()
    command = [sys.executable, "-c", WRITER, server.url, str(BATCH)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=TESTS) as writer:
        assert writer.stdout is not None
        assert [writer.stdout.readline() for _ in range(2)] == ["open\n", "0\n"]  # the first write compiles
        time.sleep(wait)
        server.kill()
        acknowledged = 1 + len(writer.stdout.read().splitlines())
    server.start()
    assert check_index(server.url, "x").findings == ()
    with Index.open(server.url, "x") as index:
        found = set(index.search(random_codes(1, LAYOUT), 10**6, exact=True)[0].ids)
    wanted = {f"{number}-{n}" for number in range(acknowledged) for n in range(1, BATCH)} | {"latest"}
    assert wanted <= found
    assert not found & {f"{number}-0" for number in range(acknowledged - 1)}, "what was deleted stays so"


@pytest.mark.parametrize("wait", [0.03, 0.1])
def test_a_writer_killed_at_any_moment_leaves_a_sound_index(redis_url: str, wait: float) -> None:
    Index.create(redis_url, "x", LAYOUT, shards=2).close()
    command = [sys.executable, "-c", WRITER, redis_url, str(BATCH)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=TESTS) as writer:
        assert writer.stdout is not None
        assert [writer.stdout.readline() for _ in range(2)] == ["open\n", "0\n"]  # the first write compiles
        time.sleep(wait)
        writer.kill()
    report = check_index(redis_url, "x")
    assert report.findings == ()
    assert report.examined.items >= BATCH


def test_an_append_only_file_torn_anywhere_leaves_a_sound_index(server: DurableServer) -> None:
    """As when power fails while a write is on its way to the disk: that batch is there wholly or not at all."""
    with Index.create(server.url, "x", LAYOUT) as index:
        index.add(range(BATCH), random_codes(BATCH, LAYOUT))
        sound = server.log().stat().st_size
        index.add(range(20, 20 + BATCH), random_codes(BATCH, LAYOUT, 1), [{"n": 1}] * BATCH)
        index.delete(range(10))
        whole = server.log().read_bytes()
    sizes = set()
    # Just behind the first batch, in the midst of the second, and a byte before the end of the deletion.
    for length in (sound, sound + 7, (sound + len(whole)) // 2, len(whole) - 500, len(whole) - 1, len(whole)):
        server.kill()
        server.log().write_bytes(whole[:length])
        server.start()
        assert check_index(server.url, "x").findings == (), f"torn after {length} of {len(whole)} bytes"
        with Index.open(server.url, "x") as index:
            sizes.add(len(index))
    assert sizes == {BATCH, 60, 50}


def fill(index: Index) -> None:
    for start in range(0, 10**6, 500):
        index.add(range(start, start + 500), random_codes(500, LAYOUT, start), [{"n": 0}] * 500)


def test_memory_that_is_full_half_way_leaves_a_sound_index(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    with Index.create(redis_url, "x", LAYOUT, shards=3) as index:
        index.add(range(500), random_codes(500, LAYOUT), [{"n": n} for n in range(500)])
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 200_000)  # type: ignore[index]
        try:
            with pytest.raises(StoreFull):
                fill(index)
            full = check_index(redis_url, "x")
            index.delete(range(100))
            emptied = check_index(redis_url, "x", repair=True)
        finally:
            client.config_set("maxmemory", 0)
        assert full.findings == ()
        assert full.examined.items >= 500
        assert emptied.findings == ()
        assert check_index(redis_url, "x").findings == ()


def test_a_full_store_refuses_a_repair_wholly(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    with Index.create(redis_url, "x", LAYOUT) as index:
        index.add(range(100), random_codes(100, LAYOUT))
        bucket = next(client.scan_iter(match="hg:{x:0}:b:*"))
        client.append(bucket, b"!")
        before = {key: client.dump(key) for key in client.scan_iter()}
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(StoreFull, match="maxmemory"):
                check_index(redis_url, "x", repair=True)
            assert {key: client.dump(key) for key in client.scan_iter()} == before
        finally:
            client.config_set("maxmemory", 0)
        assert check_index(redis_url, "x", repair=True).clean
