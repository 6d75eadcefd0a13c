"""Connections to Redis: deadlines, servers and clusters, and the one setting that an index cannot do without."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer.wire.addresses import Address, unreadable
from hashgrain.indexer.wire.cluster import Cluster, ReplicaWay, SlotWay, slot_of
from hashgrain.indexer.wire.deadline import keeping_deadlines
from hashgrain.indexer.wire.routed import OneWay, Routed
from hashgrain.indexer.wire.sentinels import Sentinels
from hashgrain.indexer.wire.store_errors import translated

READ_BYTES = 1 << 18
"""Bytes that are taken from a connection at once: an answer with the buckets of a query comes in one or two pieces."""

_AT_ONCE = 1000


@dataclass(frozen=True)
class Timeouts:
    """How long to wait for Redis, in seconds.

    Args:
        connect: for a connection.
        read: for each answer (and for each piece of a request to be taken).
        recovery: while a cluster has no server that can answer for some items: one has failed and no other has taken
            over yet, or they are being moved. Redis' own default lets 15 s pass before it calls a server failed.

    Raises:
        InvalidInput: a time is not positive and finite.
    """

    connect: float = 5.0
    read: float = 10.0
    recovery: float = 30.0

    def __post_init__(self) -> None:
        for name in ("connect", "read", "recovery"):
            seconds = getattr(self, name)
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
                raise InvalidInput(f"the timeout `{name}` must be a positive number of seconds, got {seconds!r}")


DEFAULT_TIMEOUTS = Timeouts()


class Connection:
    """A client of Redis; it connects when first used, and is safe to share between threads.

    What is asked about some keys is asked on `of` any one of them: in a cluster that is the server which holds them.

    Args:
        client: redis-py's client of the server that the address names, which returns bytes.
        address: where that is.
        timeouts: see there.

    Attributes:
        client: the same; only `of` a key it is that of the server which holds the key, wherever that is.
        address: where the server is, without user and password.
        settings: the address in its parts.
    """

    def __init__(self, client: redis.Redis, address: Address, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
        self.client = client
        self.address = address.shown
        self.settings = address
        self._timeouts = timeouts
        self._lock = threading.Lock()
        self._cluster: Cluster | None = None
        self._is_known = False
        self._parts: dict[int, Connection] = {}

    @classmethod
    def to(cls, url: str, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Connection:
        """Make a client for an address; see `addresses`.

        Raises:
            InvalidInput: the address cannot be read, or carries a setting that redis-py does not know.
        """
        address = Address.read(url)
        try:
            # One more try heals a connection that a restarted server has closed. Answers that are merely late are not
            # asked for again: the first one may still be under way.
            retry = Retry(ConstantBackoff(0.05), 1, supported_errors=(redis.ConnectionError,))
            client = redis.Redis.from_url(
                address.url,
                socket_connect_timeout=timeouts.connect,
                socket_timeout=timeouts.read,
                socket_read_size=READ_BYTES,
                retry=retry,
            )
            settings: dict[str, Any] = client.connection_pool.connection_kwargs
            settings["decode_responses"] = False
            client.connection_pool.connection_class = keeping_deadlines(client.connection_pool.connection_class)
            client.connection_pool.connection_class(**settings)
            if address.kind == "sentinel":
                return _Watched(Sentinels(address, settings), address, timeouts)
        except (ValueError, TypeError):
            # Not `from exc`: what urllib says of a broken address can quote a part of the password.
            raise unreadable(address.shown) from None
        if address.wait_for_replicas:
            return _Waiting(client, address, timeouts)
        return cls(client, address, timeouts)

    def of(self, key: str | bytes) -> Connection:
        """The connection on which to ask about a key, and all keys that have its hash tag.

        Raises:
            StoreUnavailable, StoreError: the server must be asked whether it is one of a cluster, and cannot be.
            InvalidInput: it is, and the address does not fit that.
        """
        cluster = self._in_cluster()
        if cluster is None:
            return self
        slot = slot_of(key)
        part = self._parts.get(slot)
        if part is None:
            waits = self.settings.wait_for_replicas
            routed = Routed(SlotWay(cluster, slot), waits, self._timeouts.read / 2)
            part = self._parts[slot] = _Part(routed, self, slot)
        return part

    @property
    def reader(self) -> Connection:
        """The connection on which searches read: the same, unless the address asks for replicas."""
        return self

    @property
    def is_cluster(self) -> bool:
        """Whether the keys are spread over several servers; errors as `of`."""
        return self._in_cluster() is not None

    def servers(self) -> list[redis.Redis]:
        """A client of every server that holds keys; errors as `of`."""
        cluster = self._in_cluster()
        return [self.client] if cluster is None else cluster.primaries()

    def server(self) -> redis.Redis:
        """A client of the server that holds the keys now; of no use once another does."""
        return self.client

    def server_of(self, key: str) -> str:
        """Which server holds a key: host and port, or the address where there is but one; errors as `of`."""
        cluster = self._in_cluster()
        return self.address if cluster is None else cluster.name_of(slot_of(key))

    def scan(self, match: str, kind: str | None = None) -> Iterator[bytes]:
        """Find keys on all servers, in small steps; one that moves meanwhile may be left out, or come twice."""
        for server in self.servers():
            yield from server.scan_iter(match=match, count=_AT_ONCE, _type=kind)

    def unlink(self, keys: Iterable[bytes]) -> None:
        """Delete keys, wherever they are."""
        if not self.is_cluster:
            self.client.unlink(*keys)
            return
        together: dict[int, list[bytes]] = {}
        for key in keys:
            together.setdefault(slot_of(key), []).append(key)
        for some in together.values():
            self.of(some[0]).client.unlink(*some)

    def require_answers(self) -> None:
        """Connect to every server.

        Raises:
            StoreUnavailable: one does not answer.
        """
        with translated(self.address):
            for server in self.servers():
                try:
                    server.ping()
                except redis.ConnectionError:
                    if self._cluster is not None:
                        self._cluster.look_again(server)  # so that another may be asked the next time
                    raise

    def require_no_eviction(self) -> None:
        """Connect, and warn where Redis would throw away buckets when its memory is full.

        Raises:
            StoreUnavailable: no server there.
        """
        with translated(self.address):
            for server in self.servers():
                try:
                    server.ping()
                    found: Any = server.config_get("maxmemory-policy")
                except redis.ResponseError:  # managed servers often forbid CONFIG
                    return
                except redis.ConnectionError:
                    if not self.is_cluster:
                        raise
                    continue  # another may have taken over: that is found out when its keys are asked for
                policy = next(iter(found.values()), "noeviction")
                policy = policy.decode() if isinstance(policy, bytes) else policy
                if policy != "noeviction":
                    warnings.warn(
                        f"Redis at {self.address} has maxmemory-policy {policy}: when memory is full it throws buckets "
                        "away, and searches silently miss items; set it to noeviction",
                        stacklevel=4,  # the caller of Index.create or Index.open
                    )
                    return

    def close(self) -> None:
        """Close all connections; the client opens new ones if it is used again."""
        self.client.close()
        if self._cluster is not None:
            self._cluster.close()

    def __repr__(self) -> str:
        return f"Connection({self.address})"

    def _in_cluster(self) -> Cluster | None:
        if not self._is_known:
            with self._lock, translated(self.address):
                if not self._is_known:
                    self._cluster = self._find_cluster()
                    self._is_known = True
        return self._cluster

    def _find_cluster(self) -> Cluster | None:
        address, pool = self.settings, self.server().connection_pool
        if address.kind == "sentinel":
            return None
        if address.kind == "server" and (not address.hosts or not _is_one_of_many(pool)):
            if address.read_from_replicas:
                raise InvalidInput(
                    f"Redis at {self.address} is no cluster: read_from_replicas needs one, or the addresses of "
                    "Sentinels; or give those who only search the address of a replica"
                )
            return None
        if self.server().connection_pool.connection_kwargs.get("db"):
            raise InvalidInput(
                f"Redis at {self.address} is a cluster, which has database 0 only; leave the number out of the address"
            )
        return Cluster(address.hosts, pool, self._timeouts.recovery)


class _Part(Connection):
    """That of the keys of one slot."""

    def __init__(self, client: redis.Redis, whole: Connection, slot: int) -> None:
        super().__init__(client, whole.settings, whole._timeouts)
        self._whole = whole
        self._slot = slot
        self._reader: Connection | None = None

    def server(self) -> redis.Redis:
        cluster = self._in_cluster()
        return self.client if cluster is None else cluster.primary(self._slot)

    @property
    def reader(self) -> Connection:
        cluster = self._in_cluster()
        if cluster is None or not self.settings.read_from_replicas:
            return self
        if self._reader is None:
            self._reader = _Part(Routed(ReplicaWay(cluster, self._slot)), self._whole, self._slot)
        return self._reader

    def of(self, key: str | bytes) -> Connection:
        return self._whole.of(key)

    def close(self) -> None:
        self._whole.close()

    def _in_cluster(self) -> Cluster | None:
        return self._whole._in_cluster()


class _Waiting(Connection):
    """To a server whose writes are to be with its replicas as well."""

    def __init__(self, server: redis.Redis, address: Address, timeouts: Timeouts) -> None:
        way = OneWay(server, timeouts.recovery, address.shown)
        super().__init__(Routed(way, address.wait_for_replicas, timeouts.read / 2), address, timeouts)
        self._server = server

    def server(self) -> redis.Redis:
        return self._server

    def close(self) -> None:
        self._server.connection_pool.disconnect()
        super().close()


class _Watched(_Waiting):
    """To a service that Sentinels watch."""

    def __init__(self, sentinels: Sentinels, address: Address, timeouts: Timeouts) -> None:
        super().__init__(sentinels.primary(), address, timeouts)
        self._reader: Connection = self
        if address.read_from_replicas:
            self._reader = _Waiting(sentinels.replica(), replace(address, wait_for_replicas=0), timeouts)

    @property
    def reader(self) -> Connection:
        return self._reader

    def close(self) -> None:
        super().close()
        if self._reader is not self:
            self._reader.close()


def _is_one_of_many(pool: redis.ConnectionPool) -> bool:
    """Whether a server is one of a cluster: its greeting says so."""
    if pool.connection_kwargs.get("db"):  # which a cluster refuses before it can be asked
        pool = redis.ConnectionPool(pool.connection_class, **{**pool.connection_kwargs, "db": 0})
        try:
            return _is_one_of_many(pool)
        finally:
            pool.disconnect()
    link: Any = pool.get_connection()
    try:
        greeting = link.handshake_metadata
    finally:
        pool.release(link)
    if greeting is not None:
        return greeting.get(b"mode", greeting.get("mode")) in (b"cluster", "cluster")
    try:  # over RESP2, which has no greeting
        found: Any = redis.Redis(connection_pool=pool).info("cluster")
    except redis.ResponseError:
        return False
    return bool(found.get("cluster_enabled"))
