"""Ways to ask image_search, and models like it: HTTP with JSON by the standard library, and tritonclient."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from numpy.typing import NDArray
from tritonclient.utils import np_to_triton_dtype

SECONDS = 30


class RefusedError(Exception):
    """The server's answer is an error; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def by_json(
    http: str,
    inputs: dict[str, NDArray[Any]],
    parameters: dict[str, Any] | None = None,
    outputs: tuple[str, ...] = (),
    model: str = "image_search",
) -> dict[str, NDArray[Any]]:
    """Ask with nothing but urllib and json; BYTES come back as str.

    Raises:
        RefusedError: the server answered with an error.
    """
    body = {
        "inputs": [
            {
                "name": name,
                "datatype": np_to_triton_dtype(array.dtype),
                "shape": list(array.shape),
                "data": array.tolist(),
            }
            for name, array in inputs.items()
        ],
        "parameters": parameters or {},
        **({"outputs": [{"name": name} for name in outputs]} if outputs else {}),
    }
    request = urllib.request.Request(f"{http}/v2/models/{model}/infer", json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as reply:
            answer = json.load(reply)
    except urllib.error.HTTPError as error:
        raise RefusedError(error.code, json.load(error)["error"]) from None
    return {row["name"]: np.array(row["data"], object).reshape(row["shape"]) for row in answer["outputs"]}


def by_client(
    address: str,
    inputs: dict[str, NDArray[Any]],
    parameters: dict[str, Any] | None = None,
    model: str = "image_search",
) -> dict[str, NDArray[Any]]:
    """Ask by tritonclient, over the protocol that the address begins with; tensors travel in binary."""
    scheme, _, target = address.partition("://")
    kind = triton_grpc if scheme == "grpc" else triton_http
    limits = {"client_timeout": SECONDS} if scheme == "grpc" else {"timeout": SECONDS * 1_000_000}
    tensors = []
    for name, array in inputs.items():
        tensor = kind.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        tensors.append(tensor)
    with kind.InferenceServerClient(target) as client:
        answer = client.infer(model, tensors, parameters=parameters or {}, **limits)
    names = ("ids", "distances", "payloads", "candidates", "complete_radius", "exact", "partial")
    found = {name: answer.as_numpy(name) for name in names}
    return {name: array for name, array in found.items() if array is not None}
