"""Servers of a real Redis Cluster that are killed while an index is loaded, written and searched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster_use import LAYOUT, Use, names_of, require_every_item_once
from hashgrain.codes.errors import StoreUnavailable
from hashgrain.indexer import Index, Timeouts, check_index, list_indexes
from hashgrain.indexer.adding import bulk as bulk_module
from hashgrain.indexer.stored.keys import ShardKeys
from own_cluster import Node, OwnCluster, eventually
from random_codes import random_codes


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[OwnCluster]:
    own = OwnCluster(tmp_path)
    try:
        own.start()
        yield own
    finally:
        own.kill()


def kill_primary(cluster: OwnCluster, key: str) -> None:
    """End a shard's server at once; returns when another holds the shard."""
    primary = cluster.primary_of(key)
    primary.kill()
    eventually(lambda: cluster.has_moved_from(primary, key))


def test_a_primary_is_killed_while_writing_and_searching_go_on_and_then_the_quorum(cluster: OwnCluster) -> None:
    """No acknowledged item is lost, none is there twice, and every search sees all that was acknowledged before."""
    with Use(cluster.several + "?wait_for_replicas=1", Timeouts()) as use:
        use.go_on()
        kill_primary(cluster, ShardKeys("x", 0).meta)
        use.go_on()
    url = "redis+cluster://" + ",".join(node.name for node in cluster.nodes if node.lives)
    require_every_item_once(url, use)

    alive = next(node for node in cluster.nodes if node.lives and node is cluster.primary_of(ShardKeys("x", 0).meta))
    for node in cluster.nodes:
        if node is not alive:
            node.kill()
    eventually(lambda: alive.client.execute_command("CLUSTER INFO")["cluster_state"] == "fail")
    short, dead = Timeouts(connect=0.5, read=0.5, recovery=0.5), f"redis://{alive.name}/0"
    use.index.close()
    work: list[Callable[[], Any]] = [
        lambda: Index.create(dead, "y", LAYOUT, timeouts=short),
        lambda: Index.open(dead, "x", timeouts=short),
        lambda: list_indexes(dead, timeouts=short),
        lambda: check_index(dead, "x", timeouts=short),
    ]
    for one in work:
        with pytest.raises(StoreUnavailable, match="within 0.5 s|no Redis at|cannot answer now"):
            one()
    assert not any(b"{y:" in key for key in alive.client.scan_iter("*"))


def test_a_primary_is_killed_in_the_middle_of_a_bulk_load(cluster: OwnCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its replica does not have all that was acknowledged: the loader notices, and writes the shard anew."""
    monkeypatch.setattr(bulk_module, "BATCH_KEYS", 8)
    codes = random_codes(3000, LAYOUT, centres=20, flips=0.2)
    killed: list[Node] = []
    run_batch = bulk_module._ShardLoad._run_batch

    def kill_in_the_middle(load: Any, command: str, keys: Any, arguments: Any) -> None:
        if load._batches < 12 or load.shard.keys.shard or killed:
            run_batch(load, command, keys, arguments)
            return
        primary = cluster.primary_of(load.shard.keys.meta)
        replica = cluster.replica_of(primary)
        with replica.stopped():
            primary.client.execute_command("CLIENT", "KILL", "TYPE", "replica")
            run_batch(load, command, keys, arguments)  # acknowledged, and lost
            primary.kill()
        killed.append(primary)

    monkeypatch.setattr(bulk_module._ShardLoad, "_run_batch", kill_in_the_middle)
    with Index.create(cluster.several, "x", LAYOUT, shards=3, bucket_items=16) as index:
        assert index.load(names_of(3000), codes) == 3000
        assert killed
        monkeypatch.undo()
        assert len(index) == 3000
        assert Counter(map(str, index.ids(100_000).ids)) == Counter(map(str, names_of(3000)))
        hits = index.search(codes[:50], 1, exact=True)
        assert [int(hit.distances[0]) for hit in hits] == [0] * 50
    alive = next(node for node in cluster.nodes if node.lives)
    assert check_index(f"redis://{alive.name}/0", "x").findings == ()


@pytest.mark.long
def test_servers_fail_and_slots_move_one_after_another_for_a_minute(cluster: OwnCluster) -> None:
    """Each primary in turn is killed and comes back as a replica, and in between a slot changes its place."""
    with Use(cluster.several + "?wait_for_replicas=1", Timeouts()) as use:
        for round_ in range(8):
            use.go_on()
            key = ShardKeys("x", round_ % 4).meta
            primary = cluster.primary_of(key)
            kill_primary(cluster, key)
            use.go_on()
            primary.start()
            cluster.wait_until_whole()
            target = next(node for node in cluster.primaries() if node is not cluster.primary_of(key))
            with cluster.moving(key, target) as move:
                move(5)
    require_every_item_once(cluster.several, use)
