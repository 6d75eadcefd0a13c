"""A network between a client and a real server that can be cut: a proxy that forwards, loses or breaks connections."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from enum import Enum
from typing import Self

BREAK = struct.pack("ii", 1, 0)  # SO_LINGER: close sends RST


class Cut(Enum):
    """How a network ends: with an answer, or without."""

    RESET = "reset"
    """Connections break at once, and so do new ones: a service without a server, a closed port."""
    SILENCE = "silence"
    """Nothing arrives any more, and nobody says so: a pulled cable, a firewall that has forgotten. What was open stays
    dead when the network is back."""


class CutNetwork:
    """A proxy on a port of its own; use it in a `with`.

    Args:
        target: host:port, or the path of a Unix socket.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._cut: Cut | None = None
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, how: Cut) -> None:
        """Cut every connection that there is, and those that are made before it is healed."""
        with self._lock:
            self._cut = how
            lost, self._pairs = self._pairs, []
        for pair in lost:
            self._end(pair, how)

    def heal(self) -> None:
        """Forward new connections again."""
        with self._lock:
            self._cut = None

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                self._connect(self._listener.accept()[0])

    def _connect(self, client: socket.socket) -> None:
        try:
            server = self._to_target()
        except OSError:  # nobody is there
            client.close()
            return
        with self._lock:
            how = self._cut
            if how is None:
                self._pairs.append((client, server))
        if how is not None:
            self._end((client, server), how)
            return
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=self._pump, args=(source, sink, (client, server)), daemon=True).start()

    def _to_target(self) -> socket.socket:
        if self._target.startswith("/"):
            found = socket.socket(socket.AF_UNIX)
            found.connect(self._target)
            return found
        host, _, port = self._target.rpartition(":")
        return socket.create_connection((host, int(port)))

    def _pump(self, source: socket.socket, sink: socket.socket, pair: tuple[socket.socket, socket.socket]) -> None:
        with contextlib.suppress(OSError):  # one of the two has gone
            data = source.recv(1 << 16)
            while data and self._whole(pair):
                sink.sendall(data)
                data = source.recv(1 << 16)
            if self._whole(pair):
                sink.shutdown(socket.SHUT_WR)

    def _whole(self, pair: tuple[socket.socket, socket.socket]) -> bool:
        with self._lock:
            return pair in self._pairs

    def _end(self, pair: tuple[socket.socket, socket.socket], how: Cut) -> None:
        """The server sees its client go either way; the client learns nothing of silence."""
        client, server = pair
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        if how is Cut.RESET:
            with contextlib.suppress(OSError):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, BREAK)
                client.shutdown(socket.SHUT_RD)  # wakes the thread that reads: it would keep the connection open
                client.close()
        else:
            self._silent.append(client)

    def __enter__(self) -> Self:
        self._silent: list[socket.socket] = []  # kept open, unread
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.close()
        self.cut(Cut.RESET)
        for client in self._silent:
            client.close()
