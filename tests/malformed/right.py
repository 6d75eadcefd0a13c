"""Requests to every model that are right, and how they are written in the three encodings."""

from __future__ import annotations

import base64
import json
import math
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tritonclient.grpc import service_pb2

from malformed.pictures import whole
from malformed.wire import GrpcRequest, HttpRequest
from tiny_model import SIZE

MODELS = ("hash_encoder", "image_search", "pixel_search")
FORMS = ("pixels", "files", "codes")
ENCODINGS = ("json", "binary", "grpc")


@dataclass(frozen=True)
class Tensor:
    """One input: `elements` are integers or, of BYTES, image files."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    elements: list[Any]

    @property
    def raw(self) -> bytes:
        """As it travels in binary."""
        if self.elements and isinstance(self.elements[0], bytes):
            return b"".join(struct.pack("<I", len(element)) + element for element in self.elements)
        return bytes(self.elements)


@dataclass(frozen=True)
class Request:
    """What is asked, before it is written in one of the encodings."""

    model: str
    tensors: tuple[Tensor, ...]
    index: str | None = None
    version: str = ""
    outputs: tuple[str, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)


def right(model: str, index: str, rng: np.random.Generator, form: str) -> Request:
    """What a model takes: one to three pictures as pixels, or of image_search as files, or their codes.

    Of a model that searches, the five nearest in an index are asked for.
    """
    batch = 1 if model == "pixel_search" else int(rng.integers(1, 4))
    if model == "image_search" and form == "files":
        tensors = [Tensor("image_bytes", "BYTES", (batch, 1), [whole("PNG")] * batch)]
    elif model == "image_search" and form == "codes":
        tensors = [_random(name, (batch, width), rng) for name, width in (("fine_code", 8), ("coarse_code", 2))]
    else:
        tensors = [_random("image", (batch, SIZE, SIZE, 3), rng)]
    parameters = {} if model == "hash_encoder" else {"k": 5, "index": index}
    outputs = ("ids",) if model == "pixel_search" else ()  # of several, Triton gives an ensemble's in any order
    return Request(model, tuple(tensors), outputs=outputs, parameters=parameters)


def _random(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    return Tensor(name, "UINT8", shape, rng.integers(0, 256, math.prod(shape)).tolist())


def written(request: Request, encoding: str) -> HttpRequest | GrpcRequest:
    if encoding == "grpc":
        return GrpcRequest(as_message(request).SerializeToString())
    return as_json(request) if encoding == "json" else as_binary(request)


def path_of(request: Request) -> str:
    version = f"/versions/{request.version}" if request.version else ""
    return f"/v2/models/{request.model}{version}/infer"


def _head(request: Request) -> dict[str, Any]:
    """The JSON of a request without its tensors' data."""
    inputs = [{"name": t.name, "datatype": t.datatype, "shape": list(t.shape)} for t in request.tensors]
    outputs = {"outputs": [{"name": name} for name in request.outputs]} if request.outputs else {}
    return {"inputs": inputs, "parameters": dict(request.parameters), **outputs}


def json_of(request: Request) -> dict[str, Any]:
    head = _head(request)
    for row, tensor in zip(head["inputs"], request.tensors, strict=True):
        row["data"] = [_text(element) for element in tensor.elements]
    return head


def _text(element: Any) -> Any:
    return "data:;base64," + base64.b64encode(element).decode() if isinstance(element, bytes) else element


def as_json(request: Request) -> HttpRequest:
    return HttpRequest(path_of(request), json.dumps(json_of(request)).encode())


def as_binary(
    request: Request, sizes: list[Any] | None = None, rest: bytes | None = None, length: str = ""
) -> HttpRequest:
    """With the tensors behind the JSON; sizes, what lies behind, and the JSON's length can be falsified."""
    head, raws = _head(request), [tensor.raw for tensor in request.tensors]
    for row, size in zip(head["inputs"], sizes or [len(raw) for raw in raws], strict=False):
        row["parameters"] = {"binary_data_size": size}
    text = json.dumps(head).encode()
    headers = {"Inference-Header-Content-Length": length or str(len(text))}
    return HttpRequest(path_of(request), text + (b"".join(raws) if rest is None else rest), headers)


def as_message(request: Request) -> Any:
    sent = service_pb2.ModelInferRequest(model_name=request.model, model_version=request.version)
    for tensor in request.tensors:
        sent.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        sent.raw_input_contents.append(tensor.raw)
    for name in request.outputs:
        sent.outputs.add(name=name)
    for name, value in request.parameters.items():
        kind = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}[type(value)]
        setattr(sent.parameters[name], kind, value)
    return sent
