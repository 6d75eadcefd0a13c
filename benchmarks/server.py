"""Servers for one run: empty, on ports of their own, set up like the embedded ones."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from hashgrain.runtime.addresses import model_repository
from hashgrain.runtime.home import Home
from hashgrain.runtime.ports import Ports, choose
from hashgrain.runtime.readiness import wait_for_redis
from hashgrain.runtime.redis_server import launch_redis, stop_redis
from hashgrain.runtime.servers import RunningServers, StartSettings, start, stop

READY_S = 20.0


@contextlib.contextmanager
def own_redis() -> Iterator[str]:
    """Start a Redis-protocol server, give its address over loopback, and end it with all its data.

    Raises:
        MissingDependency: there is no server program.
        EmbeddedServerError: it did not answer within 20 s.
    """
    with tempfile.TemporaryDirectory(prefix="hashgrain-benchmark-") as folder:
        home = Home(Path(folder))
        home.create()
        record = launch_redis(home, choose(("redis",), Ports(), Ports())["redis"])
        try:
            yield wait_for_redis(home, record, time.monotonic() + READY_S).address
        finally:
            stop_redis(record)


@contextlib.contextmanager
def own_servers(repository: Path | None = None, triton_options: tuple[str, ...] = ()) -> Iterator[RunningServers]:
    """Start the embedded Triton and Redis on ports of their own, and end them with all data.

    Args:
        repository: what Triton serves, by default the models that come with hashgrain.
        triton_options: see `runtime.servers.StartSettings`.

    Raises:
        MissingDependency, EmbeddedServerError: see `runtime.servers.start`.
    """
    with tempfile.TemporaryDirectory(prefix="hashgrain-benchmark-") as folder:
        home = Path(folder)
        try:
            settings = StartSettings(home, repository or model_repository(), triton_options=triton_options)
            yield start(settings, announce=print)
        finally:
            stop(home)
