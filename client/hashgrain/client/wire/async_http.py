"""Triton over HTTP for an event loop: `http`'s requests and replies, carried by aiohttp."""

from __future__ import annotations

import io
from typing import Any

import aiohttp
from numpy.typing import NDArray

from hashgrain.client.wire.address import Address
from hashgrain.client.wire.conversation import hold_async
from hashgrain.client.wire.http import HttpTransport, introduction, model_path, read_json, read_tensors, request_header
from hashgrain.client.wire.http_connection import Reply
from hashgrain.client.wire.in_flight import ModelStatistics
from hashgrain.client.wire.transport import Served
from hashgrain.client.wire.transport_errors import aiohttp_errors
from hashgrain.client.wire.triton_model import read_statistics
from hashgrain.codes.contract import ONLINE


class AsyncHttpTransport:
    """An `AsyncTransport` over HTTP; see there. It belongs to the event loop in which it is made."""

    first_in_flight, most_in_flight = HttpTransport.first_in_flight, HttpTransport.most_in_flight

    def __init__(self, address: Address) -> None:
        self._address = address
        self._base = f"http{'s' if address.secure else ''}://{address.target}/"
        self._model = ""
        # As many connections as requests under way, which are limited elsewhere: here nothing may wait for a place.
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def connect(self, seconds: float) -> Served:
        """See `Transport`."""
        with aiohttp_errors(self._address, seconds):
            served = await hold_async(introduction(self._address), lambda path: self._exchange("GET", path, seconds))
        self._model = model_path(served.model_version)
        return served

    async def infer(
        self, batch: NDArray[Any], outputs: tuple[str, ...], seconds: float, priority: int = ONLINE
    ) -> dict[str, NDArray[Any]]:
        """See `Transport`; cancelled, it closes the connection."""
        header, headers = request_header(batch, outputs, seconds, priority)
        body = io.BytesIO(header + batch.tobytes())  # aiohttp sends a file in pieces, and bytes in one go
        with aiohttp_errors(self._address, seconds):
            reply = await self._exchange("POST", f"{self._model}/infer", seconds, data=body, headers=headers)
            return read_tensors(self._address, reply, outputs)

    async def statistics(self, seconds: float) -> ModelStatistics:
        """See `Transport`."""
        with aiohttp_errors(self._address, seconds):
            return read_statistics(
                read_json(self._address, await self._exchange("GET", f"{self._model}/stats", seconds))
            )

    async def close(self) -> None:
        """Close the connections; calls under way end with an error."""
        await self._session.close()

    async def _exchange(self, method: str, path: str, seconds: float, **options: Any) -> Reply:
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with self._session.request(method, self._base + path, timeout=timeout, **options) as response:
            return Reply(response.status, response.headers, await response.read())
