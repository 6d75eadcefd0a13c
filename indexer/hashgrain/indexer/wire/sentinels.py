"""A service that Redis Sentinels watch: they are asked, at each new connection, which server is its primary now.

See https://valkey.io/topics/sentinel/ and redis-py's `Sentinel`, which does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from hashgrain.indexer.wire.addresses import Address
from hashgrain.indexer.wire.deadline import keeping_deadlines

_SHARED = ("socket_connect_timeout", "socket_timeout")


class Sentinels:
    """Makes clients of a service; it connects when they are used.

    Args:
        address: of the Sentinels, with the service.
        settings: of connections to the servers, as redis-py's pools take them.
    """

    def __init__(self, address: Address, settings: Mapping[str, Any]) -> None:
        own = {name: value for name, value in settings.items() if not name.startswith(("maint_", "orig_"))}
        for name in ("host", "port", "retry", "himport_registry"):
            own.pop(name, None)
        if address.url.startswith("rediss"):
            own["ssl"] = True
        asking: dict[str, Any] = {name: own[name] for name in own if name in _SHARED or name.startswith("ssl")}
        asking["retry"] = Retry(NoBackoff(), 0)
        for name in ("username", "password"):
            if value := getattr(address, f"sentinel_{name}"):
                asking[name] = value
        self._service = address.service
        self._sentinel = cast(Any, Sentinel)(address.hosts, sentinel_kwargs=asking, **own)

    def primary(self) -> redis.Redis:
        """A client of whichever server is the primary when it connects."""
        return self._punctual(self._sentinel.master_for(self._service, retry=Retry(NoBackoff(), 0)))

    def replica(self) -> redis.Redis:
        """A client of some replica, or of the primary where there is none."""
        return self._punctual(self._sentinel.slave_for(self._service, retry=Retry(NoBackoff(), 0)))

    def _punctual(self, client: redis.Redis) -> redis.Redis:
        pool = client.connection_pool
        pool.connection_class = keeping_deadlines(pool.connection_class)
        return client
