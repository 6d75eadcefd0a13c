"""`hashgrain up`, `down` and `status`, as a user runs them."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from command import COMMAND, environment, hashgrain
from embedded_servers import EmbeddedServers
from hashgrain.cli.main import cli
from hashgrain.runtime import servers
from process_state import wait_until_group_is_gone
from tiny_model import write_tiny_repository

SLOW = """
import time

class TritonPythonModel:
    def initialize(self, args):
        time.sleep(600)

    def execute(self, requests):
        return []
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A state folder whose servers are ended with the test."""
    yield tmp_path / "home"
    servers.stop(tmp_path / "home")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    write_tiny_repository(tmp_path / "models")
    return tmp_path / "models"


def read_status(home: Path) -> dict[str, dict[str, object]]:
    answer: dict[str, dict[str, object]] = json.loads(hashgrain("status", "--home", home, "--json").stdout)
    return answer


def test_up_status_crash_up_down(home: Path, repository: Path) -> None:
    """The life of the servers; each command is a process of its own, so they outlive the one that started them."""
    first, second = up_twice_at_once(home, repository)
    assert sorted(answer["started"] for answer in (first, second)) == [[], ["redis", "triton"]]
    assert first["triton"] == second["triton"]
    status = hashgrain("status", HASHGRAIN_HOME=home)
    assert status.returncode == 0
    facts = read_status(home)
    redis, triton = facts["redis"], facts["triton"]
    for server in (redis, triton):
        assert f"ready         {server['software']:14} {server['address']}" in status.stdout
        assert f"pid {server['pid']}" in status.stdout
    assert "hash_encoder 1  ready" in status.stdout

    os.kill(int(str(triton["pid"])), signal.SIGKILL)
    died = hashgrain("status", "--home", home)
    assert died.returncode == 1
    assert "triton  died" in died.stdout
    assert "Started HTTPService at 127.0.0.1" in died.stdout
    assert "start what is down with `hashgrain up`" in died.stdout
    assert "redis   ready" in died.stdout

    again = hashgrain("up", "--home", home)
    assert again.returncode == 0
    assert "triton has died since it was started; its log ended with" in again.stderr
    assert f"redis   runs already  {redis['software']}" in again.stdout
    assert "triton  started" in again.stdout

    assert hashgrain("down", "--home", home).stdout == "stopped triton and redis\n"
    assert hashgrain("down", "--home", home).stdout == f"nothing runs in {home}\n"
    assert hashgrain("status", "--home", home).returncode == 1
    assert read_status(home)["redis"]["condition"] == "stopped"


def up_twice_at_once(home: Path, repository: Path) -> list[dict[str, Any]]:
    """What two commands answer of which one must wait for the other."""
    command = [*COMMAND, "up", "--home", str(home), "--model-repository", str(repository), "--json"]
    both = [subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    return answers


def test_status_as_json_tells_addresses_models_and_fingerprint(triton: EmbeddedServers) -> None:
    result = hashgrain("status", "--json", HASHGRAIN_HOME=triton.home)
    assert result.returncode == 0
    facts = json.loads(result.stdout)
    assert facts["ok"] is True
    assert (facts["triton"]["address"], facts["redis"]["address"]) == (triton.grpc, triton.redis)
    assert facts["http"] == triton.http
    assert facts["fingerprint"] == triton.contract.fingerprint
    assert {"name": "hash_encoder", "version": "1", "ready": True, "reason": ""} in facts["models"]


def test_a_second_up_says_that_it_runs_and_where_commands_go(triton: EmbeddedServers) -> None:
    result = hashgrain("up", "--json", HASHGRAIN_HOME=triton.home, HASHGRAIN_REDIS="redis://far:6379/0")
    assert result.returncode == 0
    facts = json.loads(result.stdout)
    assert facts["started"] == []
    assert (facts["triton"]["address"], facts["redis"]["address"]) == (triton.grpc, triton.redis)
    assert result.stderr == (
        f"note: $HASHGRAIN_REDIS is redis://far:6379/0; commands go there and not to {triton.redis}\n"
    )


def test_an_interrupted_up_leaves_nothing(home: Path, tmp_path: Path) -> None:
    model = tmp_path / "models" / "slow"
    (model / "1").mkdir(parents=True)
    (model / "1" / "model.py").write_text(SLOW)
    (model / "config.pbtxt").write_text(
        'name: "slow" backend: "python" input { name: "x" data_type: TYPE_UINT8 dims: 1 } '
        'output { name: "y" data_type: TYPE_UINT8 dims: 1 }'
    )
    command = [*COMMAND, "up", "--home", str(home), "--model-repository", str(model.parent)]
    # A shell that runs the tests in its background has them ignore interrupts, and so would the command.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        started = wait_for_triton(home)
        process.send_signal(signal.SIGINT)
        assert "error: interrupted" in process.communicate(timeout=60)[1]
    assert process.returncode == 1
    facts = read_status(home)
    assert (facts["redis"]["condition"], facts["triton"]["condition"]) == ("stopped", "stopped")
    for pid in started:
        wait_until_group_is_gone(pid)


def wait_for_triton(home: Path) -> list[int]:
    """Process ids of both servers, once Triton was started."""
    for _ in range(6000):
        if (home / "state.json").exists():
            values = json.loads((home / "state.json").read_text())
            if values["triton"]:
                return [values[name]["process"]["pid"] for name in ("redis", "triton")]
        time.sleep(0.01)
    pytest.fail("Triton was never started")


def test_a_model_that_cannot_be_loaded_is_told_with_the_log(home: Path, repository: Path) -> None:
    config = repository / "hash_encoder" / "config.pbtxt"
    config.write_text(config.read_text().replace('name: "fine_code"', 'name: "fine_cod"'))
    result = hashgrain("up", "--home", home, "--model-repository", repository)
    assert result.returncode == 1
    assert result.stderr.startswith("error: triton ended while it was started")
    assert "config.pbtxt names output fine_cod" in result.stderr
    assert "Traceback" not in result.stderr


def test_where_triton_cannot_run_it_is_said_in_one_line(
    home: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.31"))
    up = CliRunner().invoke(cli, ["up", "--home", str(home), "--model-repository", str(repository)])
    assert up.exit_code == 0
    reason = "triton  cannot run on this machine: its program needs glibc 2.35 or later, this system has glibc 2.31"
    assert reason in up.output.splitlines()
    assert f"images are encoded in process instead, with the model in {repository}" in up.output
    status = CliRunner().invoke(cli, ["status", "--home", str(home)])
    assert status.exit_code == 0
    assert f"{reason}; images are encoded in process" in status.output.splitlines()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--redis-port", "0"], "0 is not in the range"),
        (["--redis-port", "7000", "--http-port", "7000"], "--redis-port and --http-port are both 7000"),
        (["--timeout", "0"], "0.0 is not in the range"),
        (["--model-repository", "/no/such/folder"], "there is no model repository /no/such/folder"),
    ],
)
def test_wrong_settings_are_refused(home: Path, arguments: list[str], message: str) -> None:
    result = hashgrain("up", "--home", home, *arguments)
    assert result.returncode in (1, 2)
    assert message in result.stderr
    assert not home.exists() or not (home / "redis").exists()
