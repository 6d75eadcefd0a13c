"""KServe v2 requests as they stand on the wire, right or wrong, and what the server answers."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from typing import Self

import grpc

SECONDS = 60
GRPC_METHOD = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True)
class HttpRequest:
    """One request over HTTP, byte by byte.

    Attributes:
        path: from the first slash on.
        body: what is posted.
        headers: beside those that HTTP itself needs.
    """

    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GrpcRequest:
    """One request over gRPC: the message, which need not be one."""

    message: bytes


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP's number or the name of gRPC's status; "200" or "OK" where the server answered.
        content: the answer, or the words of the error.
    """

    status: str
    content: bytes

    @property
    def answered(self) -> bool:
        """Whether the server took the request."""
        return self.status in ("200", "OK")


class RawClient:
    """Sends what it is given, over one connection for each protocol; use it in a `with`.

    Args:
        http: the server's address, http://HOST:PORT.
        grpc: the server's address, grpc://HOST:PORT.
    """

    def __init__(self, http_address: str, grpc_address: str) -> None:
        self._http = http.client.HTTPConnection(http_address.partition("://")[2], timeout=SECONDS)
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self._channel = grpc.insecure_channel(grpc_address.partition("://")[2], options)
        self._infer = self._channel.unary_unary(GRPC_METHOD)  # bytes in, bytes out

    def send(self, request: HttpRequest | GrpcRequest) -> Answer:
        """Send one request and wait for the answer.

        Raises:
            OSError, http.client.HTTPException: the server broke the connection, or gave no answer in a minute.
        """
        return self._post(request) if isinstance(request, HttpRequest) else self._call(request)

    def _post(self, request: HttpRequest) -> Answer:
        try:
            self._http.request("POST", request.path, request.body, request.headers)
            reply = self._http.getresponse()
            return Answer(str(reply.status), reply.read())
        except BaseException:
            self._http.close()
            raise

    def _call(self, request: GrpcRequest) -> Answer:
        try:
            return Answer("OK", self._infer(request.message, timeout=SECONDS))
        except grpc.RpcError as error:
            return Answer(error.code().name, error.details().encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()
        self._channel.close()
