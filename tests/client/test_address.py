"""What a user may type for an address."""

from pathlib import Path

import pytest

from hashgrain.client.wire.address import Address, parse_address, with_version
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


@pytest.mark.parametrize(
    "typed", ["grpc://host:8001", "grpcs://host:443", "http://host:8000", "https://host", "grpc://host:8001?version=12"]
)
def test_an_address_prints_as_it_was_typed(typed: str) -> None:
    assert str(parse_address(typed)) == typed


@pytest.mark.parametrize("typed", ["grpc://host:8001?version=2", "http://host:8000/triton/?version=2"])
def test_a_version_is_pinned_by_the_address_or_beside_it(typed: str) -> None:
    pinned = parse_address(typed)
    assert pinned.version == "2"
    assert with_version(parse_address(typed.partition("?")[0]), 2) == pinned == with_version(pinned, 2)
    assert with_version(pinned, None) is pinned


@pytest.mark.parametrize("query", ["?", "?version=", "?version=0", "?version=new", "?v=1", "?version=1&k=2"])
def test_nothing_else_stands_behind_an_address(query: str) -> None:
    with pytest.raises(InvalidInput, match=r"all that may stand there is \?version=NUMBER"):
        parse_address(f"grpc://host:8001{query}")


@pytest.mark.parametrize(
    ("version", "says"), [(3, "version is 3, the address .* says 2"), (0, "at least 1"), (True, "at least 1")]
)
def test_a_version_that_makes_no_sense_is_refused(version: int, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        with_version(parse_address("grpc://host:8001?version=2"), version)
