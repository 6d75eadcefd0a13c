"""`LongWay`: a server on this machine as if it were far away."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from typing import Self


class LongWay:
    """Passes connections on to a server, every byte half of `seconds` later in each direction.

    Args:
        address: of the server, SCHEME://HOST:PORT.
        seconds: there and back.
    """

    def __init__(self, address: str, seconds: float) -> None:
        scheme, _, target = address.partition("://")
        host, _, port = target.rpartition(":")
        self._target, self._delay = (host, int(port)), seconds / 2
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                for source, sink in ((near, far), (far, near)):
                    on_its_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                    threading.Thread(target=self._take, args=(source, on_its_way), daemon=True).start()
                    threading.Thread(target=self._deliver, args=(on_its_way, sink), daemon=True).start()

    def _take(self, source: socket.socket, on_its_way: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        data = b"begin"
        while data:
            try:
                data = source.recv(1 << 18)
            except OSError:
                data = b""
            on_its_way.put((time.monotonic() + self._delay, data))

    def _deliver(self, on_its_way: queue.SimpleQueue[tuple[float, bytes]], sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = on_its_way.get()
                time.sleep(max(due - time.monotonic(), 0))
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
