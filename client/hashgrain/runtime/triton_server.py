"""The embedded Triton: how it is started, and when it is ready.

It serves a model repository as Triton does in production: configurations are taken as they stand, readiness means
that every model is ready, and a model that cannot be loaded ends the server, with the reason in its log. It runs on
the CPU; a GPU node uses NVIDIA's image.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from hashgrain.codes.errors import InvalidInput
from hashgrain.runtime.home import Home
from hashgrain.runtime.ports import HOST
from hashgrain.runtime.processes import launch, terminate
from hashgrain.runtime.state import TritonRecord
from hashgrain.runtime.triton_env import TritonEnvironment
from hashgrain.runtime.triton_layout import BACKENDS, MODELS, TritonLayout, write_layout

DRAIN_S = 20
"""Seconds that the server gives requests in flight when it is told to end."""


def launch_triton(
    home: Home,
    environment: TritonEnvironment,
    repository: Path,
    ports: dict[str, int],
    redis: str,
    options: Sequence[str] = (),
) -> TritonRecord:
    """Start the server; it is not ready yet.

    Args:
        home: the state folder.
        environment: the server's packages.
        repository: the folder of models.
        ports: "triton" (gRPC), "http" and "metrics".
        redis: address of the Redis that the model image_search asks.
        options: of the program, beside those that it always gets.

    Raises:
        InvalidInput: there is no such repository, or nothing in it.
        EmbeddedServerError: the state folder cannot be written, or the program cannot be run.
    """
    check_repository(repository)
    layout = write_layout(home.triton_files, environment, repository)
    variables = _variables(environment, layout, redis)
    process = launch([*_command(environment, ports), *options], variables, layout.root, home.log("triton"))
    return TritonRecord(
        process=process,
        started_at=time.time(),
        grpc_port=ports["triton"],
        http_port=ports["http"],
        metrics_port=ports["metrics"],
        model_repository=str(repository),
        redis=redis,
    )


def stop_triton(record: TritonRecord) -> bool:
    """End the server after its requests in flight; False where it had to be killed."""
    return terminate(record.process, DRAIN_S + 5)


def check_repository(repository: Path) -> None:
    """Raise InvalidInput unless the folder is there with models in it; what is in those, Triton itself checks."""
    if not repository.is_dir():
        raise InvalidInput(f"there is no model repository {repository}; name one by --model-repository")
    if not any(repository.glob("*/config.pbtxt")):
        raise InvalidInput(
            f"the model repository {repository} holds no model (no folder with a config.pbtxt); "
            "write one with `hashgrain export`, or name another by --model-repository"
        )


def _command(environment: TritonEnvironment, ports: dict[str, int]) -> list[str]:
    return [
        str(environment.program),
        f"--model-repository={MODELS}",
        f"--backend-directory={BACKENDS}",
        f"--grpc-address={HOST}",
        f"--grpc-port={ports['triton']}",
        f"--http-address={HOST}",
        f"--http-port={ports['http']}",
        f"--metrics-address={HOST}",
        f"--metrics-port={ports['metrics']}",
        "--model-control-mode=none",
        "--disable-auto-complete-config",
        "--strict-readiness=true",
        "--exit-on-error=true",
        f"--exit-timeout-secs={DRAIN_S}",
        "--allow-gpu-metrics=false",
        "--pinned-memory-pool-byte-size=0",
        "--log-verbose=0",
    ]


def _variables(environment: TritonEnvironment, layout: TritonLayout, redis: str) -> dict[str, str]:
    # A PYTHONPATH or PYTHONHOME of the caller would put NumPy 2 in front.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {
        "HASHGRAIN_INDEX": "photos",
        **inherited,
        "PATH": f"{layout.programs}:{os.environ.get('PATH', os.defpath)}",
        "LD_LIBRARY_PATH": f"{environment.libraries}:{layout.libraries}",
        "CUDA_VISIBLE_DEVICES": "",
        "HASHGRAIN_REDIS": redis,
    }
