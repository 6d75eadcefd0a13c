"""Ports are the user's, else the last run's, else free ones."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from hashgrain.codes.errors import EmbeddedServerError, InvalidInput
from hashgrain.runtime.ports import HOST, Ports, choose, is_free

ALL = ("triton", "http", "metrics", "redis")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that something listens on, for the length of the test."""
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_taken_port_is_not_free(taken: int) -> None:
    assert not is_free(taken)


def test_free_ports_are_distinct() -> None:
    chosen = choose(ALL, Ports(), Ports())
    assert set(chosen) == set(ALL)
    assert len(set(chosen.values())) == 4
    assert all(is_free(port) for port in chosen.values())


def test_the_last_run_s_port_is_taken_again() -> None:
    last = choose(ALL, Ports(), Ports())
    assert choose(ALL, Ports(), Ports(**last)) == last


def test_a_remembered_port_gives_way_to_another_program(taken: int) -> None:
    assert choose(("redis",), Ports(), Ports(redis=taken))["redis"] != taken


def test_a_remembered_port_gives_way_to_one_asked_for() -> None:
    port = choose(("redis",), Ports(), Ports())["redis"]
    chosen = choose(("redis", "http"), Ports(http=port), Ports(redis=port))
    assert chosen["http"] == port
    assert chosen["redis"] != port


def test_a_taken_port_that_was_asked_for_is_an_error(taken: int) -> None:
    with pytest.raises(EmbeddedServerError, match=rf"port {taken}, asked for Triton's gRPC, .* --triton-port"):
        choose(ALL, Ports(triton=taken), Ports())


def test_one_port_for_two_is_refused() -> None:
    with pytest.raises(InvalidInput, match="--redis-port and --http-port are both 7000"):
        Ports(http=7000, redis=7000)


@pytest.mark.parametrize("port", [0, 65536, -1])
def test_a_port_out_of_range_is_refused(port: int) -> None:
    with pytest.raises(InvalidInput, match=f"--redis-port must be 1 to 65535, got {port}"):
        Ports(redis=port)
