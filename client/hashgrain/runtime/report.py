"""What runs in a state folder right now: the facts behind `hashgrain status`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hashgrain.runtime import state
from hashgrain.runtime.home import Home, find_home
from hashgrain.runtime.logs import log_end
from hashgrain.runtime.processes import alive
from hashgrain.runtime.redis_server import redis_info, redis_software
from hashgrain.runtime.state import RedisRecord, TritonRecord
from hashgrain.runtime.support import why_no_triton
from hashgrain.runtime.triton_http import ServedModel, encoder_metadata, served_models, server_ready, server_software

Condition = Literal["ready", "not ready", "died", "stopped", "impossible"]
"""not ready: the process runs and does not answer, or a model is missing; impossible: it cannot run on this machine."""


@dataclass(frozen=True)
class ServerReport:
    """One server.

    Attributes:
        name: "redis" or "triton".
        condition: see `Condition`.
        software: name and version, "Valkey 9.1.2", or empty.
        address: for --redis or --triton, or empty.
        pid: the process, where one was started.
        uptime_s: seconds since it was started, where it runs.
        log: the log file.
        detail: the end of the log of a server that died, or why one cannot run here.
    """

    name: str
    condition: Condition
    software: str = ""
    address: str = ""
    pid: int | None = None
    uptime_s: float | None = None
    log: str = ""
    detail: str = ""


@dataclass(frozen=True)
class StatusReport:
    """Both servers of a state folder.

    Attributes:
        home: the state folder.
        redis: the Redis server.
        triton: the Triton server.
        http: Triton's HTTP address, or empty.
        metrics: address of Triton's metrics, or empty.
        model_repository: the folder of models that Triton serves, or empty.
        models: Triton's models, each with its readiness.
        fingerprint: of the model hash_encoder that Triton serves, or empty.
    """

    home: str
    redis: ServerReport
    triton: ServerReport
    http: str = ""
    metrics: str = ""
    model_repository: str = ""
    models: tuple[ServedModel, ...] = ()
    fingerprint: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything that can run on this machine is ready."""
        return self.redis.condition == "ready" and self.triton.condition in ("ready", "impossible")


def report(home: Path | None = None) -> StatusReport:
    """Ask the servers of a state folder how they are.

    Raises:
        EmbeddedServerError: the state cannot be read.
    """
    found = find_home(home)
    now = state.load(found)
    redis = _report_redis(found, now.redis)
    triton = _report_triton(found, now.triton)
    if now.triton is None or triton.condition == "died":
        return StatusReport(str(found.root), redis, triton, model_repository=now.model_repository or "")
    return StatusReport(
        str(found.root),
        redis,
        triton,
        http=now.triton.http,
        metrics=now.triton.metrics,
        model_repository=now.triton.model_repository,
        models=served_models(now.triton.http),
        fingerprint=encoder_metadata(now.triton.http).get("hashgrain.fingerprint", ""),
    )


def _report_redis(home: Home, record: RedisRecord | None) -> ServerReport:
    if record is None:
        return ServerReport("redis", "stopped")
    info = redis_info(record.address) if alive(record.process) else None
    answers = info is not None and info["process_id"] == record.process.pid
    software = redis_software(info) if info and answers else record.software
    return _report_started(home, "redis", record, answers, software)


def _report_triton(home: Home, record: TritonRecord | None) -> ServerReport:
    if record is None:
        reason = why_no_triton()
        return ServerReport("triton", "impossible", detail=reason) if reason else ServerReport("triton", "stopped")
    answers = alive(record.process) and server_ready(record.http)
    software = server_software(record.http) if answers else record.software
    return _report_started(home, "triton", record, answers, software)


def _report_started(
    home: Home, name: str, record: RedisRecord | TritonRecord, answers: bool, software: str
) -> ServerReport:
    log = home.log(name)
    if not alive(record.process):
        end = log_end(log)
        return ServerReport(name, "died", software, pid=record.process.pid, log=str(log), detail=end)
    condition: Condition = "ready" if answers else "not ready"
    uptime = time.time() - record.started_at
    return ServerReport(name, condition, software, record.address, record.process.pid, uptime, str(log))
