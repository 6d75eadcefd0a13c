"""What can be wrong with how a request is written: broken JSON, lengths that lie, messages that are none."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from malformed.changes import ODD_NUMBERS, pick
from malformed.pictures import whole
from malformed.right import Request, Tensor, as_binary, as_json, as_message, json_of, path_of
from malformed.wire import GrpcRequest, HttpRequest

Sent = tuple[str, HttpRequest | GrpcRequest]


def _cut(request: Request, rng: np.random.Generator) -> Sent:
    sent = as_json(request)
    cut = int(rng.integers(0, len(sent.body) - 1))
    return f"JSON cut to {cut} bytes", replace(sent, body=sent.body[:cut])


def _no_json(request: Request, rng: np.random.Generator) -> Sent:
    body = pick((b"{", b"[]", b"1", b"null", b'"x"', b"\0\0\0", b"{}", b"<xml/>", b"\xff\xfe{}", b"[" * 500), rng)
    return f"{body[:9]!r} for JSON", HttpRequest(path_of(request), body)


def _wrong_field(request: Request, rng: np.random.Generator) -> Sent:
    """A field of the request or its tensor is missing, or of another type than it must be."""
    whole_body = json_of(request)
    odd = pick((None, {}, [], "x", 1.5, -1, [[]], [None], True), rng)
    place, name = pick(
        ((whole_body, "inputs"), *((whole_body["inputs"][0], key) for key in ("name", "datatype", "shape", "data"))),
        rng,
    )
    if rng.random() < 0.3:
        del place[name]
        return f"no {name}", HttpRequest(path_of(request), json.dumps(whole_body).encode())
    place[name] = odd
    return f"{name} is {odd}", HttpRequest(path_of(request), json.dumps(whole_body).encode())


def _wrong_element(request: Request, rng: np.random.Generator) -> Sent:
    whole_body = json_of(request)
    odd = pick((None, {}, [1, 2], 1.5, True), rng)
    whole_body["inputs"][0]["data"][0] = odd
    return f"an element is {odd}", HttpRequest(path_of(request), json.dumps(whole_body).encode())


def _wrong_length(request: Request, rng: np.random.Generator) -> Sent:
    length = pick(("0", "-1", "x", "1", "99999999", "9" * 30, "1.5"), rng)
    return f"header length {length}", as_binary(request, length=length)


def _wrong_size(request: Request, rng: np.random.Generator) -> Sent:
    true = len(request.tensors[0].raw)
    size = pick((0, 1, -1, true - 1, true + 1, 2**31, 2**62, "x", None, 1.5), rng)
    return f"binary_data_size {size} for {true}", as_binary(request, sizes=[size])


def _wrong_rest(request: Request, rng: np.random.Generator) -> Sent:
    raw = request.tensors[0].raw
    rest = pick((b"", raw[:-1], raw + b"\0", raw * 2), rng)
    return f"{len(rest)} bytes for {len(raw)}", as_binary(request, rest=rest)


def _prefixes(rng: np.random.Generator) -> tuple[str, bytes]:
    """BYTES whose length prefix lies."""
    content = whole("PNG")
    prefix = pick((0, 1, len(content) - 1, len(content) + 1, 2**31, 2**32 - 1), rng)
    return f"length prefix {prefix} for {len(content)}", struct.pack("<I", prefix) + content


def _prefix_binary(request: Request, rng: np.random.Generator) -> Sent:
    what, raw = _prefixes(rng)
    return what, as_binary(_one_file(request), sizes=[len(raw)], rest=raw)


def _one_file(request: Request) -> Request:
    return replace(request, model="image_search", tensors=(Tensor("image_bytes", "BYTES", (1, 1), [b""]),))


def _no_message(request: Request, rng: np.random.Generator) -> Sent:
    """A message that is cut in the middle of a field, or none at all."""
    whole_message = as_message(request).SerializeToString()
    content = pick((whole_message[: int(rng.integers(1, 40))], rng.bytes(100), b""), rng)
    return f"{len(content)} bytes for a message", GrpcRequest(content)


def _raw_count(request: Request, rng: np.random.Generator) -> Sent:
    sent = as_message(request)
    if rng.random() < 0.5:
        del sent.raw_input_contents[:]
    else:
        sent.inputs.add(name="image_bytes", datatype="BYTES", shape=[1, 1])
    return f"{len(sent.raw_input_contents)} contents for one tensor", GrpcRequest(sent.SerializeToString())


def _wrong_contents(request: Request, rng: np.random.Generator) -> Sent:
    """Contents beside the raw ones, or of another type than the tensor's."""
    sent, name = as_message(request), pick(("fp32_contents", "int64_contents", "bool_contents"), rng)
    getattr(sent.inputs[0].contents, name).extend([1] * 4)
    if rng.random() < 0.5:
        del sent.raw_input_contents[:]
    return f"{name} and {len(sent.raw_input_contents)} raw", GrpcRequest(sent.SerializeToString())


def _prefix_message(request: Request, rng: np.random.Generator) -> Sent:
    what, raw = _prefixes(rng)
    sent = as_message(_one_file(request))
    sent.raw_input_contents[0] = raw
    return what, GrpcRequest(sent.SerializeToString())


def _double(request: Request, rng: np.random.Generator) -> Sent:
    sent, value = as_message(_one_file(request)), pick((math.nan, math.inf, -math.inf), rng)
    name = pick(("k", "deadline", "radius"), rng)
    sent.parameters[name].double_param = value
    sent.raw_input_contents[0] = struct.pack("<I", len(whole("PNG"))) + whole("PNG")
    return f"{name} = {value}", GrpcRequest(sent.SerializeToString())


def _shared_memory(request: Request, rng: np.random.Generator) -> Sent:
    """A region that nobody registered."""
    sent = as_message(request)
    sent.inputs[0].parameters["shared_memory_region"].string_param = "nobody's"
    sent.inputs[0].parameters["shared_memory_byte_size"].int64_param = int(pick(ODD_NUMBERS, rng))
    del sent.raw_input_contents[:]
    return "an unknown region of shared memory", GrpcRequest(sent.SerializeToString())


Encoded = Callable[[Request, np.random.Generator], Sent]

ENCODED: dict[str, tuple[Encoded, ...]] = {
    "json": (_cut, _no_json, _wrong_field, _wrong_element),
    "binary": (_wrong_length, _wrong_size, _wrong_rest, _prefix_binary),
    "grpc": (_no_message, _raw_count, _wrong_contents, _prefix_message, _double, _shared_memory),
}
