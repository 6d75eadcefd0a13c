"""Triton over HTTP.

tritonclient's HTTP client runs on gevent, and one client belongs to one thread. So every thread that sends gets a
client, and with it a connection, of its own. gevent's socket timeouts start anew with every packet; a `gevent.Timeout`
around each call makes the deadline one for the whole.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent  # type: ignore[import-untyped]
import numpy as np
import tritonclient.http as triton
from gevent.ssl import create_default_context  # type: ignore[import-untyped]
from numpy.typing import NDArray

from hashgrain.client.address import Address
from hashgrain.client.transport import Served
from hashgrain.client.transport_errors import http_errors
from hashgrain.client.triton_model import latest_version, read_served, require_ready
from hashgrain.codes.contract import ENCODER_MODEL, IMAGE


class HttpTransport:
    """A `Transport` over HTTP; see there."""

    in_flight = 4

    def __init__(self, address: Address) -> None:
        self._address = address
        self._version = ""
        self._own = threading.local()
        self._all: list[Any] = []
        self._lock = threading.Lock()

    def connect(self, seconds: float) -> Served:
        """See `Transport`."""
        with self._call(seconds) as client:
            ready = client.is_server_ready()
        with self._call(seconds) as client:
            model = ready and client.is_model_ready(ENCODER_MODEL)
            require_ready(self._address, server=ready, model=model)
        with self._call(seconds) as client:
            server = client.get_server_metadata()
            version = latest_version(client.get_model_metadata(ENCODER_MODEL))
        with self._call(seconds) as client:
            metadata = client.get_model_metadata(ENCODER_MODEL, version)
            config = client.get_model_config(ENCODER_MODEL, version)
        self._version = version
        return read_served(self._address, server, metadata, config)

    def infer(self, images: NDArray[np.uint8], outputs: tuple[str, ...], seconds: float) -> dict[str, NDArray[Any]]:
        """See `Transport`."""
        with self._call(seconds) as client:
            tensor = triton.InferInput(IMAGE, list(images.shape), "UINT8")
            tensor.set_data_from_numpy(images, binary_data=True)
            result = client.infer(
                ENCODER_MODEL,
                [tensor],
                model_version=self._version,
                outputs=[triton.InferRequestedOutput(name, binary_data=True) for name in outputs],
            )
            return {name: result.as_numpy(name) for name in outputs}

    def close(self) -> None:
        """Close every thread's connection; none may be in use."""
        with self._lock:
            clients, self._all = self._all, []
        for client in clients:
            client.close()

    @contextmanager
    def _call(self, seconds: float) -> Iterator[Any]:
        """This thread's client, under a deadline, with its errors translated."""
        with http_errors(self._address, seconds), gevent.Timeout(seconds):
            yield self._client(seconds)

    def _client(self, seconds: float) -> Any:
        if not hasattr(self._own, "client"):
            self._own.client = triton.InferenceServerClient(
                self._address.target,
                connection_timeout=seconds,
                network_timeout=seconds,
                ssl=self._address.secure,
                ssl_context_factory=create_default_context if self._address.secure else None,
            )
            with self._lock:
                self._all.append(self._own.client)
        return self._own.client
