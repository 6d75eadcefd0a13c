"""The default model through Triton beside ONNX Runtime called directly: `python -m benchmarks.serving`."""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np

from hashgrain.client import HashEncoder
from hashgrain.export.throughput import pictures_per_second
from hashgrain.runtime.servers import start, stop


def main() -> None:
    """Encode the same ready-made pictures in turn through every way, and print the medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    servers = start(announce=print)
    try:
        addresses = {"in process, ONNX Runtime": str(servers.model_repository)}
        if servers.triton:
            addresses |= {"Triton, gRPC": servers.triton.address, "Triton, HTTP": servers.triton.http}
        encoders = {name: HashEncoder(address) for name, address in addresses.items()}
        size = next(iter(encoders.values())).input_size
        pictures = np.random.default_rng(0).integers(0, 256, (arguments.images, size, size, 3), np.uint8)
        runs = {name: partial(encoder.encode, pictures) for name, encoder in encoders.items()}
        rates = pictures_per_second(runs, len(pictures), arguments.rounds)
        software = servers.triton.software if servers.triton else "no Triton"
    finally:
        if servers.started:
            stop()
    print(f"{arguments.images} pictures of {size} x {size}, {software}, {arguments.rounds} rounds, one to warm up")
    base = rates["in process, ONNX Runtime"]
    for name, rate in rates.items():
        print(f"{name:28}{rate:9,.0f} images/s{rate / base:8.2f} x in process")


if __name__ == "__main__":
    main()
