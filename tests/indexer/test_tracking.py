"""The connection on which a real server tells of changes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import StoreError, StoreUnavailable
from hashgrain.indexer import Index
from hashgrain.indexer.keeping.tracking import Tracking
from hashgrain.indexer.wire.connection import Connection
from hashgrain.indexer.wire.deadline import Deadline
from own_redis import OwnRedis


class Told:
    """A tracked connection, and all that it told."""

    def __init__(self, url: str) -> None:
        self.keys: list[bytes] = []
        self.losses = 0
        self.connection = Connection.to(url)
        prefixes = [part for shard in (0, 1) for part in (f"hg:{{x:{shard}}}:b:", f"hg:{{x:{shard}}}:stamp")]
        self.tracking = Tracking(self.connection, prefixes, self.keys.extend, self.lose)
        self.tracking.open()
        self.losses = 0

    def lose(self) -> None:
        self.losses += 1

    def ask(self, *commands: Any) -> list[Any]:
        answers: list[Any] = []
        self.tracking.ask(commands, answers.append)
        return answers


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


@pytest.fixture
def told(redis_url: str) -> Iterator[Told]:
    told = Told(redis_url)
    yield told
    told.tracking.close()
    told.connection.close()


def test_after_an_answer_every_acknowledged_change_is_known_and_nothing_else(told: Told, client: redis.Redis) -> None:
    for number in range(50):
        client.set(f"hg:{{x:0}}:b:{number:06x}", "1")
        client.set("hg:{xy:0}:b:000000", "of another index")
        client.set("hg:{x:0}:p:000000", "no bucket")
        assert told.ask(["PING"]) == [b"PONG"]
        assert told.keys[-1] == b"hg:{x:0}:b:%06x" % number
    assert len(told.keys) == 50


def test_more_changes_than_python_can_recurse_are_taken_up(told: Told, client: redis.Redis) -> None:
    count = 3 * sys.getrecursionlimit()
    for number in range(count):
        client.set(f"hg:{{x:0}}:b:{number:06x}", "1")
    assert told.ask(["PING"], ["GET", "hg:{x:0}:b:000001"]) == [b"PONG", b"1"]
    assert len(told.keys) == count


def test_draining_does_not_wait(told: Told, client: redis.Redis) -> None:
    told.tracking.drain()
    assert told.keys == []
    client.set("hg:{x:0}:stamp", "1")
    told.ask(["PING"])
    client.set("hg:{x:0}:b:000001", "1")
    for _ in range(500):  # the server tells in its own time
        told.tracking.drain()
        if len(told.keys) == 2:
            break
        time.sleep(0.01)
    assert told.keys == [b"hg:{x:0}:stamp", b"hg:{x:0}:b:000001"]


def test_an_answer_may_be_waited_for_later(told: Told, client: redis.Redis) -> None:
    """Whoever reads from the connection takes it in, and with it what was told before."""
    for number in range(20):
        client.set(f"hg:{{x:0}}:b:{number:06x}", "1")
        first, second = told.tracking.ping(), told.tracking.ping()
        assert told.keys[number:] == []
        if number % 2:
            assert told.ask(["ECHO", "between"]) == [b"between"]
            assert (first.left, second.left) == (0, 0)
        assert told.tracking.wait(second)
        assert told.tracking.wait(first)
        assert told.keys[number:] == [b"hg:{x:0}:b:%06x" % number]
        assert told.tracking.known_until == max(first.sent, second.sent, told.tracking.known_until)


def test_an_answer_that_is_never_waited_for_is_in_nobodys_way(told: Told) -> None:
    asked = told.tracking.ping()
    for _ in range(500):  # it comes in its own time
        told.tracking.drain()
        if not asked.left:
            break
        time.sleep(0.01)
    assert not asked.left
    told.tracking.ping()
    assert told.ask() == []
    assert told.ask(["ECHO", "a"], ["ECHO", "b"]) == [b"a", b"b"]


def test_an_answer_that_is_lost_with_the_connection_is_told_from_one_that_came(told: Told) -> None:
    asked = told.tracking.ping()
    told.tracking.close()
    assert not told.tracking.wait(asked)
    assert told.ask(["ECHO", "a"]) == [b"a"]
    assert not told.tracking.wait(asked)


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB"])
def test_an_emptied_database_is_a_loss(told: Told, client: redis.Redis, command: str) -> None:
    client.execute_command(command)
    told.ask(["PING"])
    assert told.losses == 1


def test_a_broken_connection_is_a_loss_and_heals(told: Told, client: redis.Redis) -> None:
    client.client_kill_filter(skipme=True)
    with pytest.raises(StoreUnavailable, match="no Redis at"):
        told.ask(["PING"])
    assert told.losses == 1
    assert told.ask(["PING"]) == [b"PONG"]
    assert told.losses == 2, "what was written between the two connections was not told of"
    client.set("hg:{x:0}:b:000001", "1")
    told.ask(["PING"])
    assert told.keys == [b"hg:{x:0}:b:000001"]


def test_an_error_of_the_server_leaves_no_answer_behind(told: Told, client: redis.Redis) -> None:
    client.set("text", "1")
    with pytest.raises(StoreError, match="another type"):
        told.ask(["HGET", "text", "a"], ["ECHO", "late"])
    assert told.losses == 1
    assert told.ask(["ECHO", "next"]) == [b"next"]


def test_an_answer_that_is_late_is_a_loss(told: Told) -> None:
    with Deadline(0.05).enforced(), pytest.raises(StoreUnavailable, match="gave no answer in time"):
        told.ask(["BLPOP", "nothing", "5"])
    assert told.losses == 1
    assert told.ask(["ECHO", "next"]) == [b"next"]


@pytest.mark.parametrize("lacking", ["HELLO", "CLIENT"])
def test_a_server_that_cannot_tell_of_changes_is_refused_at_open(tmp_path: Path, lacking: str) -> None:
    server = OwnRedis(tmp_path, "--rename-command", lacking, "")
    server.start()
    try:
        # redis-py itself may greet by HELLO; such a server is reached by the older protocol.
        plain = f"{server.url}?protocol=2"
        Index.create(plain, "x", CodeLayout()).close()
        with pytest.raises(StoreError, match=r"cannot tell of changes.*open the index without cache_bytes"):
            Index.open(plain, "x", cache_bytes=1 << 20)
    finally:
        server.kill()


def test_a_user_who_may_not_track_is_told_so(redis_url: str, client: redis.Redis) -> None:
    Index.create(redis_url, "x", CodeLayout()).close()
    client.acl_setuser(
        "plain", enabled=True, passwords=["+pw"], categories=["+@all"], commands=["-client|tracking"], keys=["*"]
    )
    try:
        with pytest.raises(StoreUnavailable, match="does not allow this user that much"):
            Index.open(redis_url.replace("unix://", "unix://plain:pw@"), "x", cache_bytes=1 << 20)
    finally:
        client.acl_deluser("plain")
