"""Triton over HTTP: the KServe v2 protocol with its binary tensor extension.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol/binary-tensor-data-extension
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.client.wire.address import Address
from hashgrain.client.wire.conversation import hold
from hashgrain.client.wire.http_connection import HttpConnections, Reply
from hashgrain.client.wire.in_flight import ModelStatistics
from hashgrain.client.wire.transport import Served
from hashgrain.client.wire.transport_errors import http_errors, http_status_error
from hashgrain.client.wire.triton_model import (
    chosen_version,
    queue_microseconds,
    read_served,
    read_statistics,
    require_ready,
)
from hashgrain.codes.contract import ENCODER_MODEL, ONLINE, input_tensor

_HEADER_LENGTH = "Inference-Header-Content-Length"
_DTYPES = {"UINT8": np.uint8, "FP32": np.float32}


class HttpTransport:
    """A `Transport` over HTTP; see there."""

    first_in_flight, most_in_flight = 4, 16

    def __init__(self, address: Address) -> None:
        self._address = address
        self._model = ""
        self._connections = HttpConnections(address)

    def connect(self, seconds: float) -> Served:
        """See `Transport`."""
        with http_errors(self._address, seconds):
            served = hold(introduction(self._address), lambda path: self._connections.exchange("GET", path, seconds))
        self._model = model_path(served.model_version)
        return served

    def infer(
        self, batch: NDArray[Any], outputs: tuple[str, ...], seconds: float, priority: int = ONLINE
    ) -> dict[str, NDArray[Any]]:
        """See `Transport`."""
        header, headers = request_header(batch, outputs, seconds, priority)
        with http_errors(self._address, seconds):
            body = (header, batch.data.cast("B"))
            reply = self._connections.exchange("POST", f"{self._model}/infer", seconds, body=body, headers=headers)
            return read_tensors(self._address, reply, outputs)

    def statistics(self, seconds: float) -> ModelStatistics:
        """See `Transport`."""
        with http_errors(self._address, seconds):
            reply = self._connections.exchange("GET", f"{self._model}/stats", seconds)
            return read_statistics(read_json(self._address, reply))

    def close(self) -> None:
        """See `Transport`; no request may be under way."""
        self._connections.close()


def model_path(version: str) -> str:
    """Below the server's address."""
    return f"v2/models/{ENCODER_MODEL}" + (f"/versions/{version}" if version else "")


def introduction(address: Address) -> Generator[str, Reply, Served]:
    """What is asked on connecting: paths to GET, and their replies."""
    ready = (yield "v2/health/ready").status == 200
    require_ready(address, server=ready, model=ready and (yield f"{model_path('')}/ready").status == 200)
    server = read_json(address, (yield "v2"))
    version = chosen_version(address, read_json(address, (yield model_path(""))))
    metadata = read_json(address, (yield model_path(version)))
    config = read_json(address, (yield f"{model_path(version)}/config"))
    return read_served(address, server, metadata, config, version)


def read_json(address: Address, reply: Reply) -> dict[str, Any]:
    """An answer in JSON.

    Raises:
        EncoderError: its status is not 200.
        ValueError: it is no JSON.
    """
    if reply.status != 200:
        raise http_status_error(address, reply.status, reply.body)
    answer: dict[str, Any] = json.loads(reply.body)
    return answer


def request_header(
    batch: NDArray[Any], outputs: tuple[str, ...], seconds: float, priority: int
) -> tuple[bytes, dict[str, str]]:
    """The JSON in front of the tensor, and HTTP's headers."""
    name, datatype = input_tensor(batch)
    tensor = {
        "name": name,
        "shape": batch.shape,
        "datatype": datatype,
        "parameters": {"binary_data_size": batch.nbytes},
    }
    wanted = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
    queue = {"priority": priority, "timeout": queue_microseconds(seconds)}
    header = json.dumps({"inputs": [tensor], "outputs": wanted, "parameters": queue}).encode()
    return header, {"Content-Type": "application/octet-stream", _HEADER_LENGTH: str(len(header))}


def read_tensors(address: Address, reply: Reply, outputs: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """The tensors that stand one after the other behind the reply's JSON, of those wanted.

    Raises:
        EncoderError: its status is not 200.
        ValueError, LookupError: the reply contradicts itself.
    """
    if reply.status != 200:
        raise http_status_error(address, reply.status, reply.body)
    offset = int(reply.headers.get(_HEADER_LENGTH, len(reply.body)))
    tensors: dict[str, NDArray[Any]] = {}
    for tensor in json.loads(reply.body[:offset])["outputs"]:
        size = tensor["parameters"]["binary_data_size"]
        dtype = np.dtype(_DTYPES[tensor["datatype"]])
        flat = np.frombuffer(reply.body, dtype, size // dtype.itemsize, offset)
        tensors[tensor["name"]] = flat.reshape(tensor["shape"])
        offset += size
    return {name: tensors[name] for name in outputs if name in tensors}
