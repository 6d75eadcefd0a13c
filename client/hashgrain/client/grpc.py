"""Triton over gRPC: one channel, shared by the encoder's threads, for as long as it is answered in time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tritonclient.grpc as triton
from numpy.typing import NDArray

from hashgrain.client.address import Address
from hashgrain.client.transport import Served
from hashgrain.client.transport_errors import grpc_errors
from hashgrain.client.triton_model import chosen_version, queue_microseconds, read_served, require_ready
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


class GrpcTransport:
    """A `Transport` over gRPC; see there."""

    in_flight = 4

    def __init__(self, address: Address) -> None:
        self._address = address
        self._version = ""
        self._client = self._open()
        self._renewing = threading.Lock()

    def connect(self, seconds: float) -> Served:
        """See `Transport`."""
        client = self._client
        with grpc_errors(self._address, seconds):
            ready = client.is_server_ready(client_timeout=seconds)
            model = ready and client.is_model_ready(ENCODER_MODEL, client_timeout=seconds)
            require_ready(self._address, server=ready, model=model)
            server = client.get_server_metadata(as_json=True, client_timeout=seconds)
            newest = client.get_model_metadata(ENCODER_MODEL, as_json=True, client_timeout=seconds)
            version = chosen_version(self._address, newest)
            metadata = client.get_model_metadata(ENCODER_MODEL, version, as_json=True, client_timeout=seconds)
            config = client.get_model_config(ENCODER_MODEL, version, as_json=True, client_timeout=seconds)["config"]
        self._version = version
        return read_served(self._address, server, metadata, config, version)

    def infer(
        self, batch: NDArray[Any], outputs: tuple[str, ...], seconds: float, priority: int = ONLINE
    ) -> dict[str, NDArray[Any]]:
        """See `Transport`."""
        name, datatype = input_tensor(batch)
        with self._channel() as client, grpc_errors(self._address, seconds):
            tensor = triton.InferInput(name, batch.shape, datatype).set_data_from_numpy(batch)
            result = client.infer(
                ENCODER_MODEL,
                [tensor],
                model_version=self._version,
                outputs=[triton.InferRequestedOutput(name) for name in outputs],
                priority=priority,
                timeout=queue_microseconds(seconds),
                client_timeout=seconds,
            )
            return {name: result.as_numpy(name) for name in outputs}

    def close(self) -> None:
        """Close the channel; calls under way end with an error."""
        self._client.close()

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
