"""Kept-alive connections with one deadline for the whole exchange, against plain sockets that behave as told."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from embedded_servers import EmbeddedServers
from hashgrain.client import HashEncoder
from hashgrain.client.wire.address import parse_address
from hashgrain.client.wire.http_connection import HttpConnections
from hashgrain.codes.errors import ServerUnavailable

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Server:
    """Takes connections and lets a function talk on each; counts them, and keeps what was asked."""

    def __init__(self, talk: Callable[[socket.socket, Server], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self.asked: list[bytes] = []
        self._talk = talk
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            self._talk(connection, self)

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket, Server], None]], Server]]:
    """Starts servers, and ends them with the test."""
    with contextlib.ExitStack() as stack:

        def start(talk: Callable[[socket.socket, Server], None]) -> Server:
            server = Server(talk)
            stack.callback(server.close)
            return server

        yield start


def request(connection: socket.socket) -> bytes:
    """Read one request without a body, or b"" at the end."""
    data = b""
    while not data.endswith(b"\r\n\r\n") and (more := connection.recv(1 << 16)):
        data += more
    return data


def answers(connection: socket.socket, server: Server) -> None:
    """Answer every request on one connection."""
    while asked := request(connection):
        server.asked.append(asked)
        connection.sendall(ANSWER)


def trickles(connection: socket.socket, server: Server) -> None:
    """Send an answer byte by byte, over seconds; no pause is long."""
    request(connection)
    for byte in ANSWER:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def answers_once(connection: socket.socket, server: Server) -> None:
    """Hang up after one answer without having said so."""
    request(connection)
    connection.sendall(ANSWER)


@pytest.fixture
def connect() -> Iterator[Callable[..., HttpConnections]]:
    """Connects to a server, optionally below a base path; the connections are closed with the test."""
    with contextlib.ExitStack() as stack:

        def open_connections(server: Server, path: str = "") -> HttpConnections:
            return stack.enter_context(contextlib.closing(HttpConnections(parse_address(server.address + path))))

        yield open_connections


def test_a_thread_keeps_its_connection_and_shares_it_with_none(
    serve: Callable[..., Server], connect: Callable[..., HttpConnections]
) -> None:
    server = serve(answers)
    connections = connect(server)
    for _ in range(3):
        assert connections.exchange("GET", "v2", 5).body == b"hello"
    assert server.connections == 1
    barrier = threading.Barrier(4)

    def ask(_: int) -> int:
        barrier.wait(5)
        return connections.exchange("GET", "v2", 5).status

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, range(4))) == [200] * 4
    assert server.connections == 5


@pytest.mark.parametrize(("path", "asked"), [("", b"GET /v2/x "), ("/triton/one/", b"GET /triton/one/v2/x ")])
def test_a_base_path_stands_before_every_path(
    serve: Callable[..., Server], connect: Callable[..., HttpConnections], path: str, asked: bytes
) -> None:
    server = serve(answers)
    connect(server, path).exchange("GET", "v2/x", 5)
    assert server.asked[0].startswith(asked)


def test_the_deadline_is_one_for_the_whole_answer(
    serve: Callable[..., Server], connect: Callable[..., HttpConnections]
) -> None:
    with pytest.raises(TimeoutError):
        connect(serve(trickles)).exchange("GET", "v2", 0.4)


def test_after_a_missed_deadline_the_next_answer_is_its_own(
    serve: Callable[..., Server], connect: Callable[..., HttpConnections]
) -> None:
    late = threading.Event()

    def first_late(connection: socket.socket, server: Server) -> None:
        if server.connections == 1:
            request(connection)
            late.wait(10)
            connection.sendall(ANSWER.replace(b"hello", b"stale"))
        else:
            answers(connection, server)

    connections = connect(serve(first_late))
    with pytest.raises(TimeoutError):
        connections.exchange("GET", "v2", 0.2)
    late.set()
    assert connections.exchange("GET", "v2", 5).body == b"hello"


def test_a_connection_that_was_hung_up_is_opened_anew(
    serve: Callable[..., Server], connect: Callable[..., HttpConnections]
) -> None:
    connections = connect(serve(answers_once))
    assert connections.exchange("GET", "v2", 5).body == b"hello"
    with pytest.raises((OSError, http.client.HTTPException)):
        connections.exchange("GET", "v2", 5)
    assert connections.exchange("GET", "v2", 5).body == b"hello"


def test_an_answer_cut_short_is_an_error(serve: Callable[..., Server], connect: Callable[..., HttpConnections]) -> None:
    def cuts(connection: socket.socket, server: Server) -> None:
        request(connection)
        connection.sendall(ANSWER[:-2])

    with pytest.raises(http.client.IncompleteRead):
        connect(serve(cuts)).exchange("GET", "v2", 5)


@pytest.mark.parametrize("answer", [b"", b"\x00\x00\x12\x04 not HTTP\r\n\r\n", ANSWER.replace(b"200 OK", b"404 No")])
def test_a_server_that_is_no_triton(serve: Callable[..., Server], answer: bytes) -> None:
    def talks(connection: socket.socket, server: Server) -> None:
        request(connection)
        connection.sendall(answer)

    with pytest.raises(ServerUnavailable):
        HashEncoder(serve(talks).address)


@pytest.mark.parametrize("scheme", ["grpcs", "https"])
def test_tls_to_a_server_without_it(triton: EmbeddedServers, scheme: str) -> None:
    plain = getattr(triton, scheme[:-1])
    with pytest.raises(ServerUnavailable, match=f"no Triton server answers at {scheme}://"):
        HashEncoder(plain.replace(scheme[:-1], scheme))
