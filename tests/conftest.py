"""Real servers and small real pictures for every test that asks for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from embedded_servers import EmbeddedServers
from hashgrain.codes.cores import usable_cores
from hashgrain.runtime import servers
from own_redis import OwnRedis
from tiny_model import add_image_search, write_tiny_repository

LEFT_OUT = pytest.StashKey[int]()

MOST_WORKERS = 4
"""Processes that the tests are divided among at most, however many cores there are: each starts servers of its own."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked `long`, too: they take minutes")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means: two even on a single core, since a test often waits for a server."""
    return min(MOST_WORKERS, max(2, usable_cores()))


def pytest_configure(config: pytest.Config) -> None:
    """Before there are workers, leave to each of them, and to the commands that it runs, its share of the cores.

    Threads of torch and of NumPy's BLAS wait for one another busily: where those of two workers take turns on one core,
    they compute at a fraction of the speed. What hashgrain itself divides among threads is tested with one per core.
    """
    if workers := getattr(config.option, "numprocesses", None):
        share = str(max(1, usable_cores() // workers))
        for variable in ("MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(variable, share)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `long`, unless it was asked for; of several workers' tests the slow ones come first."""
    left_out = [] if config.getoption("--long") else [item for item in items if item.get_closest_marker("long")]
    config.stash[LEFT_OUT] = len(left_out)
    if (told := getattr(config, "workeroutput", None)) is not None:  # this process is one of several
        told["left_out"] = len(left_out)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    if told is not None:  # or one worker would end with the longest test while the others have nothing left to do
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker left out: the process that writes the summary collects nothing itself."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if left_out := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(f"{left_out} long tests left out: `make test-all`, or pytest --long, runs them")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real Redis-protocol server of the session's own."""
    server = OwnRedis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.kill()


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
