"""A service that a real Sentinel watches: its primary is found, and found again after a failover."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_use import CODES, LAYOUT, Use, names_of, require_every_item_once
from hashgrain.codes.errors import InvalidInput, StoreUnavailable
from hashgrain.indexer import Index, Timeouts, list_indexes
from hashgrain.indexer.wire.addresses import Address
from own_cluster import free_ports
from own_sentinel import OwnSentinel


@pytest.fixture
def service(tmp_path: Path) -> Iterator[OwnSentinel]:
    own = OwnSentinel(tmp_path)
    try:
        own.start()
        yield own
    finally:
        own.kill()


def test_the_primary_is_killed_while_writing_and_searching_go_on(service: OwnSentinel) -> None:
    with Use(service.url + "?wait_for_replicas=1", Timeouts()) as use:
        use.go_on()
        service.kill_primary()
        use.go_on()
    require_every_item_once(service.url, use)
    assert list_indexes(service.url) == ["x"]


def test_a_replica_is_read_where_the_address_says_so(service: OwnSentinel) -> None:
    with Index.create(service.url + "?wait_for_replicas=1", "x", LAYOUT) as index:
        index.add(names_of(200), CODES[:200])
    with Index.open(service.url + "?read_from_replicas=true", "x") as reader:
        before = [client.info("commandstats")["cmdstat_mget"]["calls"] for client in service.clients[:1]]
        for n in range(20):
            assert names_of(1, n)[0] in reader.search(CODES[n : n + 1], 200, within=0)[0].ids
        assert [client.info("commandstats")["cmdstat_mget"]["calls"] for client in service.clients[:1]] == before
        assert service.clients[1].info("commandstats")["cmdstat_mget"]["calls"] >= 20
        assert reader.add([-1], CODES[:1]).added == 1
    with pytest.raises(InvalidInput, match="read_from_replicas.*without cache_bytes"):
        Index.open(service.url + "?read_from_replicas=true", "x", cache_bytes=1000)


def test_a_service_that_no_sentinel_knows_is_told() -> None:
    url = f"redis+sentinel://127.0.0.1:{free_ports(1)[0]}/photos/0"
    with pytest.raises(StoreUnavailable, match=r"photos.*within 0.2 s"):
        Index.open(url, "x", timeouts=Timeouts(connect=0.2, read=0.2, recovery=0.2))
    with pytest.raises(InvalidInput, match="does not say which service"):
        Index.open("redis+sentinel://127.0.0.1:1", "x")


@pytest.mark.parametrize(
    ("url", "hosts", "plain", "shown"),
    [
        (
            "redis+cluster://me:secret@a:1,b,[::1]:3?ssl=no&wait_for_replicas=2",
            (("a", 1), ("b", 6379), ("::1", 3)),
            "redis://me:secret@a:1?ssl=no",
            "redis+cluster://a:1,b:6379,[::1]:3",
        ),
        (
            "rediss+sentinel://:secret@a,b:5/photos/2?sentinel_password=secret",
            (("a", 26379), ("b", 5)),
            "rediss://:secret@a:26379/2",
            "rediss+sentinel://a:26379,b:5/photos/2",
        ),
        ("redis://a/1?read_from_replicas=true", (("a", 6379),), "redis://a/1", "redis://a/1"),
    ],
)
def test_addresses_of_several_servers(url: str, hosts: tuple[tuple[str, int], ...], plain: str, shown: str) -> None:
    address = Address.read(url)
    assert (address.hosts, address.url, address.shown) == (hosts, plain, shown)
    assert "secret" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://",
        "redis+cluster://a,,b",
        "redis+cluster://a:b",
        "redis+cluster://a?wait_for_replicas=-1",
        "redis+cluster://a?wait_for_replicas=99",
        "redis+cluster://a?read_from_replicas=perhaps",
        "cluster://a",
    ],
)
def test_what_is_no_address_of_several_servers_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="Redis address"):
        Address.read(url)
