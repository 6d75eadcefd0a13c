"""Real servers started, found again, killed, started anew and stopped."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from embedded_servers import EmbeddedServers
from hashgrain.codes.errors import EmbeddedServerError, InvalidInput
from hashgrain.runtime import state
from hashgrain.runtime.home import Home
from hashgrain.runtime.ports import HOST, Ports, is_free
from hashgrain.runtime.processes import alive, ended
from hashgrain.runtime.servers import StartSettings, running, start, stop
from hashgrain.runtime.state import RedisRecord
from process_state import suspend
from tiny_model import write_tiny_repository

PROBE = """
import os
import numpy
import triton_python_backend_utils as pb_utils
import hashgrain.codes.images
import hashgrain.indexer
import redis

class TritonPythonModel:
    def execute(self, requests):
        words = [numpy.__version__, os.environ["HASHGRAIN_REDIS"], os.environ["HASHGRAIN_INDEX"]]
        answer = pb_utils.Tensor("words", numpy.array(words, dtype=object))
        return [pb_utils.InferenceResponse([answer]) for _ in requests]
"""

PROBE_CONFIG = """
name: "probe"
backend: "python"
max_batch_size: 0
input [ { name: "nothing" data_type: TYPE_UINT8 dims: [ 1 ] } ]
output [ { name: "words" data_type: TYPE_STRING dims: [ 3 ] } ]
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A state folder with a blank in its path, whose servers are ended with the test."""
    folder = tmp_path / "state folder"
    yield folder
    stop(folder)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A model repository of the test's own, with a blank in its path."""
    write_tiny_repository(tmp_path / "model folder")
    return tmp_path / "model folder"


def kill(record: RedisRecord) -> None:
    os.kill(record.process.pid, signal.SIGKILL)
    assert ended(record.process, 10)


def test_a_second_start_finds_the_servers(triton: EmbeddedServers) -> None:
    again = start(StartSettings(home=triton.home, model_repository=triton.repository))
    assert again.started == ()
    assert (again.triton_address, again.redis_address) == (triton.grpc, triton.redis)
    assert running(triton.home) == again


def test_running_servers_are_not_moved_by_the_way(triton: EmbeddedServers, tmp_path: Path) -> None:
    port = int(triton.redis.split(":")[2].removesuffix("/0"))
    with pytest.raises(
        EmbeddedServerError, match=f"--redis-port {port}, asked for is 7000; run `hashgrain down` first"
    ):
        start(StartSettings(triton.home, ports=Ports(redis=7000)))
    with pytest.raises(EmbeddedServerError, match=r"--model-repository .*models, asked for is "):
        start(StartSettings(triton.home, tmp_path))


def test_data_and_ports_survive_and_a_dead_server_alone_is_started_again(home: Path, repository: Path) -> None:
    said: list[str] = []
    first = start(StartSettings(home, repository))
    assert first.started == ("redis", "triton")
    assert first.triton is not None
    redis.Redis.from_url(first.redis_address).set("key", "kept")

    kill(first.redis)
    assert running(home) is None
    second = start(StartSettings(home), said.append)
    assert said[0].startswith("redis has died since it was started; its log ended with\n")
    assert "Ready to accept connections" in said[0]
    assert second.started == ("redis",)
    assert second.triton == first.triton
    assert second.redis.port == first.redis.port

    assert stop(home) == ("triton", "redis")
    assert not alive(first.triton.process)
    assert not alive(second.redis.process)
    assert stop(home) == ()

    third = start(StartSettings(home, repository))
    assert (third.triton_address, third.redis_address) == (first.triton_address, first.redis_address)
    assert redis.Redis.from_url(third.redis_address, decode_responses=True).get("key") == "kept"


def test_a_server_that_is_about_to_end_is_started_again(
    home: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed, but still found: signals take their time on a busy machine."""
    monkeypatch.setattr("hashgrain.runtime.servers.why_no_triton", lambda: "not in this test")
    first, said = start(StartSettings(home, repository)), []
    suspend(first.redis.process.pid)
    dies = threading.Timer(0.3, os.kill, (first.redis.process.pid, signal.SIGKILL))
    dies.start()
    second = start(StartSettings(home, repository), said.append)
    assert (second.started, second.redis.port) == (("redis",), first.redis.port)
    assert [line.partition(";")[0] for line in said] == ["redis has died since it was started"]


def test_triton_follows_redis_to_another_port(home: Path, repository: Path) -> None:
    """The models know Redis' address from their start."""
    shutil.copytree(write_probe(repository.parent / "probe folder"), repository / "probe")
    first = start(StartSettings(home, repository))
    assert probe(first.triton.http) == [first.redis_address, "photos"]
    kill(first.redis)
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind((HOST, first.redis.port))
        thief.listen()
        second = start(StartSettings(home))
    assert second.redis.port != first.redis.port
    assert probe(second.triton.http) == [second.redis_address, "photos"]


def write_probe(folder: Path) -> Path:
    """A model that tells what it sees: it imports all that image_search needs, under NumPy 1."""
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.py").write_text(PROBE)
    (folder / "config.pbtxt").write_text(PROBE_CONFIG)
    return folder


def probe(http: str) -> list[str]:
    body = {"inputs": [{"name": "nothing", "datatype": "UINT8", "shape": [1], "data": [0]}]}
    request = urllib.request.Request(f"{http}/v2/models/probe/infer", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as reply:
        numpy_version, *words = json.load(reply)["outputs"][0]["data"]
    assert numpy_version.startswith("1.26")
    return words


def test_an_incomplete_model_is_told_by_triton_s_log_and_nothing_stays(home: Path, repository: Path) -> None:
    (repository / "hash_encoder" / "1" / "model.onnx").unlink()
    with pytest.raises(EmbeddedServerError, match=r"triton ended while it was started[^\0]*model\.onnx is missing"):
        start(StartSettings(home, repository))
    now = state.load(Home(home))
    assert (now.redis, now.triton, now.model_repository) == (None, None, None)
    assert all(is_free(port) for port in now.ports.given().values())
    assert set(now.ports.given()) == {"redis", "triton", "http", "metrics"}


def test_a_server_that_is_not_ready_in_time_is_told_and_ended(home: Path, repository: Path) -> None:
    model = write_probe(repository / "probe") / "1" / "model.py"
    model.write_text(PROBE + "    def initialize(self, args):\n        import time; time.sleep(600)\n")
    with pytest.raises(EmbeddedServerError, match=r"triton is not ready \d+ s after its start .* --timeout"):
        start(StartSettings(home, repository, timeout_s=1.5))
    assert state.load(Home(home)).triton is None


def test_a_repository_without_models_is_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no model repository"):
        start(StartSettings(home, tmp_path / "none"))
    with pytest.raises(InvalidInput, match="holds no model"):
        start(StartSettings(home, tmp_path))
    assert running(home) is None


def test_a_port_taken_by_another_program_is_told(home: Path, triton: EmbeddedServers) -> None:
    port = int(triton.http.rpartition(":")[2])
    with pytest.raises(EmbeddedServerError, match=f"port {port}, asked for Redis, is taken"):
        start(StartSettings(home, triton.repository, Ports(redis=port)))


def test_where_triton_cannot_run_redis_starts_alone(
    home: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.31"))
    alone = start(StartSettings(home, repository))
    assert alone.started == ("redis",)
    assert alone.triton is None
    assert "glibc 2.31" in str(alone.no_triton)
    assert alone.triton_address == str(repository)
    assert running(home) is not None


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedServerError, match=r"the state folder .* cannot be written .* \$HASHGRAIN_HOME"):
        start(StartSettings(tmp_path / "file", repository))
    with pytest.raises(InvalidInput, match="timeout_s must be more than 0 seconds, got 0"):
        StartSettings(timeout_s=0)
