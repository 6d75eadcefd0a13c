"""Addresses, deadlines and the eviction warning."""

from __future__ import annotations

import math
import socket
import threading

import pytest
import redis

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import InvalidInput, StoreUnavailable
from hashgrain.indexer import Index, Timeouts, list_indexes
from hashgrain.indexer.wire.connection import Connection


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:geheim@h:6379/0", "redis://h:6379/0"),
        ("rediss://user:geheim@h/2?socket_timeout=3", "rediss://h/2"),
        ("unix://user:geheim@/tmp/x.sock", "unix:///tmp/x.sock"),
        ("redis://:geheim@[::1]:6379", "redis://[::1]:6379"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    connection = Connection.to(url)
    assert connection.address == shown
    assert "geheim" not in repr(connection)


@pytest.mark.parametrize(
    "url",
    [
        "http://h:1/0",
        "localhost:6379",
        "",
        None,
        "redis://user:ge/heim@h:6379/0",
        "redis://user:geheim@h:port/0",
        "redis://user:geheim@h:1/0?colour=blue",
        "redis://user:geheim@h:1/0?socket_timeout=soon",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_and_its_password_not_told(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"Redis address") as caught:
        Connection.to(url)
    assert "geheim" not in str(caught.value)
    assert "'ge'" not in str(caught.value)
    assert caught.value.__cause__ is None, "what urllib says can quote a part of the password"


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan, True, "5", None])
def test_a_deadline_is_a_finite_positive_number(seconds: object) -> None:
    with pytest.raises(InvalidInput, match="the timeout `read` must be a positive number"):
        Timeouts(read=seconds)  # type: ignore[arg-type]


def test_the_deadlines_reach_the_connection_and_an_address_may_set_its_own() -> None:
    settings = Connection.to(
        "redis://h?socket_timeout=3", Timeouts(connect=1.5)
    ).client.connection_pool.connection_kwargs
    assert settings["socket_connect_timeout"] == 1.5
    assert settings["socket_timeout"] == 3.0


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "unix:///nowhere/redis.sock"])
def test_a_server_that_is_down_is_told_with_the_next_step(url: str) -> None:
    for call in (lambda: Index.open(url, "x"), lambda: Index.create(url, "x", CodeLayout()), lambda: list_indexes(url)):
        with pytest.raises(StoreUnavailable, match=r"no Redis at .*hashgrain up"):
            call()


def test_a_server_that_never_answers_is_given_up_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with pytest.raises(StoreUnavailable, match="gave no answer in time"):
            Index.open(url, "x", timeouts=Timeouts(connect=0.2, read=0.2))


def test_a_wrong_password_is_told(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    client.acl_setuser("reader", enabled=True, passwords=["+right"], categories=["+@all"], keys=["*"])
    try:
        with pytest.raises(StoreUnavailable, match="refuses the user or the password"):
            Index.open(redis_url.replace("unix://", "unix://reader:wrong@"), "x")
    finally:
        client.acl_deluser("reader")


def test_eviction_is_warned_of_at_the_callers_line(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.warns(UserWarning, match=r"maxmemory-policy allkeys-lru.*noeviction") as caught:
            Index.create(redis_url, "x", CodeLayout()).close()
        assert caught[0].filename == __file__
    finally:
        client.config_set("maxmemory-policy", "noeviction")


def test_a_server_that_forbids_config_is_accepted(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    client.acl_setuser("plain", enabled=True, passwords=["+pw"], categories=["+@all"], commands=["-config"], keys=["*"])
    try:
        with Index.create(redis_url.replace("unix://", "unix://plain:pw@"), "x", CodeLayout()) as index:
            assert len(index) == 0
    finally:
        client.acl_deluser("plain")


def test_a_restarted_server_is_reached_again_without_an_error(redis_url: str) -> None:
    with Index.create(redis_url, "x", CodeLayout()) as index:
        redis.Redis.from_url(redis_url).client_kill_filter(skipme=True)
        assert len(index) == 0


def test_an_index_is_shared_between_threads(redis_url: str) -> None:
    with Index.create(redis_url, "x", CodeLayout()) as index:
        lengths: list[int] = []
        threads = [threading.Thread(target=lambda: lengths.append(len(index))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert lengths == [0] * 4
