"""Batches through Triton, beside ONNX Runtime called directly with the same batches on the same cores."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from hashgrain.client import HashEncoder
from hashgrain.codes.contract import COARSE_CODE, FINE_CODE, IMAGE
from hashgrain.codes.onnx_model import find_model
from hashgrain.export.throughput import pictures_per_second
from hashgrain.runtime.servers import RunningServers

BARE = "ONNX Runtime as it comes"
IN_PROCESS = "in process"
GRPC, HTTP = "Triton, gRPC", "Triton, HTTP"


def measure_overhead(servers: RunningServers, images: int, rounds: int) -> tuple[int, dict[str, float]]:
    """Encode the same ready-made pictures in turn through every way.

    Args:
        servers: with a Triton.
        images: how many.
        rounds: how often; one more round warms up.

    Returns:
        The pictures of one batch, and the median pictures per second by the names above.
    """
    assert servers.triton is not None
    with HashEncoder(servers.triton.address) as grpc, HashEncoder(servers.triton.http) as http:
        batch, size = grpc.batch_size, grpc.input_size
        pictures = np.random.default_rng(0).integers(0, 256, (images, size, size, 3), np.uint8)
        with HashEncoder(servers.model_repository, batch_size=batch) as in_process:
            ways: dict[str, Callable[[], object]] = {
                BARE: _bare(servers, pictures, batch),
                IN_PROCESS: partial(in_process.encode, pictures),
                GRPC: partial(grpc.encode, pictures),
                HTTP: partial(http.encode, pictures),
            }
            return batch, pictures_per_second(ways, len(pictures), rounds)


def _bare(servers: RunningServers, pictures: NDArray[Any], batch: int) -> Callable[[], None]:
    session = onnxruntime.InferenceSession(
        str(find_model(servers.model_repository)), providers=["CPUExecutionProvider"]
    )

    def encode() -> None:
        for start in range(0, len(pictures), batch):
            session.run([COARSE_CODE, FINE_CODE], {IMAGE: pictures[start : start + batch]})

    return encode
