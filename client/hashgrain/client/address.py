"""Where an encoder runs: `parse_address` reads what a user types."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hashgrain.codes.errors import InvalidInput

FORMS = "grpc://host:8001, host:8001, http://host:8000, or the path of a model repository or an ONNX file"

_HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s/:\[\]]+):\d{1,5}")


@dataclass(frozen=True)
class Address:
    """A parsed address.

    Attributes:
        kind: which transport it needs.
        target: host:port (HTTP: with an optional base path), or a path.
        secure: over TLS.
    """

    kind: Literal["grpc", "http", "in_process"]
    target: str
    secure: bool = False

    def __str__(self) -> str:
        if self.kind == "in_process":
            return self.target
        return f"{self.kind}{'s' if self.secure else ''}://{self.target}"


def parse_address(address: str | os.PathLike[str]) -> Address:
    """Read an address as `HashEncoder` documents it.

    Raises:
        InvalidInput: it has none of the known forms, or a path does not exist.
    """
    if isinstance(address, os.PathLike):
        return _path(Path(address))
    if not isinstance(address, str) or not address:
        raise InvalidInput(f"an encoder's address is {FORMS}; got {address!r}")
    scheme, separator, rest = address.partition("://")
    if separator:
        return _url(scheme.lower(), rest.rstrip("/"), address)
    if _HOST_AND_PORT.fullmatch(address):
        return Address("grpc", address)
    return _path(Path(address))


def _url(scheme: str, rest: str, address: str) -> Address:
    if scheme in ("grpc", "grpcs"):
        if not _HOST_AND_PORT.fullmatch(rest):
            raise InvalidInput(f"{address} names no host and port; Triton's gRPC port is 8001: grpc://host:8001")
        return Address("grpc", rest, secure=scheme == "grpcs")
    if scheme in ("http", "https"):
        if not rest or rest.startswith("/"):
            raise InvalidInput(f"{address} names no host; Triton's HTTP port is 8000: http://host:8000")
        return Address("http", rest, secure=scheme == "https")
    raise InvalidInput(f"{address} has the unknown scheme {scheme}://; give {FORMS}")


def _path(path: Path) -> Address:
    path = path.expanduser()
    if not path.exists():
        raise InvalidInput(f"{path} is neither an address nor a path that exists; give {FORMS}")
    return Address("in_process", str(path))
