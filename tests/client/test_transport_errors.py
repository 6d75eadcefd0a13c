"""No exception of the libraries below reaches a caller."""

from __future__ import annotations

import http.client
import inspect
import json
import socket
import ssl
from contextlib import AbstractContextManager

import grpc
import pytest
from tritonclient.utils import InferenceServerException

from hashgrain.client.wire.address import Address
from hashgrain.client.wire.transport_errors import (
    grpc_errors,
    http_errors,
    http_status_error,
)
from hashgrain.codes.errors import (
    ContractViolation,
    DeadlineExceeded,
    EncoderError,
    InferenceFailed,
    ServerBusy,
    ServerUnavailable,
)

GRPC, HTTP = Address("grpc", "host:8001"), Address("http", "host:8000")

GRPC_KINDS = {
    "UNAVAILABLE": ServerUnavailable,
    "UNIMPLEMENTED": ServerUnavailable,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
}
HTTP_KINDS = {408: DeadlineExceeded, 504: DeadlineExceeded, 502: ServerUnavailable, 503: ServerUnavailable}
HTTP_EXCEPTIONS = [
    kind for _, kind in inspect.getmembers(http.client, inspect.isclass) if issubclass(kind, http.client.HTTPException)
]


def translate(context: AbstractContextManager[None], error: BaseException) -> EncoderError:
    """What becomes of an error."""
    with pytest.raises(EncoderError) as caught, context:
        raise error
    assert caught.value.__cause__ is error
    return caught.value


@pytest.mark.parametrize("status", grpc.StatusCode)
def test_every_grpc_status(status: grpc.StatusCode) -> None:
    error = translate(grpc_errors(GRPC, 2), InferenceServerException("the words", str(status)))
    assert type(error) is GRPC_KINDS.get(status.name, InferenceFailed)
    assert "grpc://host:8001" in str(error)
    assert "the words" in str(error) or isinstance(error, DeadlineExceeded)


@pytest.mark.parametrize(
    "error",
    [
        InferenceServerException("without a status"),
        InferenceServerException(None),
        grpc.RpcError("bare"),
        grpc.FutureCancelledError(),
        grpc.FutureTimeoutError(),
        ValueError("Cannot invoke RPC on closed channel!"),
    ],
    ids=repr,
)
def test_what_else_grpc_raises(error: Exception) -> None:
    assert type(translate(grpc_errors(GRPC, 2), error)) is InferenceFailed


@pytest.mark.parametrize("status", [400, 404, 408, 413, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [b'{"error":"the words"}', b"", b"<html>", b"[]", b'"text"'])
def test_every_http_status(status: int, body: bytes) -> None:
    error = http_status_error(HTTP, status, body)
    assert type(error) is HTTP_KINDS.get(status, InferenceFailed)
    assert "http://host:8000" in str(error)
    assert ("the words" if b"words" in body else f"HTTP status {status}") in str(error)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(111, "Connection refused"),
        ConnectionResetError(104, "Connection reset by peer"),
        ConnectionAbortedError(),
        BrokenPipeError(),
        OSError(113, "No route to host"),
        socket.gaierror(-2, "Name or service not known"),
        ssl.SSLError(1, "wrong version number"),
        *(kind("cut") for kind in HTTP_EXCEPTIONS),
    ],
    ids=repr,
)
def test_a_connection_that_fails_is_a_server_that_is_not_there(error: Exception) -> None:
    assert type(translate(http_errors(HTTP, 2), error)) is ServerUnavailable


def test_http_deadlines() -> None:
    assert "within 2 s" in str(translate(http_errors(HTTP, 2), TimeoutError("timed out")))


@pytest.mark.parametrize("error", [json.JSONDecodeError("not JSON", "", 0), ValueError("odd"), KeyError("outputs")])
def test_an_answer_that_is_not_tritons(error: Exception) -> None:
    assert "is it a Triton server?" in str(translate(http_errors(HTTP, 2), error))


def test_the_list_above_is_not_empty() -> None:
    assert len(HTTP_EXCEPTIONS) >= 10


@pytest.mark.parametrize("context", [grpc_errors(GRPC, 1), http_errors(HTTP, 1)], ids=["grpc", "http"])
def test_errors_of_our_own_pass_through(context: AbstractContextManager[None]) -> None:
    with pytest.raises(ContractViolation), context:
        raise ContractViolation("ours")


@pytest.mark.parametrize("context", [grpc_errors(GRPC, 1), http_errors(HTTP, 1)], ids=["grpc", "http"])
def test_a_fault_in_our_code_is_not_dressed_up_as_the_servers(context: AbstractContextManager[None]) -> None:
    with pytest.raises(TypeError), context:
        raise TypeError("a bug")


@pytest.mark.parametrize("words", ["Exceeds maximum queue size", "Request timeout expired"])
def test_what_tritons_queue_rejects_is_busy_and_not_away(words: str) -> None:
    by_grpc = translate(grpc_errors(GRPC, 2), InferenceServerException(f"[rid] {words}", "StatusCode.UNAVAILABLE"))
    by_http = http_status_error(HTTP, 503, json.dumps({"error": words}).encode())
    for error in (by_grpc, by_http):
        assert type(error) is ServerBusy
        assert "the queue of the server at" in str(error)
        assert "max_queue_size" in str(error)
