"""Which ports of this machine the embedded servers listen on."""

from __future__ import annotations

import dataclasses
import socket
from dataclasses import dataclass

from hashgrain.codes.errors import EmbeddedServerError, InvalidInput

HOST = "127.0.0.1"

_PURPOSE = {
    "triton": ("Triton's gRPC", "--triton-port"),
    "http": ("Triton's HTTP", "--http-port"),
    "metrics": ("Triton's metrics", "--metrics-port"),
    "redis": ("Redis", "--redis-port"),
}


@dataclass(frozen=True)
class Ports:
    """Ports on the loopback address, 1 to 65535 each; None leaves the choice open.

    Attributes:
        triton: Triton's gRPC.
        http: Triton's HTTP.
        metrics: Triton's metrics.
        redis: Redis.

    Raises:
        InvalidInput: a port is out of range, or given twice.
    """

    triton: int | None = None
    http: int | None = None
    metrics: int | None = None
    redis: int | None = None

    def __post_init__(self) -> None:
        owners: dict[int, str] = {}
        for name, port in self.given().items():
            if not 1 <= port <= 65535:
                raise InvalidInput(f"{_PURPOSE[name][1]} must be 1 to 65535, got {port}")
            if port in owners:
                raise InvalidInput(
                    f"{_PURPOSE[name][1]} and {_PURPOSE[owners[port]][1]} are both {port}; give each its own"
                )
            owners[port] = name

    def given(self) -> dict[str, int]:
        """The ports that are set, by name."""
        return {name: port for name, port in dataclasses.asdict(self).items() if port is not None}


def choose(names: tuple[str, ...], asked: Ports, remembered: Ports) -> dict[str, int]:
    """A port for each name: the one asked for, else the one of the last run where it is still free, else a free one.

    Raises:
        EmbeddedServerError: a port that was asked for is taken.
    """
    chosen: dict[str, int] = {}
    reserved = set(asked.given().values())
    for name in names:
        port = asked.given().get(name)
        if port is not None:
            if not is_free(port):
                purpose, option = _PURPOSE[name]
                raise EmbeddedServerError(
                    f"port {port}, asked for {purpose}, is taken by another program; "
                    f"give another {option}, or leave it out for a free one"
                )
        else:
            last = remembered.given().get(name)
            usable = last is not None and last not in reserved and is_free(last)
            port = last if last is not None and usable else _free_port(reserved)
        chosen[name] = port
        reserved.add(port)
    return chosen


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do: a port lingers after its end
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_port(reserved: set[int]) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
        if port not in reserved:
            return port
