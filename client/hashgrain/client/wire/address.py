"""Where an encoder runs: `parse_address` reads what a user types."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from hashgrain.codes.errors import InvalidInput

FORMS = (
    "grpc://host:8001, host:8001, http://host:8000, or the path of a model repository or an ONNX file; "
    "?version=2 behind a server's address pins a version of the model"
)

_HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s/:\[\]]+):\d{1,5}")


@dataclass(frozen=True)
class Address:
    """A parsed address.

    Attributes:
        kind: which transport it needs.
        target: host:port (HTTP: with an optional base path), or a path.
        secure: over TLS.
        version: number of the model's version that is asked for; "" for the newest.
    """

    kind: Literal["grpc", "http", "in_process"]
    target: str
    secure: bool = False
    version: str = ""

    def __str__(self) -> str:
        if self.kind == "in_process":
            return self.target
        version = f"?version={self.version}" if self.version else ""
        return f"{self.kind}{'s' if self.secure else ''}://{self.target}{version}"


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
        place, mark, query = rest.partition("?")
        return replace(
            _url(scheme.lower(), place.rstrip("/"), address), version=_version(query, address) if mark else ""
        )
    if _HOST_AND_PORT.fullmatch(address):
        return Address("grpc", address)
    return _path(Path(address))


def with_version(address: Address, version: int | None) -> Address:
    """The address, pinned to a version of the model where one is given.

    Raises:
        InvalidInput: it is no whole number of at least 1, or the address names another.
    """
    if version is None:
        return address
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise InvalidInput(f"version must be a whole number of at least 1, got {version!r}")
    if address.version not in ("", str(version)):
        raise InvalidInput(f"version is {version}, the address {address} says {address.version}; give one of them")
    return replace(address, version=str(version))


def _version(query: str, address: str) -> str:
    match = re.fullmatch(r"version=([1-9]\d*)", query)
    if match is None:
        raise InvalidInput(f"{address} ends in ?{query}; all that may stand there is ?version=NUMBER")
    return match[1]


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
