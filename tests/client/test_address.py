"""What a user may type for an address."""

from pathlib import Path

import pytest

from hashgrain.client.address import Address, parse_address
from hashgrain.codes.errors import InvalidInput


@pytest.mark.parametrize(
    ("typed", "kind", "target", "secure"),
    [
        ("grpc://host:8001", "grpc", "host:8001", False),
        ("GRPC://host:8001/", "grpc", "host:8001", False),
        ("host:8001", "grpc", "host:8001", False),
        ("127.0.0.1:8001", "grpc", "127.0.0.1:8001", False),
        ("[::1]:8001", "grpc", "[::1]:8001", False),
        ("grpcs://host:443", "grpc", "host:443", True),
        ("http://host:8000", "http", "host:8000", False),
        ("http://host:8000/triton/", "http", "host:8000/triton", False),
        ("https://host", "http", "host", True),
    ],
)
def test_servers(typed: str, kind: str, target: str, secure: bool) -> None:
    assert parse_address(typed) == Address(kind, target, secure)  # type: ignore[arg-type]


def test_a_path_means_in_process(tmp_path: Path) -> None:
    assert parse_address(str(tmp_path)) == parse_address(tmp_path) == Address("in_process", str(tmp_path))


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "an encoder's address is"),
        (8001, "an encoder's address is"),
        ("localhost", "neither an address nor a path that exists"),
        ("grpc://localhost", "8001"),
        ("grpc://localhost:port", "8001"),
        ("http://", "8000"),
        ("redis://localhost:6379", "unknown scheme redis://"),
        (Path("/no/such/model"), "neither an address nor a path that exists"),
    ],
)
def test_anything_else_is_refused_with_the_forms_that_there_are(typed: object, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        parse_address(typed)  # type: ignore[arg-type]


@pytest.mark.parametrize("typed", ["grpc://host:8001", "grpcs://host:443", "http://host:8000", "https://host"])
def test_an_address_prints_as_it_was_typed(typed: str) -> None:
    assert str(parse_address(typed)) == typed
