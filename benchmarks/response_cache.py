"""Triton's response cache before hash_encoder, without and with: `python -m benchmarks.response_cache`."""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton

from benchmarks.server import own_servers
from benchmarks.single_requests import Latency, encode_request, latency, seconds_of
from hashgrain.client import HashEncoder
from hashgrain.codes.contract import ENCODER_MODEL
from hashgrain.runtime.addresses import model_repository
from hashgrain.runtime.servers import RunningServers
from hashgrain.runtime.triton_env import ensure_environment

BYTES = 64 << 20


def main() -> None:
    """Measure on servers of its own, one after the other, without the cache and with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=300)
    requests = parser.parse_args().requests
    cache = f"--cache-directory={ensure_environment(print).caches}", f"--cache-config=local,size={BYTES}"
    with tempfile.TemporaryDirectory(prefix="hashgrain-benchmark-") as folder:
        without: tuple[str, ...] = ()
        for name, options in (("without", without), ("with", cache)):
            repository = Path(folder) / name
            shutil.copytree(model_repository(), repository)
            if options:
                with (repository / ENCODER_MODEL / "config.pbtxt").open("a") as config:
                    config.write("response_cache { enable: true }\n")
            with own_servers(repository, options) as servers:
                again, new, bulk = _measure(servers, requests)
                print(
                    f"{name:8} the same picture p50 {again.p50:.2f}, p99 {again.p99:.2f} ms; new ones p50 "
                    f"{new.p50:.2f}, p99 {new.p99:.2f} ms; bulk {bulk:,.0f} images/s",
                    flush=True,
                )


def _measure(servers: RunningServers, requests: int) -> tuple[Latency, Latency, float]:
    rng = np.random.default_rng(0)
    with HashEncoder(servers.triton_address, priority="bulk") as encoder:
        shape = encoder.input_size, encoder.input_size, 3
        client = triton.InferenceServerClient(servers.triton_address.removeprefix("grpc://"))

        def ask(pictures: list[Any]) -> Latency:
            return latency([seconds_of(client, encode_request(picture)) for picture in pictures])

        pictures = [rng.integers(0, 256, (1, *shape), np.uint8) for _ in range(requests)]
        with client:
            ask(pictures[:1] * 20)
            again, new = ask(pictures[:1] * requests), ask(pictures[1:])
        rates = []
        for _ in range(4):
            batch = rng.integers(0, 256, (512, *shape), np.uint8)
            begun = time.perf_counter()
            encoder.encode(batch)
            rates.append(len(batch) / (time.perf_counter() - begun))
    return again, new, statistics.median(rates[1:])


if __name__ == "__main__":
    main()
