"""An index on a real Redis Cluster: what a server alone guarantees, and slots that move meanwhile."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from called_here import called_here
from cluster_use import LAYOUT, Use, names_of, require_every_item_once
from hashgrain.codes.errors import IndexMissing, InvalidInput, StoreError, StoreUnavailable
from hashgrain.indexer import (
    Index,
    ReferenceIndex,
    Timeouts,
    check_index,
    create_generation,
    drop_index,
    list_generations,
    list_indexes,
    switch_generation,
)
from hashgrain.indexer.managing.roles import ROLES, acl_rules
from hashgrain.indexer.stored.keys import ShardKeys
from hashgrain.indexer.wire.connection import Connection
from hashgrain.queue import Job, JobQueue
from hashgrain.transfer import dump_index, load_index
from own_cluster import Node, OwnCluster, eventually, free_ports
from own_redis import OwnRedis
from plain_answers import as_plain
from random_codes import random_codes
from stored_buckets import stored_buckets

CODES = random_codes(600, LAYOUT, centres=8, flips=0.2)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnCluster]:
    own = OwnCluster(tmp_path_factory.mktemp("cluster"))
    try:
        own.start()
        yield own
    finally:
        own.kill()


@pytest.fixture
def cluster(servers: OwnCluster) -> OwnCluster:
    """An empty cluster of three primaries and three replicas."""
    for node in servers.nodes[:3]:
        node.client.flushall()
    return servers


def test_every_answer_equals_the_reference_over_adds_replacements_and_deletions(cluster: OwnCluster) -> None:
    twin = ReferenceIndex(LAYOUT)
    with (
        Index.create(cluster.url, "x", LAYOUT, shards=5, bucket_items=16) as index,
        Index.open(cluster.several, "x", cache_bytes=1 << 20) as keeping,
    ):
        assert len({index._connection.server_of(shard.keys.meta) for shard in index._shards}) == 3
        for step in range(4):
            ids, codes = names_of(250, 80 * step), CODES[100 * step : 100 * step + 250]
            payloads = [{"n": n} if n % 3 else None for n in range(250)]
            assert index.add(ids, codes, payloads) == twin.add(ids, codes, payloads)
            assert index.delete(ids[:40]) == twin.delete(ids[:40])
            assert len(index) == len(twin)
            buckets = stored_buckets(cluster.url, "x")
            queries = random_codes(5, LAYOUT, step, centres=8, logits=True)
            for asked in ({"exact": True}, {"candidates": 40}, {"within": 30}, {"refine": 20, "payloads": True}):
                wanted = [as_plain(hit) for hit in twin.search(queries, k=7, buckets=buckets, **asked)]  # type: ignore[arg-type]
                for reader in (index, keeping, keeping):
                    assert [as_plain(hit) for hit in reader.search(queries, k=7, **asked)] == wanted  # type: ignore[arg-type]
        stats = keeping.cache_stats()
        assert stats is not None
        assert stats.hits > 0
        index.drop()
        for reader in (index, keeping):
            with pytest.raises(IndexMissing):
                reader.search(CODES[:1], 1)


def test_an_index_gets_as_many_shards_as_lie_evenly(cluster: OwnCluster) -> None:
    for name in ("photos", "x", "a.b", "articles"):
        with Index.create(cluster.url, name, LAYOUT) as index:
            on = Counter(index._connection.server_of(shard.keys.meta) for shard in index._shards)
        assert len(on) == 3
        assert max(on.values()) <= min(on.values()) + 1 <= 4


def test_all_that_is_done_with_an_index_is_done_on_a_cluster(cluster: OwnCluster, tmp_path: Path) -> None:
    url, file = cluster.several, tmp_path / "x.parquet"
    with (
        Index.create(url, "x", LAYOUT, shards=4, bucket_items=32, fields={"n": "integer"}) as index,
        Index.create(url, "y", LAYOUT) as other,
    ):
        other.add(names_of(50), CODES[:50])
        assert index.load(names_of(600), CODES, [{"n": n} for n in range(600)]) == 600
        assert index.stats().items == 600
        few = index.search(CODES[7:8], 10, filter={"n": {"lt": 5}}, explain=True)[0]
        assert sorted(map(str, few.ids)) == sorted(map(str, names_of(5)))
        assert few.explanation is not None
        assert index.health(queries=5).queries == 5
        assert sorted(map(str, index.ids().ids)) == sorted(map(str, names_of(600)))
        assert index.get(["item 4"]).payloads == [{"n": 4}]
        assert index.set_payloads(["item 4", "none"], [{"n": -4}, None]) == ["none"]
        assert sum(len(some) for some in index.items()) == 600
        with create_generation(url, "x", LAYOUT) as coming:
            coming.add([1], CODES[7:8])
        assert index.search(CODES[7:8], 1)[0].ids == [7]
        switch_generation(url, "x")
        assert index.search(CODES[7:8], 1)[0].ids == [1]
        switch_generation(url, "x", 0)
        assert [one.items for one in list_generations(url, "x")] == [600, 1]
        dump_index(url, "x", file)
        load_index(url, "copy", file, shards=3)
        for name in ("x", "copy"):
            report = check_index(url, name, repair=True)
            assert report.findings == ()
            assert report.examined.items == 600
        assert list_indexes(cluster.url) == ["copy", "x", "y"]
        drop_index(url, "x")
        drop_index(url, "copy")
        assert list_indexes(url) == ["y"]
        other.drop()
    assert [node.client.dbsize() for node in cluster.nodes[:3]] == [0, 0, 0]


def test_a_job_is_shared_through_a_cluster(cluster: OwnCluster) -> None:
    for name in ("photos", "a", "b", "c"):  # on several servers
        job = Job(name, "f00d", "x", "[]")
        with JobQueue(cluster.several, job) as one, JobQueue(cluster.url, job) as two:
            assert one.lead(10)[0] == "leads"
            assert two.lead(10)[0] == "other"
            assert one.report().state == "feeding"
            assert list(one.rejected()) == []
    assert sum(node.client.dbsize() > 0 for node in cluster.nodes[:3]) > 1


def test_each_role_does_what_it_must_on_a_cluster_and_not_more(cluster: OwnCluster) -> None:
    for node in cluster.nodes:
        for role in ROLES:
            node.client.execute_command("ACL", "SETUSER", role, "reset", "on", ">secret", *acl_rules("x", role))
    try:
        url = {role: cluster.several.replace("://", f"://{role}:secret@") + "?wait_for_replicas=1" for role in ROLES}
        with Index.create(url["admin"], "x", LAYOUT, shards=3, bucket_items=16) as index:
            index.add(names_of(100), CODES[:100])
        with Index.open(url["writer"], "x") as index:
            index.add(names_of(100, 100), CODES[100:200])
            assert index.delete(names_of(10)) == 10
        for settings in ({}, {"cache_bytes": 1 << 20}):
            with Index.open(url["reader"], "x", **settings) as index:  # type: ignore[arg-type]
                assert index.search(CODES[120:121], 1, payloads=True)[0].ids == ["item 120"]
                with pytest.raises(StoreUnavailable, match="does not allow this user"):
                    index.add([1], CODES[:1])
        with pytest.raises(StoreUnavailable, match="does not allow this user"):
            drop_index(url["writer"], "x")
        with pytest.raises(StoreUnavailable, match="refuses the user or the password"):
            Index.open(url["reader"].replace("secret", "wrong"), "x")
        assert len(Index.open(cluster.url, "x")) == 190
        drop_index(url["admin"], "x")
    finally:
        for node in cluster.nodes:
            node.client.execute_command("ACL", "DELUSER", *ROLES)


def test_slots_move_while_writing_and_searching_go_on(cluster: OwnCluster) -> None:
    """Key by key, as every server can: in the middle of a move its shard waits; nothing is lost or doubled."""
    with Use(cluster.several, Timeouts()) as use:
        use.go_on()
        for shard in (0, 1):
            key = ShardKeys("x", shard).meta
            source = cluster.primary_of(key)
            target = next(node for node in cluster.nodes[:3] if node is not source)
            with cluster.moving(key, target) as move:
                assert move(4)
                wait_for_refusals(source)
            assert cluster.primary_of(key) is target
            use.go_on()
    require_every_item_once(cluster.url, use)


def wait_for_refusals(node: Node) -> None:
    """Until clients have met a shard of which part has moved."""

    def refused() -> int:
        told = node.client.info("errorstats")
        return sum(int(told.get(f"errorstat_{code}", {"count": 0})["count"]) for code in ("TRYAGAIN", "ASK"))

    before = refused()
    eventually(lambda: refused() > before + 3)


def test_a_slot_moves_at_once_where_the_servers_can(cluster: OwnCluster) -> None:
    key = ShardKeys("x", 0).meta
    with Use(cluster.several, Timeouts()) as use:
        use.go_on()
        source, slot = cluster.primary_of(key), cluster.slot_of(key)
        target = next(node for node in cluster.nodes[:3] if node is not source)
        try:
            source.client.execute_command("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", target.id)
        except redis.ResponseError:
            pytest.skip("this server moves slots key by key only")
        eventually(lambda: cluster.primary_of(key) is target)
        use.go_on()
    require_every_item_once(cluster.url, use)


def test_a_shard_whose_keys_move_for_too_long_is_told_and_nothing_is_half_done(cluster: OwnCluster) -> None:
    """Whichever keys have moved, be it none yet: what a script would make anew is the other server's already."""
    keys = ShardKeys("x", 0)
    short = Timeouts(recovery=0.3)
    with Index.create(cluster.url, "x", LAYOUT, shards=1, bucket_items=16, timeouts=short) as index:
        index.add(range(280), CODES[:280], [{"n": 1}] * 280)
        index.delete(range(10))  # there are holes, so that all of the shard's fixed keys are there
        work: list[Callable[[], Any]] = [
            lambda: index.add(range(280, 380), CODES[280:380]),  # more pages, and more buckets
            lambda: index.add(range(10, 40), CODES[200:230]),
            lambda: index.delete(range(10, 30)),
        ]
        source = cluster.primary_of(keys.meta)
        target = next(node for node in cluster.nodes[:3] if node is not source)
        with cluster.moving(keys.meta, target) as move:
            assert index.search(CODES[40:41], 300, within=0)[0].ids.count(40) == 1, "all is still there"
            for write in work:
                with pytest.raises(StoreUnavailable, match=r"hash slot \d+ within 0.3 s"):
                    write()
            assert move(8)
            with pytest.raises(StoreUnavailable, match=r"hash slot \d+ within 0.3 s"):
                index.search(CODES[:1], 1, exact=True)
            with pytest.raises(StoreUnavailable, match=r"hash slot \d+ within 0.3 s"):
                index.add(range(280, 380), CODES[280:380])
        assert len(index) == 270
        assert check_index(cluster.url, "x").findings == ()
        assert index.add(range(270, 380), CODES[270:380]).added == 100


def test_a_search_waits_for_a_silent_server_no_longer_than_its_deadline(cluster: OwnCluster) -> None:
    with Index.create(cluster.url, "x", LAYOUT, shards=4) as index:
        index.add(range(100), CODES[:100])
        wanted = [as_plain(hit) for hit in index.search(CODES[:2], 3, exact=True)]
        silent = cluster.primary_of(ShardKeys("x", 0).meta)
        with silent.stopped(), pytest.raises(StoreUnavailable, match="within the deadline of 0.2 s"):
            index.search(CODES[:2], 3, exact=True, deadline=0.2)
        assert [as_plain(hit) for hit in index.search(CODES[:2], 3, exact=True)] == wanted


def test_an_answer_that_is_late_is_not_asked_for_again(cluster: OwnCluster) -> None:
    with Index.create(cluster.url, "x", LAYOUT, shards=1, timeouts=Timeouts(read=0.3)) as index:
        index.add([1], CODES[:1])
        silent = cluster.primary_of(ShardKeys("x", 0).meta)
        with silent.stopped(), pytest.raises(StoreUnavailable, match="gave no answer in time"):
            index.add([2], CODES[1:2])
        assert len(index) in (1, 2)
        index.add([2], CODES[1:2])
        assert len(index) == 2


def test_a_write_that_no_replica_takes_is_told(cluster: OwnCluster) -> None:
    url = cluster.several + "?wait_for_replicas=1"
    with Index.create(url, "x", LAYOUT, shards=1, timeouts=Timeouts(read=0.6)) as index:
        replica = cluster.replica_of(cluster.primary_of(ShardKeys("x", 0).meta))
        with replica.stopped(), pytest.raises(StoreUnavailable, match="0 replicas of 1 took the write"):
            index.add([1], CODES[:1])
        assert index.add([1], CODES[:1]).replaced == 1, "the primary has it, and can be told so again"


def test_replicas_are_read_where_the_address_says_so(cluster: OwnCluster) -> None:
    url = cluster.several + "?wait_for_replicas=1"
    with (
        Index.create(url, "x", LAYOUT, shards=4, bucket_items=16) as index,
        Index.open(cluster.several + "?read_from_replicas=true", "x") as reader,
    ):
        index.add(names_of(200), CODES[:200], [{"n": n} for n in range(200)])
        reader.search(CODES[:1], 1)
        before = [reads(node) for node in cluster.nodes]
        for n in range(20):
            assert reader.search(CODES[n : n + 1], 200, within=0, payloads=True)[0].ids.count(names_of(1, n)[0]) == 1
        after = [reads(node) for node in cluster.nodes]
        assert after[:3] == before[:3], "a primary was asked"
        assert sum(after[3:]) >= sum(before[3:]) + 20
        reader.add([-1], CODES[:1])  # writes go to primaries as ever
        assert len(index) == 201
        assert index.search(CODES[:1], 300, within=0)[0].ids.count(-1) == 1
    with pytest.raises(InvalidInput, match="read_from_replicas.*cache_bytes"):
        Index.open(cluster.several + "?read_from_replicas=true", "x", cache_bytes=1000)


def reads(node: Node) -> int:
    """How often a server was asked for buckets."""
    told = node.client.info("commandstats")
    return int(told.get("cmdstat_mget", {"calls": 0})["calls"])


def test_what_does_not_fit_a_cluster_is_refused(cluster: OwnCluster, redis_url: str) -> None:
    with pytest.raises(InvalidInput, match="a cluster, which has database 0 only"):
        Index.open(cluster.url[:-1] + "2", "x")
    with pytest.raises(InvalidInput, match="is no cluster: read_from_replicas needs one"):
        Index.open(redis_url + "?read_from_replicas=true", "x")
    with pytest.raises(StoreError, match="(?i)cluster"):
        Index.open("redis+cluster://127.0.0.1:1", "x")
    assert Connection.to(cluster.url + "?protocol=2").is_cluster


def test_a_server_alone_is_not_taken_for_a_cluster(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    alone = OwnRedis(tmp_path, "--port", str(port))
    alone.start()
    try:
        with Index.create(f"redis://127.0.0.1:{port}/3?wait_for_replicas=1", "x", LAYOUT) as index:
            index.add([1], CODES[:1])  # it has no replicas to wait for
            assert index.search(CODES[:1], 1)[0].ids == [1]
        with pytest.raises(StoreError, match="Cluster mode is not enabled"):
            Index.open(f"redis+cluster://127.0.0.1:{port}", "x")
    finally:
        alone.kill()


def test_commands_take_the_address_of_a_cluster(
    cluster: OwnCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HASHGRAIN_REDIS", cluster.several)
    run = called_here(capsys)
    assert run("index", "create", "x")[0] == 0
    code, out, _ = run("index", "stats", "x", "--json")
    assert (code, json.loads(out)["shards"] >= 3) == (0, True)
    assert run("index", "list") == (0, "x\n", "")
    assert run("index", "check", "x")[0] == 0
    code, out, _ = run("doctor", "--redis", cluster.url)
    assert "3 servers of a cluster" in out
    assert run("index", "drop", "x", "--yes")[0] == 0
    assert run("index", "list")[1] == ""
