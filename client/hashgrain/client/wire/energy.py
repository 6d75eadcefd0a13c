"""What a job cost in energy, where the server tells: Triton's metrics count the joules of each of its GPUs.

The counter is `nv_energy_consumption`, joules since the server started, one for each GPU:
https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/metrics.html
It is absent without a GPU, and counts all that a GPU does, for whomever.
"""

from __future__ import annotations

import re
import urllib.error
import urllib.request

from hashgrain.client.wire.address import parse_address
from hashgrain.codes.errors import InvalidInput

TIMEOUT_S = 2.0
USUAL_PORTS = {"grpc": "8001", "http": "8000"}
METRICS_PORT = 8002
MAX_BYTES = 16 * 2**20

_COUNTER = re.compile(r'^nv_energy_consumption\{[^}]*gpu_uuid="([^"]+)"[^}]*\}\s+([0-9.eE+-]+)\s*$', re.MULTILINE)
# A proxy from the environment leads outwards, and metrics are within.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class EnergyMeter:
    """Joules since it was made.

    Args:
        metrics: address of Triton's metrics, http://host:8002/metrics; None where it is unknown.

    Raises:
        InvalidInput: it is no address over HTTP.
    """

    def __init__(self, metrics: str | None) -> None:
        if metrics is not None and not metrics.startswith(("http://", "https://")):
            raise InvalidInput(f"Triton's metrics are at an address such as http://host:8002/metrics, got {metrics!r}")
        self._metrics = metrics
        self._before = self._read()

    def joules(self) -> float | None:
        """Of all GPUs of the server together; None where it tells of none, is not reached, or started in between."""
        before = self._before
        now = self._read() if before else {}
        if not before or before.keys() != now.keys() or any(now[gpu] < before[gpu] for gpu in before):
            return None
        return sum(now[gpu] - before[gpu] for gpu in before)

    def _read(self) -> dict[str, float]:
        if self._metrics is None:
            return {}
        try:
            with _opener.open(self._metrics, timeout=TIMEOUT_S) as reply:
                return gpu_joules(reply.read(MAX_BYTES).decode("utf-8", "replace"))
        except (OSError, ValueError, urllib.error.URLError):  # a receipt without energy is better than none
            return {}


def gpu_joules(metrics: str) -> dict[str, float]:
    """The counters in the text of Triton's metrics, by the GPU's UUID; none without a GPU."""
    return {gpu: float(joules) for gpu, joules in _COUNTER.findall(metrics)}


def usual_metrics(address: str) -> str | None:
    """Where the metrics of a Triton are that listens at its usual ports; None where the address has another."""
    parsed = parse_address(address)
    host, _, port = parsed.target.partition("/")[0].rpartition(":")
    return f"http://{host}:{METRICS_PORT}/metrics" if port and port == USUAL_PORTS.get(parsed.kind) else None
