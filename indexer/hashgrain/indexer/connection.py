"""Connections to Redis: addresses, deadlines, and the one setting that an index cannot do without."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer.deadline import keeping_deadlines
from hashgrain.indexer.store_errors import translated

READ_BYTES = 1 << 18
"""Bytes that are taken from a connection at once: an answer with the buckets of a query comes in one or two pieces."""

SCHEMES = ("redis", "rediss", "unix")


@dataclass(frozen=True)
class Timeouts:
    """How long to wait for Redis, in seconds.

    Args:
        connect: for a connection.
        read: for each answer (and for each piece of a request to be taken).

    Raises:
        InvalidInput: a time is not positive and finite.
    """

    connect: float = 5.0
    read: float = 10.0

    def __post_init__(self) -> None:
        for name in ("connect", "read"):
            seconds = getattr(self, name)
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
                raise InvalidInput(f"the timeout `{name}` must be a positive number of seconds, got {seconds!r}")


DEFAULT_TIMEOUTS = Timeouts()


@dataclass(frozen=True)
class Connection:
    """A client of one Redis server; it connects when first used, and is safe to share between threads.

    Attributes:
        client: redis-py's client, which returns bytes.
        address: where the server is, without user and password.
    """

    client: redis.Redis
    address: str

    @classmethod
    def to(cls, url: str, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Connection:
        """Make a client for `redis://`, `rediss://` (TLS) or `unix://` addresses.

        Raises:
            InvalidInput: the address cannot be read, or carries a setting that redis-py does not know.
        """
        address = _without_secrets(url)
        try:
            # One more try heals a connection that a restarted server has closed. Answers that are merely late are not
            # asked for again: the first one may still be under way.
            retry = Retry(ConstantBackoff(0.05), 1, supported_errors=(redis.ConnectionError,))
            client = redis.Redis.from_url(
                url,
                socket_connect_timeout=timeouts.connect,
                socket_timeout=timeouts.read,
                socket_read_size=READ_BYTES,
                retry=retry,
            )
            settings: dict[str, Any] = client.connection_pool.connection_kwargs
            settings["decode_responses"] = False
            client.connection_pool.connection_class = keeping_deadlines(client.connection_pool.connection_class)
            client.connection_pool.connection_class(**settings)
        except (ValueError, TypeError):
            # Not `from exc`: what urllib says of a broken address can quote a part of the password.
            raise InvalidInput(
                f"cannot read the Redis address {address}; write it as redis://user:password@host:6379/0, "
                "rediss:// for TLS or unix:///path/to/socket; escape special characters of a password by %, "
                "and use only settings that redis-py knows"
            ) from None
        return cls(client, address)

    def require_no_eviction(self) -> None:
        """Connect, and warn where Redis would throw away buckets when its memory is full.

        Raises:
            StoreUnavailable: no server there.
        """
        with translated(self.address):
            self.client.ping()
            try:
                found: Any = self.client.config_get("maxmemory-policy")
            except redis.ResponseError:  # managed servers often forbid CONFIG
                return
        policy = next(iter(found.values()), "noeviction")
        policy = policy.decode() if isinstance(policy, bytes) else policy
        if policy != "noeviction":
            warnings.warn(
                f"Redis at {self.address} has maxmemory-policy {policy}: when memory is full it throws buckets "
                "away, and searches silently miss items; set it to noeviction",
                stacklevel=4,  # the caller of Index.create or Index.open
            )

    def close(self) -> None:
        """Close all connections; the client opens new ones if it is used again."""
        self.client.close()

    def __repr__(self) -> str:
        return f"Connection({self.address})"


def _without_secrets(url: object) -> str:
    if not isinstance(url, str):
        raise InvalidInput(f"a Redis address is a string such as redis://localhost:6379/0, got {type(url).__name__}")
    try:
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            raise InvalidInput(
                f"a Redis address begins with redis://, rediss:// or unix://, got {parts.scheme or 'none'}"
            )
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except InvalidInput:
        raise
    except ValueError:
        return f"{url.partition('://')[0]}://…"
    return f"{parts.scheme}://{host}{port}{parts.path}"
