"""The network in this very process, by ONNX Runtime: no server, the same codes."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hashgrain.client.wire.address import Address
from hashgrain.client.wire.transport import Served
from hashgrain.codes.contract import ONLINE
from hashgrain.codes.onnx_model import OnnxModel, find_model


class InProcessTransport:
    """A `Transport` without a server; see there. Deadlines do not apply: the work is this process' own."""

    first_in_flight = most_in_flight = 1  # a session spreads one batch over all cores; a second would only wait

    def __init__(self, address: Address) -> None:
        self._version = address.version
        self._model = OnnxModel(find_model(Path(address.target), address.version))

    def connect(self, seconds: float) -> Served:
        """See `Transport`; the contract is the one in the model's metadata."""
        return Served(self._model.contract, 0, "onnxruntime", self._model.runtime_version, self._version)

    def infer(
        self, batch: NDArray[Any], outputs: tuple[str, ...], seconds: float, priority: int = ONLINE
    ) -> dict[str, NDArray[Any]]:
        """See `Transport`."""
        return self._model.run(batch, outputs)

    def statistics(self, seconds: float) -> None:
        """See `Transport`: there is no queue."""

    def close(self) -> None:
        """Nothing to do: the session goes with the object."""


class AsyncInProcessTransport:
    """An `AsyncTransport` around the same, by a thread; a batch that is being computed cannot be taken back."""

    first_in_flight = most_in_flight = InProcessTransport.most_in_flight

    def __init__(self, address: Address) -> None:
        self._address = address
        self._thread = ThreadPoolExecutor(self.most_in_flight, "hashgrain-infer")

    async def connect(self, seconds: float) -> Served:
        """See `Transport`; the model is loaded here."""
        self._transport = await asyncio.get_running_loop().run_in_executor(
            self._thread, InProcessTransport, self._address
        )
        return self._transport.connect(seconds)

    async def infer(
        self, batch: NDArray[Any], outputs: tuple[str, ...], seconds: float, priority: int = ONLINE
    ) -> dict[str, NDArray[Any]]:
        """See `Transport`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._transport.infer, batch, outputs, seconds, priority)

    async def statistics(self, seconds: float) -> None:
        """See `Transport`: there is no queue."""

    async def close(self) -> None:
        """Let the thread go; what it computes it ends first."""
        self._thread.shutdown(wait=False, cancel_futures=True)
