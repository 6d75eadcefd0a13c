"""What `hashgrain up` remembers in state.json: the running processes, and the ports of the last run."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from typing import Any

from hashgrain.codes.errors import EmbeddedServerError
from hashgrain.runtime.home import Home
from hashgrain.runtime.ports import HOST, Ports
from hashgrain.runtime.processes import ProcessId, alive

FORMAT = 1


@dataclass(frozen=True)
class RedisRecord:
    """The embedded Redis-protocol server.

    Attributes:
        process: its process.
        started_at: Unix time, seconds.
        port: where it listens on the loopback address.
        software: name and version, "Valkey 9.1.2"; empty until it has answered.
    """

    process: ProcessId
    started_at: float
    port: int
    software: str = ""

    @property
    def address(self) -> str:
        """redis://host:port/database."""
        return f"redis://{HOST}:{self.port}/0"


@dataclass(frozen=True)
class TritonRecord:
    """The embedded Triton server.

    Attributes:
        process: its process.
        started_at: Unix time, seconds.
        grpc_port, http_port, metrics_port: where it listens on the loopback address.
        model_repository: the folder of models that it serves.
        redis: address of the Redis that its models search in.
        software: name and version, "Triton 2.51.0"; empty until it has answered.
    """

    process: ProcessId
    started_at: float
    grpc_port: int
    http_port: int
    metrics_port: int
    model_repository: str
    redis: str
    software: str = ""

    @property
    def address(self) -> str:
        """grpc://host:port."""
        return f"grpc://{HOST}:{self.grpc_port}"

    @property
    def http(self) -> str:
        """http://host:port."""
        return f"http://{HOST}:{self.http_port}"

    @property
    def metrics(self) -> str:
        """Address of the metrics in Prometheus' text form."""
        return f"http://{HOST}:{self.metrics_port}/metrics"


@dataclass(frozen=True)
class State:
    """Servers that were started and not stopped since (they may have died).

    Attributes:
        redis: the Redis server.
        triton: the Triton server; None as well where it cannot run.
        ports: of the last run, kept when the servers are stopped.
        model_repository: what Triton serves, or what is encoded in process without it.
    """

    redis: RedisRecord | None = None
    triton: TritonRecord | None = None
    ports: Ports = field(default_factory=Ports)
    model_repository: str | None = None


def load(home: Home) -> State:
    """Read the state; an empty one where nothing was started here yet.

    Raises:
        EmbeddedServerError: the file cannot be read, or is of another release.
    """
    try:
        values = json.loads(home.state_file.read_text())
    except FileNotFoundError:
        return State()
    except (OSError, ValueError) as exc:
        raise EmbeddedServerError(f"{home.state_file} cannot be read ({exc}); {_MEND}") from exc
    try:
        if values["format"] != FORMAT:
            raise EmbeddedServerError(
                f"{home.state_file} has format {values['format']}, this release knows {FORMAT}; {_MEND}"
            )
        return State(
            redis=_record(RedisRecord, values["redis"]),
            triton=_record(TritonRecord, values["triton"]),
            ports=Ports(**values["ports"]),
            model_repository=values["model_repository"],
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise EmbeddedServerError(f"{home.state_file} cannot be read ({exc!r}); {_MEND}") from exc


def save(home: Home, state: State) -> State:
    """Write the state in one step, so that no reader sees half of it; returns it."""
    draft = home.state_file.with_suffix(f".{os.getpid()}.draft")
    draft.write_text(json.dumps({"format": FORMAT, **dataclasses.asdict(state)}, indent=2) + "\n")
    draft.replace(home.state_file)
    return state


def without_dead(state: State) -> State:
    """The same without the servers whose process has ended."""
    return dataclasses.replace(
        state,
        redis=state.redis if state.redis and alive(state.redis.process) else None,
        triton=state.triton if state.triton and alive(state.triton.process) else None,
    )


_MEND = "end the servers named in it by hand if they still run, then remove the file"


def _record(kind: type[Any], values: dict[str, Any] | None) -> Any:
    return None if values is None else kind(**{**values, "process": ProcessId(**values["process"])})
