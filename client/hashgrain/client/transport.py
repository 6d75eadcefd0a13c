"""`Transport`: the one seam between the encoder and the ways to run the network."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from hashgrain.client.address import Address
from hashgrain.codes.contract import ONLINE, EncoderContract
from hashgrain.codes.errors import MissingDependency


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

    in_flight: int
    """Batches worth having under way at once."""

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

    def close(self) -> None:
        """Let go of connections; calling it twice does no harm."""


_TRANSPORTS = {
    "grpc": ("hashgrain.client.grpc", "GrpcTransport", "client"),
    "http": ("hashgrain.client.http", "HttpTransport", "client"),
    "in_process": ("hashgrain.client.in_process", "InProcessTransport", "cpu"),
}


def open_transport(address: Address) -> Transport:
    """The transport that an address needs; only its own packages are imported.

    Raises:
        MissingDependency: they are not installed.
        InvalidInput: a path holds no model.
    """
    module, name, extra = _TRANSPORTS[address.kind]
    try:
        transport: type[Any] = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as exc:
        raise MissingDependency(
            f'{address} needs the package {exc.name}; install it with: pip install "hashgrain[{extra}]"'
        ) from exc
    opened: Transport = transport(address)
    return opened
