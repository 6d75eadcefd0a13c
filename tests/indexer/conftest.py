"""What several tests of the index need beside the servers of the whole suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from durable_server import DurableServer


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DurableServer]:
    """A real server of the test's own, to be killed and started again; no acknowledged write is lost by that."""
    server = DurableServer(tmp_path_factory.mktemp("durable"))
    server.start()
    yield server
    server.kill()
