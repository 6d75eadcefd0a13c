"""A few questions to a Triton server over HTTP, with nothing but the standard library."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from hashgrain.codes.contract import ENCODER_MODEL

TIMEOUT_S = 3.0

# A proxy from the environment has no business between two programs of one machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class ServedModel:
    """One model of the server's repository. `reason` says why it is not ready, where Triton knows."""

    name: str
    version: str
    ready: bool
    reason: str = ""


def server_ready(url: str) -> bool:
    """Whether the server at http://host:port is up with every model ready."""
    try:
        with _opener.open(f"{url}/v2/health/ready", timeout=TIMEOUT_S) as reply:
            return bool(reply.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def server_software(url: str) -> str:
    """Name and version, "Triton 2.51.0"; empty where there is no answer."""
    answer = _ask(f"{url}/v2")
    return f"Triton {answer['version']}" if isinstance(answer, dict) and "version" in answer else ""


def served_models(url: str) -> tuple[ServedModel, ...]:
    """All models of the server's repository, by name; none where there is no answer."""
    answer = _ask(f"{url}/v2/repository/index", b"{}")
    if not isinstance(answer, list):
        return ()
    models = (
        ServedModel(row["name"], row.get("version", ""), row.get("state") == "READY", row.get("reason", ""))
        for row in answer
    )
    return tuple(sorted(models, key=lambda model: (model.name, model.version)))


def encoder_metadata(url: str) -> dict[str, str]:
    """The `parameters` of hash_encoder's configuration; empty where it is not served."""
    answer = _ask(f"{url}/v2/models/{ENCODER_MODEL}/config")
    if not isinstance(answer, dict):
        return {}
    return {key: value.get("string_value", "") for key, value in answer.get("parameters", {}).items()}


def _ask(url: str, body: bytes | None = None) -> Any:
    """The JSON answer, or None where there is none."""
    try:
        with _opener.open(urllib.request.Request(url, body), timeout=TIMEOUT_S) as reply:
            return json.load(reply)
    except (OSError, ValueError):
        return None
