"""Exported models beside one another, such as one in three precisions: `python -m benchmarks.precision MODEL ...`."""

from __future__ import annotations

import argparse
import platform
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from hashgrain.codes.cores import usable_cores
from hashgrain.codes.onnx_model import find_model
from hashgrain.export.onnx_session import OnnxEncoder
from hashgrain.export.throughput import pictures_per_second


def main() -> None:
    """Encode noise by every model in turn, on one thread and on all cores, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, help="ratios are to the first")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    cores = usable_cores()
    columns = []
    for threads in sorted({1, cores}):
        encoders = {str(model): OnnxEncoder(model, threads) for model in arguments.models}
        runs = {
            name: partial(encoder.encode, _noise(arguments.images, encoder.input_size), batch=64)
            for name, encoder in encoders.items()
        }
        columns.append((threads, pictures_per_second(runs, arguments.images, arguments.rounds)))
    print(
        f"{arguments.images} pictures in batches of 64, {arguments.rounds} rounds, "
        f"one to warm up; {platform.machine()}, ONNX Runtime {onnxruntime.__version__}"
    )
    print(f"{'':50}{'MB':>6}" + "".join(f"{f'images/s, {threads} thread(s)':>28}" for threads, _ in columns))
    for model in arguments.models:
        figures = "".join(
            f"{rates[str(model)]:18,.0f}{rates[str(model)] / rates[str(arguments.models[0])]:8.2f} x"
            for _, rates in columns
        )
        print(f"{model!s:50}{find_model(model).stat().st_size / 1e6:6.1f}{figures}")


def _noise(count: int, size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


if __name__ == "__main__":
    main()
