"""Triton over gRPC: one channel, shared by the encoder's threads, or tasks, for as long as it is answered in time."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from numpy.typing import NDArray

from hashgrain.client.wire.address import Address
from hashgrain.client.wire.conversation import hold, hold_async
from hashgrain.client.wire.in_flight import ModelStatistics
from hashgrain.client.wire.transport import Served
from hashgrain.client.wire.transport_errors import grpc_errors
from hashgrain.client.wire.triton_model import (
    chosen_version,
    queue_microseconds,
    read_served,
    read_statistics,
    require_ready,
)
from hashgrain.codes.contract import ENCODER_MODEL, ONLINE, input_tensor
from hashgrain.codes.errors import DeadlineExceeded

# channel_args replace all of tritonclient's own, so its message sizes and keepalive are repeated here. What is added:
# a server that comes back is found within two seconds (the default backs off to two minutes), and the connection is
# this encoder's alone.
_CHANNEL = [
    ("grpc.max_send_message_length", triton.MAX_GRPC_MESSAGE_SIZE),
    ("grpc.max_receive_message_length", triton.MAX_GRPC_MESSAGE_SIZE),
    ("grpc.keepalive_time_ms", 2**31 - 1),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.max_pings_without_data", 2),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.use_local_subchannel_pool", 1),
]

_Question: TypeAlias = tuple[str, dict[str, Any]]
"""A method of tritonclient's, the same in both of its clients, and its arguments."""


class GrpcTransport:
    """A `Transport` over gRPC; see there."""

    first_in_flight, most_in_flight = 4, 16

    def __init__(self, address: Address) -> None:
        self._address = address
        self._version = ""
        self._client = self._open()
        self._renewing = threading.Lock()

    def connect(self, seconds: float) -> Served:
        """See `Transport`."""
        served = hold(_introduction(self._address), lambda question: self._ask(question, seconds))
        self._version = served.model_version
        return served

    def infer(
        self, batch: NDArray[Any], outputs: tuple[str, ...], seconds: float, priority: int = ONLINE
    ) -> dict[str, NDArray[Any]]:
        """See `Transport`."""
        with self._channel() as client, grpc_errors(self._address, seconds):
            result = client.infer(**_request(batch, self._version, outputs, seconds, priority))
            return _tensors(result, outputs)

    def statistics(self, seconds: float) -> ModelStatistics:
        """See `Transport`."""
        return read_statistics(self._ask(_statistics(self._version), seconds))

    def close(self) -> None:
        """Close the channel; calls under way end with an error."""
        self._client.close()

    def _ask(self, question: _Question, seconds: float) -> Any:
        method, arguments = question
        with grpc_errors(self._address, seconds):
            return getattr(self._client, method)(**arguments, client_timeout=seconds)

    def _open(self) -> triton.InferenceServerClient:
        return triton.InferenceServerClient(self._address.target, ssl=self._address.secure, channel_args=_CHANNEL)

    @contextmanager
    def _channel(self) -> Iterator[triton.InferenceServerClient]:
        """The channel; the next call gets another after one that had no answer in time.

        Its connection may be dead without a word, and would be used for a quarter of an hour. Other threads' calls go
        on over it; it is closed when the last of them has let go.
        """
        client = self._client
        try:
            yield client
        except DeadlineExceeded:
            with self._renewing:
                if self._client is client:
                    self._client = self._open()
            raise


class AsyncGrpcTransport:
    """An `AsyncTransport` over gRPC; see there. It belongs to the event loop in which it is made."""

    first_in_flight, most_in_flight = GrpcTransport.first_in_flight, GrpcTransport.most_in_flight

    def __init__(self, address: Address) -> None:
        self._address = address
        self._version = ""
        self._client = self._open()

    async def connect(self, seconds: float) -> Served:
        """See `Transport`."""
        served = await hold_async(_introduction(self._address), lambda question: self._ask(question, seconds))
        self._version = served.model_version
        return served

    async def infer(
        self, batch: NDArray[Any], outputs: tuple[str, ...], seconds: float, priority: int = ONLINE
    ) -> dict[str, NDArray[Any]]:
        """See `Transport`; cancelled, it takes the request back from the server."""
        client = self._client
        try:
            with grpc_errors(self._address, seconds):
                result = await client.infer(**_request(batch, self._version, outputs, seconds, priority))
                return _tensors(result, outputs)
        except DeadlineExceeded:  # the connection may be dead without a word, see `GrpcTransport`
            if self._client is client:
                self._client = self._open()
            raise

    async def statistics(self, seconds: float) -> ModelStatistics:
        """See `Transport`."""
        return read_statistics(await self._ask(_statistics(self._version), seconds))

    async def close(self) -> None:
        """Close the channel; calls under way end with an error."""
        await self._client.close()

    async def _ask(self, question: _Question, seconds: float) -> Any:
        method, arguments = question
        with grpc_errors(self._address, seconds):
            return await getattr(self._client, method)(**arguments, client_timeout=seconds)

    def _open(self) -> triton_aio.InferenceServerClient:
        return triton_aio.InferenceServerClient(self._address.target, ssl=self._address.secure, channel_args=_CHANNEL)


def _introduction(address: Address) -> Generator[_Question, Any, Served]:
    """What is asked on connecting."""
    model = {"model_name": ENCODER_MODEL}
    ready = yield "is_server_ready", {}
    require_ready(address, server=ready, model=bool(ready and (yield "is_model_ready", model)))
    server = yield "get_server_metadata", {"as_json": True}
    newest = yield "get_model_metadata", {**model, "as_json": True}
    version = chosen_version(address, newest)
    chosen = {**model, "model_version": version, "as_json": True}
    metadata = yield "get_model_metadata", chosen
    config = yield "get_model_config", chosen
    return read_served(address, server, metadata, config["config"], version)


def _tensors(result: Any, outputs: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Those of a reply, of those wanted."""
    found = {name: result.as_numpy(name) for name in outputs}
    return {name: array for name, array in found.items() if array is not None}


def _request(
    batch: NDArray[Any], version: str, outputs: tuple[str, ...], seconds: float, priority: int
) -> dict[str, Any]:
    """The arguments of `infer`."""
    name, datatype = input_tensor(batch)
    return {
        "model_name": ENCODER_MODEL,
        "inputs": [triton.InferInput(name, batch.shape, datatype).set_data_from_numpy(batch)],
        "model_version": version,
        "outputs": [triton.InferRequestedOutput(name) for name in outputs],
        "priority": priority,
        "timeout": queue_microseconds(seconds),
        "client_timeout": seconds,
    }


def _statistics(version: str) -> _Question:
    arguments = {"model_name": ENCODER_MODEL, "model_version": version, "as_json": True}
    return "get_inference_statistics", arguments
