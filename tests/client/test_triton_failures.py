"""What an encoder says when Triton is not there, stalls, dies, or serves something else."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded_servers import EmbeddedServers
from hashgrain.client import HashEncoder, Timeouts
from hashgrain.client.wire import grpc, http
from hashgrain.client.wire.address import parse_address
from hashgrain.client.wire.transport import open_transport
from hashgrain.client.wire.triton_model import chosen_version, read_served, require_ready
from hashgrain.codes import EncoderContract
from hashgrain.codes.errors import ContractViolation, DeadlineExceeded, InferenceFailed, ServerUnavailable
from hashgrain.runtime import servers
from hashgrain.runtime.state import TritonRecord
from pictures import arrays
from process_state import suspend
from tiny_model import write_tiny_repository

GRPC_AND_HTTP = pytest.mark.parametrize("scheme", ["grpc", "http"])


@pytest.fixture
def own_triton(tmp_path: Path) -> Iterator[TritonRecord]:
    """A Triton that a test may kill."""
    repository, home = tmp_path / "models", tmp_path / "home"
    write_tiny_repository(repository)
    try:
        running = servers.start(servers.StartSettings(home=home, model_repository=repository))
        assert running.triton is not None, running.no_triton
        yield running.triton
    finally:
        servers.stop(home)


class Wiretap:
    """Passes connections on to a local port and counts the bytes that come back."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.received = 0

    def __enter__(self) -> Wiretap:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                for source, sink, counts in ((near, far, False), (far, near, True)):
                    threading.Thread(target=self._pass_on, args=(source, sink, counts), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if counts:
                    self.received += len(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        source.close()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@GRPC_AND_HTTP
def test_nobody_there(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(
        ServerUnavailable, match=rf"no Triton server answers at {scheme}://127.0.0.1:{port} .*hashgrain up"
    ):
        HashEncoder(f"{scheme}://127.0.0.1:{port}")


@GRPC_AND_HTTP
def test_an_unknown_host(scheme: str) -> None:
    with pytest.raises(ServerUnavailable, match="nowhere.invalid"):
        HashEncoder(f"{scheme}://nowhere.invalid:8001")


@GRPC_AND_HTTP
def test_a_server_that_never_answers(scheme: str, silent_port: int) -> None:
    with pytest.raises(DeadlineExceeded, match=r"no answer from .* within 0\.3 s"):
        HashEncoder(f"{scheme}://127.0.0.1:{silent_port}", timeouts=Timeouts(connect=0.3))


def test_the_ports_mixed_up(triton: EmbeddedServers) -> None:
    for swapped in (triton.http.replace("http", "grpc"), triton.grpc.replace("grpc", "http")):
        with pytest.raises(ServerUnavailable, match="gRPC is 8001 by default, HTTP 8000"):
            HashEncoder(swapped)


@GRPC_AND_HTTP
def test_a_server_without_the_model(triton: EmbeddedServers, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr({"grpc": grpc, "http": http}[scheme], "ENCODER_MODEL", "another_model")
    with pytest.raises(ServerUnavailable, match="is up but its model hash_encoder is not ready"):
        HashEncoder(getattr(triton, scheme))


def test_a_server_that_still_loads() -> None:
    with pytest.raises(ServerUnavailable, match="answers but is not ready; wait"):
        require_ready(parse_address("grpc://host:8001"), server=False, model=False)


@GRPC_AND_HTTP
def test_a_shape_that_the_model_does_not_take(triton: EmbeddedServers, scheme: str) -> None:
    transport = open_transport(parse_address(getattr(triton, scheme)))
    transport.connect(5)
    try:
        with pytest.raises(InferenceFailed, match=r"refused the request: .*\[1,16,16,3\]"):
            transport.infer(arrays(1, height=16, width=16), ("fine_code",), 5)
        with pytest.raises(InferenceFailed, match="no_such_tensor"):
            transport.infer(arrays(1), ("no_such_tensor",), 5)
    finally:
        transport.close()


@GRPC_AND_HTTP
def test_a_reply_carries_only_the_tensors_asked_for(triton: EmbeddedServers, scheme: str) -> None:
    images = arrays(128)
    with (
        Wiretap(int(getattr(triton, scheme).rpartition(":")[2])) as wire,
        HashEncoder(f"{scheme}://127.0.0.1:{wire.port}") as encoder,
    ):
        encoder.encode(images[:1])
        before = wire.received
        encoder.encode(images)
        codes_only = wire.received - before
        encoder.encode(images, logits=True)
        with_logits = wire.received - before - codes_only
    assert 128 * (2 + 8) < codes_only < 128 * (2 + 8) + 1500
    assert with_logits - codes_only > 128 * (16 + 64) * 4


def test_a_server_that_stalls_and_then_dies_midway(own_triton: TritonRecord) -> None:
    timeouts = Timeouts(request=3)
    images = arrays(300)
    with (
        HashEncoder(own_triton.address, timeouts=timeouts) as rpc,
        HashEncoder(own_triton.http, timeouts=timeouts) as web,
    ):
        expected = rpc.encode(images)
        suspend(own_triton.process.pid)
        for encoder in (rpc, web):
            with pytest.raises(DeadlineExceeded, match="within"):
                encoder.encode(images)
        os.kill(own_triton.process.pid, signal.SIGCONT)
        with HashEncoder(own_triton.address) as patient:  # gRPC in the server has yet to notice how late it is
            patient.encode(images)
        for encoder in (rpc, web):  # a missed deadline leaves the encoder of use
            assert (encoder.encode(images).fine == expected.fine).all()
        os.killpg(own_triton.process.pid, signal.SIGKILL)
        for encoder in (rpc, web):
            with pytest.raises(ServerUnavailable, match="no Triton server answers"):
                encoder.encode(images)


def triton_replies(contract: EncoderContract) -> tuple[dict, dict, dict]:  # type: ignore[type-arg]
    """What Triton says over gRPC of a model with that contract, 64-bit integers as strings."""
    tensors = [
        {"name": n, "datatype": d, "shape": [str(s) for s in shape]} for n, (d, shape) in contract.tensors().items()
    ]
    metadata = {"name": "hash_encoder", "versions": ["2", "10"], "inputs": tensors[:1], "outputs": tensors[1:]}
    parameters = {key: {"string_value": value} for key, value in contract.to_metadata().items()}
    return {"name": "triton", "version": "2.51.0"}, metadata, {"max_batch_size": 64, "parameters": parameters}


def test_replies_are_read(triton: EmbeddedServers) -> None:
    served = read_served(parse_address("host:8001"), *triton_replies(triton.contract), "10")
    assert served.contract == triton.contract
    assert (served.max_batch_size, served.server_name, served.model_version) == (64, "triton", "10")


def test_a_served_model_that_is_no_hash_encoder(triton: EmbeddedServers) -> None:
    server, metadata, config = triton_replies(triton.contract)
    with pytest.raises(ContractViolation, match="grpc://host:8001 carries no hashgrain.contract"):
        read_served(parse_address("host:8001"), server, metadata, {}, "10")
    metadata["outputs"].pop()
    with pytest.raises(ContractViolation, match="has no tensor fine_logits"):
        read_served(parse_address("host:8001"), server, metadata, config, "10")


def test_versions_are_numbers() -> None:
    address = parse_address("host:8001")
    assert chosen_version(address, {"versions": ["2", "10", "9"]}) == "10"
    assert chosen_version(address, {}) == ""
