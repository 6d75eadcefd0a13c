"""What several tests of the index need beside the servers of the whole suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from durable_server import DurableServer
from hashgrain.indexer.check import buckets, items


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DurableServer]:
    """A real server of the test's own, to be killed and started again; no acknowledged write is lost by that."""
    server = DurableServer(tmp_path_factory.mktemp("durable"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def small_groups() -> Iterator[None]:
    """`check_index` reads in groups so small that every example crosses their borders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buckets, "GROUP_RECORDS", 60)
        patch.setattr(items, "AT_ONCE", 2)
        patch.setattr(items, "FEW", 3)
        yield
