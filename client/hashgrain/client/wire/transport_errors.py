"""The one place where exceptions of tritonclient, gRPC and HTTP become hashgrain's.

Each transport wraps its calls in its own context manager below; ONNX Runtime's exceptions are translated in
`codes/onnx_model.py`. tests/client/test_transport_errors.py goes through every kind that these libraries raise, and
fails when one is left unmapped.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager

from hashgrain.client.wire.address import Address
from hashgrain.codes.errors import (
    DeadlineExceeded,
    EncoderError,
    HashgrainError,
    InferenceFailed,
    ServerBusy,
    ServerUnavailable,
)

# Triton's words for a request that its queue policy rejects; the status is the one of a server that is not there.
_REJECTED = ("Exceeds maximum queue size", "Request timeout expired")


@contextmanager
def grpc_errors(address: Address, seconds: float) -> Iterator[None]:
    """Translate what tritonclient.grpc raises; `seconds` is the deadline that the calls inside have."""
    import grpc
    from tritonclient.utils import InferenceServerException

    try:
        yield
    except HashgrainError:
        raise
    except InferenceServerException as exc:
        raise _from_grpc_status(address, seconds, exc.status(), exc.message()) from exc
    except grpc.RpcError as exc:  # tritonclient turns these into its own, except where it forgets to
        code = exc.code() if isinstance(exc, grpc.Call | grpc.aio.AioRpcError) else None
        raise _from_grpc_status(address, seconds, str(code), str(exc)) from exc
    except (
        ValueError,
        grpc.FutureCancelledError,
        grpc.FutureTimeoutError,
        grpc.aio.BaseError,
        grpc.aio.InternalError,
        grpc.aio.UsageError,
    ) as exc:
        # ValueError: "Cannot invoke RPC on closed channel!", or a message beyond protobuf's 2 GB
        raise InferenceFailed(f"the request to {address} could not be sent: {exc}") from exc


@contextmanager
def http_errors(address: Address, seconds: float) -> Iterator[None]:
    """Translate what sockets, TLS and http.client raise; see also `http_status_error`."""
    try:
        yield
    except HashgrainError:
        raise
    except TimeoutError as exc:
        raise _late(address, seconds) from exc
    except (OSError, http.client.HTTPException) as exc:  # refused, reset, unknown host, TLS, or not HTTP at all
        raise _nobody(address, str(exc) or type(exc).__name__) from exc
    except (ValueError, LookupError) as exc:
        raise InferenceFailed(
            f"the answer of {address} could not be read ({type(exc).__name__}: {exc}); is it a Triton server?"
        ) from exc


@contextmanager
def aiohttp_errors(address: Address, seconds: float) -> Iterator[None]:
    """`http_errors` and what aiohttp raises beside."""
    import aiohttp

    with http_errors(address, seconds):
        try:
            yield
        except aiohttp.InvalidURL as exc:
            raise InferenceFailed(f"the request to {address} could not be sent: {exc!r}") from exc
        except aiohttp.ClientError as exc:
            if isinstance(exc, TimeoutError):
                raise _late(address, seconds) from exc
            raise _nobody(address, str(exc) or type(exc).__name__) from exc


def http_status_error(address: Address, status: int, body: bytes) -> EncoderError:
    """The error that a status other than 200 stands for; Triton's body is JSON with its words under "error"."""
    try:
        words = str(json.loads(body)["error"])
    except (ValueError, LookupError, TypeError):
        words = f"HTTP status {status}"
    if status in (502, 503):
        return _unavailable(address, words)
    if status in (408, 504):
        return DeadlineExceeded(f"the server at {address} gave up on the request: {words}; send smaller batches")
    return InferenceFailed(f"the server at {address} refused the request: {words}")


def _from_grpc_status(address: Address, seconds: float, status: str | None, message: str | None) -> EncoderError:
    words = message or "no reason given"
    match (status or "").removeprefix("StatusCode."):
        case "UNAVAILABLE":
            return _unavailable(address, words)
        case "DEADLINE_EXCEEDED":
            return _late(address, seconds)
        case "UNIMPLEMENTED":
            return ServerUnavailable(
                f"{address} is no Triton server ({words}); check host and port (gRPC is 8001 by default, HTTP 8000)"
            )
        case _:
            return InferenceFailed(f"the server at {address} refused the request: {words}")


def _unavailable(address: Address, words: str) -> ServerUnavailable:
    if any(rejected in words for rejected in _REJECTED):
        return ServerBusy(
            f"the queue of the server at {address} has no room ({words}); send less at a time, add servers, or raise "
            "max_queue_size and the queue's timeout in the model's config.pbtxt"
        )
    return _nobody(address, words)


def _nobody(address: Address, words: str) -> ServerUnavailable:
    return ServerUnavailable(
        f"no Triton server answers at {address} ({words}); start one with `hashgrain up`, or check host and port "
        "(gRPC is 8001 by default, HTTP 8000)"
    )


def _late(address: Address, seconds: float) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"no answer from {address} within {seconds:.3g} s; check that the server is alive, send smaller batches, or "
        "give a longer Timeouts(request=...)"
    )
