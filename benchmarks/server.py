"""Servers for one run: empty, on ports of their own, set up like the embedded ones."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis

from hashgrain.codes.errors import EmbeddedServerError
from hashgrain.runtime.addresses import model_repository
from hashgrain.runtime.home import Home
from hashgrain.runtime.ports import HOST, Ports, choose
from hashgrain.runtime.readiness import wait_for_redis
from hashgrain.runtime.redis_server import find_program, launch_redis, stop_redis
from hashgrain.runtime.servers import RunningServers, StartSettings, start, stop

READY_S = 20.0
SLOTS = 16384


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
def own_cluster(servers: int = 3) -> Iterator[str]:
    """Start servers of one cluster without replicas, give its address over loopback, and end them with all their data.

    Raises:
        MissingDependency: there is no server program.
        EmbeddedServerError: they did not agree within 20 s.
    """
    program = find_program().path
    started: list[tuple[Any, dict[str, int]]] = []
    with tempfile.TemporaryDirectory(prefix="hashgrain-benchmark-") as folder, contextlib.ExitStack() as stack:
        try:
            for number in range(servers):
                chosen = choose(("redis", "http"), Ports(), Ports())
                home = Path(folder) / str(number)
                home.mkdir()
                settings = {
                    "bind": HOST,
                    "port": str(chosen["redis"]),
                    "cluster-port": str(chosen["http"]),
                    "cluster-enabled": "yes",
                    "dir": str(home),
                    "save": "",
                }
                command = [str(program), *(part for key, value in settings.items() for part in (f"--{key}", value))]
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
                stack.callback(process.wait)
                stack.callback(process.kill)
                started.append((redis.Redis(host=HOST, port=chosen["redis"]), chosen))
            deadline = time.monotonic() + READY_S
            _until(lambda: all(client.ping() for client, _ in started), deadline)
            for number, (client, _) in enumerate(started):
                first, last = (SLOTS * part // servers for part in (number, number + 1))
                client.execute_command("CLUSTER ADDSLOTSRANGE", first, last - 1)
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
                client.execute_command("CLUSTER MEET", HOST, started[0][1]["redis"], started[0][1]["http"])
            _until(lambda: all(_is_whole(client, servers) for client, _ in started), deadline)
            yield "redis+cluster://" + ",".join(f"{HOST}:{chosen['redis']}" for _, chosen in started)
        finally:
            for client, _ in started:
                client.close()


def _is_whole(client: Any, servers: int) -> bool:
    state = client.execute_command("CLUSTER INFO")
    return bool(state["cluster_state"] == "ok" and int(state["cluster_size"]) == servers)


def _until(holds: Callable[[], bool], deadline: float) -> None:
    while True:
        with contextlib.suppress(redis.RedisError):
            if holds():
                return
        if time.monotonic() > deadline:
            raise EmbeddedServerError(f"the servers of a cluster were not ready within {READY_S:g} s")
        time.sleep(0.05)


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
