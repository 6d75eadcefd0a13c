"""Energy from Triton's metrics: the counters' difference where there are GPUs, and nothing where nobody tells."""

from __future__ import annotations

import urllib.request

import pytest

from embedded_servers import EmbeddedServers
from hashgrain.client.wire.energy import EnergyMeter, gpu_joules, usual_metrics
from hashgrain.codes.errors import InvalidInput
from hashgrain.runtime.addresses import resolve_metrics
from triton_metrics import FIRST, SECOND, metrics, serving


def test_counters_are_read_by_gpu_and_nothing_else_is() -> None:
    assert gpu_joules(metrics("1523.874", "1.2e+06")) == {FIRST: 1523.874, SECOND: 1.2e6}
    assert gpu_joules(metrics()) == {}


@pytest.mark.parametrize(
    ("before", "after", "joules"),
    [
        (("100.5", "1.2e+06"), ("151", "1200012.5"), 63.0),
        (("100",), ("100",), 0.0),
        ((), (), None),
        (("100", "5"), ("3", "9"), None),  # it was started again in between
        (("100", "5"), ("120",), None),  # a GPU is gone
    ],
)
def test_energy_is_the_difference_over_all_gpus_or_unknown(
    before: tuple[str, ...], after: tuple[str, ...], joules: float | None
) -> None:
    with serving([metrics(*before), metrics(*after)]) as address:
        assert EnergyMeter(address).joules() == (None if joules is None else pytest.approx(joules))


def test_a_server_that_is_not_reached_costs_the_job_nothing() -> None:
    with serving([]) as address:
        pass
    assert EnergyMeter(address).joules() is None
    assert EnergyMeter(None).joules() is None
    with pytest.raises(InvalidInput, match=r"such as http://host:8002/metrics, got 'host:8002'"):
        EnergyMeter("host:8002")


def test_the_real_server_without_a_gpu_tells_of_no_energy(triton: EmbeddedServers) -> None:
    address = resolve_metrics(None, None, triton.home)
    assert address is not None
    with urllib.request.urlopen(address, timeout=10) as reply:
        assert b"nv_inference_count" in reply.read()
    assert EnergyMeter(address).joules() is None


@pytest.mark.parametrize(
    ("triton_address", "expected"),
    [
        ("grpc://node:8001", "http://node:8002/metrics"),
        ("node:8001", "http://node:8002/metrics"),
        ("grpcs://node:8001?version=2", "http://node:8002/metrics"),
        ("http://[::1]:8000/base", "http://[::1]:8002/metrics"),
        ("grpc://node:9001", None),
        ("http://node:8001", None),
        (".", None),
    ],
)
def test_metrics_are_looked_for_beside_the_usual_ports_only(triton_address: str, expected: str | None) -> None:
    assert usual_metrics(triton_address) == expected
    assert resolve_metrics(None, triton_address) == expected
    assert resolve_metrics("http://other:1/metrics", triton_address) == "http://other:1/metrics"
