"""Triton over HTTP: the KServe v2 protocol with its binary tensor extension.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol/binary-tensor-data-extension
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.client.address import Address
from hashgrain.client.http_connection import HttpConnections, Reply
from hashgrain.client.transport import Served
from hashgrain.client.transport_errors import http_errors, http_status_error
from hashgrain.client.triton_model import chosen_version, queue_microseconds, read_served, require_ready
from hashgrain.codes.contract import ENCODER_MODEL, ONLINE, input_tensor

_HEADER_LENGTH = "Inference-Header-Content-Length"
_DTYPES = {"UINT8": np.uint8, "FP32": np.float32}


class HttpTransport:
    """A `Transport` over HTTP; see there."""

    in_flight = 4

    def __init__(self, address: Address) -> None:
        self._address = address
        self._model = f"v2/models/{ENCODER_MODEL}"
        self._connections = HttpConnections(address)

    def connect(self, seconds: float) -> Served:
        """See `Transport`."""
        with http_errors(self._address, seconds):
            ready = self._get("v2/health/ready", seconds).status == 200
            model = ready and self._get(f"{self._model}/ready", seconds).status == 200
            require_ready(self._address, server=ready, model=model)
            server = self._ask("v2", seconds)
            version = chosen_version(self._address, self._ask(self._model, seconds))
            if version:
                self._model += f"/versions/{version}"
            metadata = self._ask(self._model, seconds)
            config = self._ask(f"{self._model}/config", seconds)
            return read_served(self._address, server, metadata, config, version)

    def infer(
        self, batch: NDArray[Any], outputs: tuple[str, ...], seconds: float, priority: int = ONLINE
    ) -> dict[str, NDArray[Any]]:
        """See `Transport`."""
        header = _request_header(batch, outputs, seconds, priority)
        with http_errors(self._address, seconds):
            reply = self._connections.exchange(
                "POST",
                f"{self._model}/infer",
                seconds,
                body=(header, batch.data.cast("B")),
                headers={"Content-Type": "application/octet-stream", _HEADER_LENGTH: str(len(header))},
            )
            self._require_ok(reply)
            return _read_tensors(reply, outputs)

    def close(self) -> None:
        """See `Transport`; no request may be under way."""
        self._connections.close()

    def _get(self, path: str, seconds: float) -> Reply:
        return self._connections.exchange("GET", path, seconds)

    def _ask(self, path: str, seconds: float) -> dict[str, Any]:
        reply = self._get(path, seconds)
        self._require_ok(reply)
        answer: dict[str, Any] = json.loads(reply.body)
        return answer

    def _require_ok(self, reply: Reply) -> None:
        if reply.status != 200:
            raise http_status_error(self._address, reply.status, reply.body)


def _request_header(batch: NDArray[Any], outputs: tuple[str, ...], seconds: float, priority: int) -> bytes:
    """The JSON in front of the tensor."""
    name, datatype = input_tensor(batch)
    tensor = {
        "name": name,
        "shape": batch.shape,
        "datatype": datatype,
        "parameters": {"binary_data_size": batch.nbytes},
    }
    wanted = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
    queue = {"priority": priority, "timeout": queue_microseconds(seconds)}
    return json.dumps({"inputs": [tensor], "outputs": wanted, "parameters": queue}).encode()


def _read_tensors(reply: Reply, outputs: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """The tensors that stand one after the other behind the reply's JSON.

    Raises:
        ValueError, LookupError: the reply contradicts itself.
    """
    offset = int(reply.headers.get(_HEADER_LENGTH, len(reply.body)))
    tensors: dict[str, NDArray[Any]] = {}
    for tensor in json.loads(reply.body[:offset])["outputs"]:
        size = tensor["parameters"]["binary_data_size"]
        dtype = np.dtype(_DTYPES[tensor["datatype"]])
        flat = np.frombuffer(reply.body, dtype, size // dtype.itemsize, offset)
        tensors[tensor["name"]] = flat.reshape(tensor["shape"])
        offset += size
    return {name: tensors[name] for name in outputs}
