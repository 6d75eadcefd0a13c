"""`Transport`: the one seam between the encoder and the ways to run the network."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from hashgrain.client.wire.address import Address
from hashgrain.client.wire.in_flight import ModelStatistics
from hashgrain.codes.contract import ONLINE, EncoderContract
from hashgrain.codes.errors import MissingDependency

STATISTICS_S = 1.0
"""How long to wait for a server's statistics: whoever asks has an answer in hand that he could hand on."""


@dataclass(frozen=True)
class Served:
    """What answers at an address.

    Attributes:
        contract: the model's contract, checked against its tensors.
        max_batch_size: most images of one request, or 0 for no limit.
        server_name: "triton", or "onnxruntime" in process.
        server_version: that program's version.
        model_version: version of the model that every request asks for, "" where there are none.
    """

    contract: EncoderContract
    max_batch_size: int
    server_name: str
    server_version: str
    model_version: str = ""


class Transport(Protocol):
    """One way to run the network. `infer` may be called from several threads at a time."""

    first_in_flight: int
    most_in_flight: int
    """Requests under way, to begin with and at most; see `InFlight`."""

    def connect(self, seconds: float) -> Served:
        """Ask the other end who it is, `seconds` at most for each question.

        Raises:
            ServerUnavailable: nothing is there, or it or the model is not ready.
            DeadlineExceeded: no answer in time.
            ContractViolation: the model is not a hash encoder.
            InvalidInput: the address asks for a version of the model that is not served.
        """

    def infer(
        self, batch: NDArray[Any], outputs: tuple[str, ...], seconds: float, priority: int = ONLINE
    ) -> dict[str, NDArray[Any]]:
        """Run one batch.

        Args:
            batch: pictures, uint8 (B, S, S, 3), or vectors, float32 (B, D), as the contract says; contiguous.
            outputs: names of the tensors wanted; no others travel.
            seconds: the deadline; a server's queue rejects what has waited so long.
            priority: `contract.ONLINE` or `contract.BULK`, by which a server's queue orders requests.

        Returns:
            Array by tensor name, B rows each; the arrays may be read-only.

        Raises:
            ServerUnavailable: the server went away.
            ServerBusy: its queue has no room; it asks to come back later.
            DeadlineExceeded: no answer in time.
            InferenceFailed: the server answered with an error.
        """

    def statistics(self, seconds: float) -> ModelStatistics | None:
        """What the server has counted of all requests to the model; None where nobody counts.

        Raises:
            EncoderError: the server does not tell, or not in time.
        """

    def close(self) -> None:
        """Let go of connections; calling it twice does no harm."""


class AsyncTransport(Protocol):
    """A `Transport` for the tasks of one event loop; the same arguments, answers and errors, see there.

    A call that is cancelled leaves the others as they are.
    """

    first_in_flight: int
    most_in_flight: int

    async def connect(self, seconds: float) -> Served:
        """See `Transport`."""

    async def infer(
        self, batch: NDArray[Any], outputs: tuple[str, ...], seconds: float, priority: int = ONLINE
    ) -> dict[str, NDArray[Any]]:
        """See `Transport`."""

    async def statistics(self, seconds: float) -> ModelStatistics | None:
        """See `Transport`."""

    async def close(self) -> None:
        """See `Transport`."""


_TRANSPORTS = {
    "grpc": ("hashgrain.client.wire.grpc", "GrpcTransport", "client"),
    "http": ("hashgrain.client.wire.http", "HttpTransport", "client"),
    "in_process": ("hashgrain.client.wire.in_process", "InProcessTransport", "cpu"),
}
_ASYNC_TRANSPORTS = {
    "grpc": ("hashgrain.client.wire.grpc", "AsyncGrpcTransport", "client"),
    "http": ("hashgrain.client.wire.async_http", "AsyncHttpTransport", "aiohttp"),
    "in_process": ("hashgrain.client.wire.in_process", "AsyncInProcessTransport", "cpu"),
}


def open_transport(address: Address) -> Transport:
    """The transport that an address needs; only its own packages are imported.

    Raises:
        MissingDependency: they are not installed.
        InvalidInput: a path holds no model.
    """
    opened: Transport = _opened(address, _TRANSPORTS)
    return opened


def open_async_transport(address: Address) -> AsyncTransport:
    """`open_transport` for the event loop that runs."""
    opened: AsyncTransport = _opened(address, _ASYNC_TRANSPORTS)
    return opened


def _opened(address: Address, transports: dict[str, tuple[str, str, str]]) -> Any:
    module, name, extra = transports[address.kind]
    try:
        transport = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as exc:
        raise MissingDependency(
            f'{address} needs the package {exc.name}; install it with: pip install "hashgrain[{extra}]"'
        ) from exc
    return transport(address)
