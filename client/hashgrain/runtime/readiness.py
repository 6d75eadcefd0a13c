"""Wait until a server that was started is ready, or has died."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import NoReturn

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
    while alive(record.process):
        info = redis_info(record.address)
        # Another server that took the port in the last moment would answer as well.
        if info and info["process_id"] == record.process.pid:
            return replace(record, software=redis_software(info))
        if time.monotonic() >= deadline:
            _give_up(home, "redis", _too_slow(record))
        time.sleep(POLL_S)
    _give_up(home, "redis", "ended while it was started")


def wait_for_triton(home: Home, record: TritonRecord, deadline: float) -> TritonRecord:
    """Wait until Triton is ready with every model; returns the record with the software's version.

    Args:
        home: the state folder, for the log.
        record: the server.
        deadline: on the monotonic clock, in seconds.

    Raises:
        EmbeddedServerError: it died, or is not ready in time; with the end of its log.
    """
    while alive(record.process):
        if server_ready(record.http):
            return replace(record, software=server_software(record.http))
        if time.monotonic() >= deadline:
            _give_up(home, "triton", _too_slow(record))
        time.sleep(POLL_S)
    _give_up(home, "triton", f"ended while it was started over {record.model_repository}")


def _too_slow(record: RedisRecord | TritonRecord) -> str:
    seconds = time.time() - record.started_at
    return f"is not ready {seconds:.0f} s after its start (give it longer by --timeout)"


def _give_up(home: Home, name: str, what: str) -> NoReturn:
    log = home.log(name)
    raise EmbeddedServerError(f"{name} {what}; its log {log} ends with\n{log_end(log)}")
