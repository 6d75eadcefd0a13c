"""Which server of a Redis Cluster holds a slot.

redis-py's `NodesManager` keeps the map of slots and a pool of connections for each server. What goes wrong on the way
is `routed`'s business rather than that of redis-py's `RedisCluster`: this follows ASK redirections, which would show a
script a part of a shard only; it repeats late answers; and it computes the slot of every key of a command, where here
all are of one.
"""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from typing import Any, cast

import redis
import redis.exceptions as foreign
from redis.cluster import ClusterNode, NodesManager
from redis.crc import key_slot
from redis.maint_notifications import MaintNotificationsConfig

from hashgrain.indexer.wire.routed import ReplicaCounts

_OF_ONE_SERVER = ("host", "port", "db", "retry", "himport_registry")


def slot_of(key: str | bytes) -> int:
    """The hash slot of a key, 0 to 16,383."""
    return key_slot(key if isinstance(key, bytes) else key.encode())


class Cluster:
    """A cluster as it is known now; making the object connects. Safe to share between threads.

    Args:
        hosts: servers of it that are asked first.
        like: a pool of connections to one of them, whose settings all others get.
        recovery: seconds for which a server is looked for that does not answer.

    Raises:
        redis.ConnectionError: none of the hosts answers.
        redis.exceptions.RedisClusterException: one does, and is of no cluster.
    """

    def __init__(self, hosts: tuple[tuple[str, int], ...], like: redis.ConnectionPool, recovery: float) -> None:
        self.recovery = recovery
        self._settings = {
            name: value
            for name, value in like.connection_kwargs.items()
            if name not in _OF_ONE_SERVER and not name.startswith(("maint_", "orig_"))
        }
        self.replicas_of = ReplicaCounts().of
        self._settings["connection_class"] = like.connection_class
        self._readers: dict[str, redis.Redis] = {}
        self._lock = threading.Lock()
        try:
            self._nodes = NodesManager(
                startup_nodes=[_node(*host) for host in hosts],
                from_url=True,
                require_full_coverage=False,
                maint_notifications_config=MaintNotificationsConfig(enabled=False),
                **self._settings,
            )
        except foreign.RedisClusterException as exc:
            raise _cause(exc) from exc

    def primary(self, slot: int) -> redis.Redis:
        """The server that holds a slot.

        Raises:
            redis.exceptions.SlotNotCoveredError: none does.
        """
        return self._client(self._nodes.get_node_from_slot(slot))

    def primaries(self) -> list[redis.Redis]:
        """Every server that holds slots, in order of address."""
        nodes = {nodes[0].name: nodes[0] for nodes in self._nodes.slots_cache.values() if nodes}
        return [self._client(nodes[name]) for name in sorted(nodes)]

    def name_of(self, slot: int) -> str:
        """Host and port of the server that holds a slot."""
        return str(self._nodes.get_node_from_slot(slot).name)

    def replica(self, slot: int, but: set[str]) -> tuple[str, redis.Redis]:
        """Some replica of a slot's server that is none of those named, or else that server; and its name."""
        nodes = self._nodes.slots_cache.get(slot) or []
        others = [node for node in nodes[1:] if node.name not in but]
        if not others:
            node = self._nodes.get_node_from_slot(slot)
            return node.name, self._client(node)
        node = random.choice(others)
        with self._lock:
            reader = self._readers.get(node.name)
            if reader is None:
                settings = {**self._settings, "redis_connect_func": _read_only}
                pool = redis.ConnectionPool(host=node.host, port=node.port, **settings)
                reader = self._readers[node.name] = redis.Redis(connection_pool=pool)
        return node.name, reader

    def moved(self, exc: foreign.MovedError) -> None:
        """Take note that a slot is another server's."""
        if exc.slot_id in self._nodes.slots_cache:
            self._nodes.move_slot(exc)

    def look_again(self, lost: Any) -> None:
        """Ask the servers how the slots are divided, one that has not answered last."""
        name = None
        if lost is not None:
            settings = lost.connection_pool.connection_kwargs
            name = f"{settings.get('host')}:{settings.get('port')}"
        with suppress(redis.RedisError):  # what is known stays, and is tried again
            self._nodes.initialize(last_failed_node_name=name)

    def close(self) -> None:
        """Close all connections; they open again when they are used."""
        clients = [node.redis_connection for node in self._nodes.nodes_cache.values()]
        for client in (*clients, *self._readers.values()):
            if client is not None:
                client.connection_pool.disconnect()

    def _client(self, node: ClusterNode) -> redis.Redis:
        if node.redis_connection is None:
            with self._lock:
                if node.redis_connection is None:
                    cast(Any, self._nodes).create_redis_connections([node])
        client: redis.Redis = node.redis_connection
        return client


class SlotWay:
    """To the server that holds one slot; see `routed.Way`."""

    def __init__(self, cluster: Cluster, slot: int) -> None:
        self._cluster, self._slot = cluster, slot
        self.recovery = cluster.recovery
        self.what = f"hash slot {slot}"
        self.moved, self.look_again = cluster.moved, cluster.look_again
        self.replicas_of = cluster.replicas_of

    def now(self) -> Any:
        """See `Way`."""
        return self._cluster.primary(self._slot)


class ReplicaWay(SlotWay):
    """To a replica of that server, the same one as long as it answers; where none does, to the server itself."""

    def __init__(self, cluster: Cluster, slot: int) -> None:
        super().__init__(cluster, slot)
        self.look_again = self._look_again
        self._lost: set[str] = set()
        self._chosen: tuple[str, Any] | None = None

    def now(self) -> Any:
        """See `Way`."""
        chosen = self._chosen
        if chosen is None:
            chosen = self._chosen = self._cluster.replica(self._slot, self._lost)
        return chosen[1]

    def _look_again(self, lost: Any) -> None:
        chosen, self._chosen = self._chosen, None
        if chosen is not None and chosen[1] is lost:
            # Those that failed before may answer again by now, if this one was the server itself.
            self._lost = self._lost | {chosen[0]} if lost is not self._cluster.primary(self._slot) else set()
        self._cluster.look_again(lost)


def _node(host: str, port: int) -> ClusterNode:
    return cast(Any, ClusterNode)(host, port)  # type: ignore[no-any-return]  # redis-py says no types


def _read_only(link: Any) -> None:
    link.on_connect()
    link.send_command("READONLY")
    link.read_response()


def _cause(exc: Exception) -> Exception:
    """What is wrong with a cluster that cannot be reached: redis-py hides it."""
    found: BaseException | None = exc
    while found is not None:
        if isinstance(found, foreign.ConnectionError | foreign.TimeoutError | foreign.NoPermissionError):
            return found
        found = found.__cause__ or found.__context__
    return exc
