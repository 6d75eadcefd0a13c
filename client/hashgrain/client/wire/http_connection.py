"""Kept-alive HTTP connections, one per thread, with one deadline for each exchange as a whole.

tritonclient's own HTTP client is not used: it runs on gevent, one client belongs to one thread, and every thread that
ever used one leaves an event loop with its threads and file descriptors behind.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from functools import partial
from typing import Any, cast

from hashgrain.client.wire.address import Address


@dataclass(frozen=True)
class Reply:
    """An answer, read whole.

    Attributes:
        status: the HTTP status.
        headers: case-insensitive.
        body: its bytes.
    """

    status: int
    headers: Mapping[str, str] | Message
    body: bytes


class HttpConnections:
    """Connections to one address. Threads may share it; each has a connection of its own, opened when first used."""

    def __init__(self, address: Address) -> None:
        host, _, base = address.target.partition("/")
        self._host = host
        self._base = f"/{base}/" if base else "/"
        self._tls = ssl.create_default_context() if address.secure else None
        self._own = threading.local()
        self._all: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def exchange(
        self,
        method: str,
        path: str,
        seconds: float,
        body: Sequence[bytes | memoryview] = (),
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Send a request and read the answer within `seconds`; the parts of the body are sent without being joined.

        Raises:
            OSError, http.client.HTTPException: the connection failed, or the answer is not HTTP; TimeoutError: late.
        """
        connection = self._connection()
        deadline = time.monotonic() + seconds
        size = {"Content-Length": str(sum(map(len, body)))} if body else {}
        try:
            if connection.sock is None:
                connection.timeout = seconds
                connection.connect()
            connection.sock.settimeout(_left(deadline))
            connection.response_class = partial(_TimedResponse, deadline)  # type: ignore[assignment]
            connection.request(method, self._base + path, body=body or None, headers={**size, **(headers or {})})
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        except BaseException:
            connection.close()  # what is left of the answer must not be taken for the next one's
            raise

    def close(self) -> None:
        """Close every thread's connection; none may be in use."""
        with self._lock:
            connections, self._all = self._all, []
        for connection in connections:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._own, "connection"):
            if self._tls is not None:
                self._own.connection = http.client.HTTPSConnection(self._host, context=self._tls)
            else:
                self._own.connection = http.client.HTTPConnection(self._host)
            with self._lock:
                self._all.append(self._own.connection)
        return cast(http.client.HTTPConnection, self._own.connection)


class _TimedResponse(http.client.HTTPResponse):
    """A response whose reading ends at a deadline; a socket's own timeout starts anew with every packet."""

    def __init__(self, deadline: float, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        untimed, self.fp = self.fp, io.BufferedReader(_TimedReader(sock, deadline))
        untimed.close()


class _TimedReader(io.RawIOBase):
    """The bytes of a socket, until a deadline."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._socket = sock
        self._file = sock.makefile("rb", buffering=0)  # keeps the socket open where the connection is closed first
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(_left(self._deadline))
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


def _left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("timed out")
    return seconds
