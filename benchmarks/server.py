"""A Redis-protocol server for one run: empty, on a port of its own, set up like the embedded one."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

import redis

from hashgrain.codes.errors import EmbeddedServerError
from hashgrain.runtime.redis_server import find_program

HOST = "127.0.0.1"
READY_S = 20.0

SETTINGS = {"appendonly": "yes", "appendfsync": "everysec", "save": "", "maxmemory-policy": "noeviction"}


@contextlib.contextmanager
def own_redis() -> Iterator[str]:
    """Start it, give its address over loopback, and end it with all its data.

    Raises:
        MissingDependency: there is no server program.
        EmbeddedServerError: it did not answer within 20 s.
    """
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="hashgrain-benchmark-") as folder:
        settings = {**SETTINGS, "bind": HOST, "port": str(port), "dir": folder}
        arguments = [word for name, value in settings.items() for word in (f"--{name}", value)]
        process = subprocess.Popen([str(find_program().path), *arguments], stdout=subprocess.DEVNULL)
        try:
            url = f"redis://{HOST}:{port}/0"
            _wait_for(url)
            yield url
        finally:
            process.kill()
            process.wait()


def _wait_for(url: str) -> None:
    last = time.monotonic() + READY_S
    while time.monotonic() < last:
        with contextlib.suppress(redis.ConnectionError), redis.Redis.from_url(url) as client:
            if client.ping():
                return
        time.sleep(0.02)
    raise EmbeddedServerError(f"the benchmark's own Redis at {url} did not answer within {READY_S:.0f} s")
