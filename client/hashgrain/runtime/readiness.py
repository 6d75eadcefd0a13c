"""Wait until a server that was started is ready, or has died."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from hashgrain.codes.errors import EmbeddedServerError
from hashgrain.runtime.home import Home
from hashgrain.runtime.logs import log_end
from hashgrain.runtime.processes import POLL_S, alive
from hashgrain.runtime.redis_server import redis_info, redis_software
from hashgrain.runtime.state import RedisRecord, TritonRecord
from hashgrain.runtime.triton_http import server_ready, server_software


def wait_for_redis(home: Home, record: RedisRecord, deadline: float) -> RedisRecord:
    """Wait until Redis answers with its data loaded; returns the record with the software's version.

    Args:
        home: the state folder, for the log.
        record: the server.
        deadline: on the monotonic clock, in seconds.

    Raises:
        EmbeddedServerError: it died, or is not ready in time; with the end of its log.
    """

    def software() -> str | None:
        info = redis_info(record.address)
        # Another server that took the port in the last moment would answer as well.
        return redis_software(info) if info and info["process_id"] == record.process.pid else None

    return replace(record, software=_wait(home, "redis", "", record, software, deadline))


def wait_for_triton(home: Home, record: TritonRecord, deadline: float) -> TritonRecord:
    """Wait until Triton is ready with every model; returns the record with the software's version.

    Args:
        home: the state folder, for the log.
        record: the server.
        deadline: on the monotonic clock, in seconds.

    Raises:
        EmbeddedServerError: it died, or is not ready in time; with the end of its log.
    """

    def software() -> str | None:
        return server_software(record.http) if server_ready(record.http) else None

    over = f" over {record.model_repository}"
    return replace(record, software=_wait(home, "triton", over, record, software, deadline))


def _wait(
    home: Home,
    server: str,
    over: str,
    record: RedisRecord | TritonRecord,
    software: Callable[[], str | None],
    deadline: float,
) -> str:
    """Wait until `software` tells anything, and return it."""
    what = f"ended while it was started{over}"
    while alive(record.process):
        found = software()
        if found is not None:
            return found
        if time.monotonic() >= deadline:
            seconds = time.time() - record.started_at
            what = f"is not ready {seconds:.0f} s after its start (give it longer by --timeout)"
            break
        time.sleep(POLL_S)
    log = home.log(server)
    raise EmbeddedServerError(f"{server} {what}; its log {log} ends with\n{log_end(log)}")
