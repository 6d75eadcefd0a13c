"""The containers are set up as the embedded servers are, from files that exist; on demand, they are run for real."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import redis

from embedded_servers import EmbeddedServers
from hashgrain.runtime import servers
from tiny_model import add_image_search, write_tiny_repository

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
SERVICES = (DOCKER / "services.yaml").read_text()
README = (DOCKER / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

OF_THE_EMBEDDED_TRITON = {
    "--model-repository",
    "--backend-directory",
    "--grpc-address",
    "--grpc-port",
    "--http-address",
    "--http-port",
    "--metrics-address",
    "--metrics-port",
    "--allow-gpu-metrics",
    "--pinned-memory-pool-byte-size",
}
"""Flags that say where things are on this machine, or that it has no GPU."""


def dockerfile(name: str) -> str:
    """Its text with continued lines joined."""
    return re.sub(r"\\\n\s*", "", (DOCKER / f"{name}.Dockerfile").read_text())


def instruction(name: str, keyword: str) -> list[str]:
    """The last instruction of this kind, which must be a JSON array."""
    found: list[str] = json.loads(re.findall(rf"^{keyword} (.*)$", dockerfile(name), re.M)[-1])
    return found


def flags(command: list[str]) -> dict[str, str]:
    split = (part.partition("=") for part in command if part.startswith("--"))
    return {name: value for name, _, value in split}


def test_triton_starts_as_the_embedded_one_does(triton: EmbeddedServers) -> None:
    found = servers.running(triton.home)
    assert found is not None
    assert found.triton is not None
    embedded = flags(Path(f"/proc/{found.triton.process.pid}/cmdline").read_text().split("\0"))
    expected = {name: value for name, value in embedded.items() if name not in OF_THE_EMBEDDED_TRITON}
    assert len(expected) >= 5
    assert flags(instruction("triton", "CMD")) == {"--model-repository": "/models", **expected}


def test_redis_keeps_data_as_the_embedded_one_does(triton: EmbeddedServers) -> None:
    block = SERVICES[SERVICES.index("command:") : SERVICES.index("environment:")]
    words = [word.strip('"') for word in re.findall(r"^ +- (.*)$", block, re.M)][1:]
    settings = {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    with redis.Redis.from_url(triton.redis, decode_responses=True) as client:
        for name in ("appendonly", "appendfsync", "save", "maxmemory-policy"):
            assert client.config_get(name) == {name: settings[name]}


@pytest.mark.parametrize("name", ["triton", "worker"])
def test_what_is_copied_exists_and_is_not_ignored(name: str) -> None:
    sources = re.findall(r"^COPY (?!--from)(\S+) ", dockerfile(name), re.M)
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert "*" in lines
    assert sources
    for source in {*sources, *kept} - {"."}:
        assert (ROOT / source).exists()
        assert source.split("/")[0] in kept


def test_images_install_what_the_project_asks_for() -> None:
    extras = PROJECT["optional-dependencies"]
    for requirement in re.findall(r'"([a-z]\S*>=\S+)"', dockerfile("triton")):
        assert requirement in extras["client"] + extras["indexer"]
    (chosen,) = re.findall(r'"/src\[(.*)\]"', dockerfile("worker"))
    assert set(chosen.split(",")) == {"client", "indexer", "cli"} <= set(extras)


@pytest.mark.parametrize(("name", "variable"), [("triton", "TRITON_IMAGE"), ("worker", "PYTHON_IMAGE")])
def test_base_images_are_named_alike_everywhere(name: str, variable: str) -> None:
    (base,) = re.findall(rf"^ARG {variable}=(\S+)$", dockerfile(name), re.M)
    assert f"${{{variable}:-{base}}}" in SERVICES
    assert f"`{base}`" in README


def test_the_readme_names_every_setting() -> None:
    rows = [line for line in README.splitlines() if line.startswith("| `") and "_" in line.split("|")[1]]
    documented = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1])}
    assert documented == set(re.findall(r"\$\{([A-Z_]+)", SERVICES))


def test_both_kinds_of_node_differ_in_the_gpu_alone() -> None:
    gpu, cpu = ((DOCKER / name).read_text().splitlines()[1:] for name in ("compose.yaml", "compose.cpu.yaml"))
    reservation = [
        "    deploy:",
        "      resources:",
        "        reservations:",
        "          devices:",
        "            - driver: nvidia",
        "              count: 1",
        "              capabilities: [gpu]",
    ]
    start = gpu.index(reservation[0])
    end = start + len(reservation)
    assert gpu[start:end] == reservation
    assert gpu[:start] + gpu[end:] == cpu


def compose_command() -> list[str]:
    """Docker's Compose, as plugin or program; or a skip."""
    if shutil.which("docker") and not subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    pytest.skip("Docker's Compose is not installed")


@pytest.mark.parametrize("name", ["compose.yaml", "compose.cpu.yaml"])
def test_compose_accepts_the_files(name: str) -> None:
    command = [*compose_command(), "-f", str(DOCKER / name), "config"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert not done.returncode, done.stderr
    assert ("nvidia" in done.stdout.replace("nvcr.io/nvidia", "")) == (name == "compose.yaml")


@pytest.mark.slow
def test_smoke(tmp_path: Path) -> None:
    """Build, start, encode, search, restart, remove."""
    if os.environ.get("HASHGRAIN_DOCKER") != "1":
        pytest.skip("builds and runs containers for minutes: set HASHGRAIN_DOCKER=1 where a Docker engine runs")
    write_tiny_repository(tmp_path / "models")
    add_image_search(tmp_path / "models")
    environment = {**os.environ, "HASHGRAIN_MODEL_REPOSITORY": str(tmp_path / "models")}
    done = subprocess.run(
        [DOCKER / "smoke.sh"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,
    )
    assert not done.returncode, done.stdout[-5000:]
