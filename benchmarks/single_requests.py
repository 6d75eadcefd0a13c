"""One picture to its neighbours in one request: what it takes beyond encoding, alone and beside other work."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray

from hashgrain.client import HashEncoder
from hashgrain.codes.contract import COARSE_CODE, ENCODER_MODEL, FINE_CODE, IMAGE
from hashgrain.codes.images import decode
from hashgrain.runtime.servers import RunningServers

CLIENTS = 8
PACED_PER_SECOND = 5.0
"""Requests a second of each client that does not ask again at once."""

MODEL = "image_search"
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Latency:
    """Of requests, in milliseconds."""

    requests: int
    p50: float
    p99: float


@dataclass(frozen=True)
class Singles:
    """Single requests.

    Attributes:
        encoder: one picture of the network's size through hash_encoder, by one client.
        pixels, jpeg: the same picture, or its JPEG file, through image_search, in turn with `encoder`.
        eight: clients at a time, each asking again at once, nothing else.
        paced: as many that ask now and then.
        eight_beside, paced_beside: the same beside bulk encoding.
    """

    encoder: Latency
    pixels: Latency
    jpeg: Latency
    eight: Latency
    paced: Latency
    eight_beside: Latency
    paced_beside: Latency


def measure_singles(servers: RunningServers, folder: Path, index: str, seconds: float) -> Singles:
    """Ask for ten neighbours by pictures of a folder.

    Args:
        servers: with a Triton that serves image_search.
        folder: of pictures in the index.
        index: its name.
        seconds: for each of the five rows.
    """
    assert servers.triton is not None
    address = servers.triton.address.removeprefix("grpc://")
    with HashEncoder(servers.triton.address) as encoder:
        size = encoder.input_size
    files = [file.read_bytes() for file in sorted(folder.iterdir())[:256]]
    searches = [_search("image_bytes", np.array([[file]], np.object_), index) for file in files]
    pixels = [decode(file, size, "picture")[None] for file in files]
    encoder_alone, pixels_alone, jpeg_alone = _in_turn(
        address,
        [
            [_encode(picture) for picture in pixels],
            [_search("image", picture, index) for picture in pixels],
            searches,
        ],
        seconds,
    )
    eight, paced = (_many(address, searches, seconds, pause) for pause in (0.0, 1 / PACED_PER_SECOND))
    with _bulk_beside(servers.triton.address):
        eight_beside, paced_beside = (_many(address, searches, seconds, pause) for pause in (0.0, 1 / PACED_PER_SECOND))
    return Singles(encoder_alone, pixels_alone, jpeg_alone, eight, paced, eight_beside, paced_beside)


def _encode(picture: NDArray[Any]) -> dict[str, Any]:
    tensor = triton.InferInput(IMAGE, picture.shape, "UINT8").set_data_from_numpy(picture)
    wanted = [triton.InferRequestedOutput(name) for name in (COARSE_CODE, FINE_CODE)]
    return {"model_name": ENCODER_MODEL, "inputs": [tensor], "outputs": wanted}


def _search(name: str, array: NDArray[Any], index: str) -> dict[str, Any]:
    tensor = triton.InferInput(name, array.shape, "UINT8" if array.dtype == np.uint8 else "BYTES")
    wanted = [triton.InferRequestedOutput(name) for name in ("ids", "distances")]
    return {
        "model_name": MODEL,
        "inputs": [tensor.set_data_from_numpy(array)],
        "outputs": wanted,
        "parameters": {"k": 10, "index": index},
    }


def _in_turn(address: str, kinds: list[list[dict[str, Any]]], seconds: float) -> Iterator[Latency]:
    """One client asks a request of each kind, over and over, so that a busy machine is busy for all kinds."""
    took: list[list[float]] = [[] for _ in kinds]
    with triton.InferenceServerClient(address) as client:
        end = time.perf_counter() + seconds
        for requests in cycle(zip(*kinds, strict=True)):
            for times, request in zip(took, requests, strict=True):
                times.append(_seconds(client, request))
            if time.perf_counter() > end:
                return (_latency(times[5:] or times) for times in took)
    raise AssertionError("there are pictures")


def _many(address: str, requests: list[dict[str, Any]], seconds: float, pause: float) -> Latency:
    """Several clients at a time, each with requests of its own; `pause` seconds from one to the next on average."""
    took: list[float] = []
    end = time.perf_counter() + seconds
    threads = [
        threading.Thread(target=_ask, args=(address, requests[n::CLIENTS], end, pause, n, took.append))
        for n in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _latency(took)


def _ask(
    address: str,
    requests: list[dict[str, Any]],
    end: float,
    pause: float,
    seed: int,
    tell: Callable[[float], object],
) -> None:
    pauses = np.random.default_rng(seed)
    with triton.InferenceServerClient(address) as client:
        for request in cycle(requests):
            if pause:
                time.sleep(pauses.exponential(pause))
            if time.perf_counter() > end:
                return
            tell(_seconds(client, request))


def _seconds(client: triton.InferenceServerClient, request: dict[str, Any]) -> float:
    begun = time.perf_counter()
    client.infer(**request, client_timeout=TIMEOUT_S)
    return time.perf_counter() - begun


def _latency(seconds: list[float]) -> Latency:
    p50, p99 = np.quantile(seconds, (0.5, 0.99)) * 1000
    return Latency(len(seconds), float(p50), float(p99))


@contextmanager
def _bulk_beside(address: str) -> Iterator[None]:
    """Another process encodes in bulk as long as this lasts."""
    processes = multiprocessing.get_context("spawn")
    under_way, over = processes.Event(), processes.Event()
    process = processes.Process(target=_encode_until, args=(address, under_way, over), daemon=True)
    process.start()
    try:
        if not under_way.wait(TIMEOUT_S):
            raise RuntimeError("bulk encoding did not begin")
        yield
    finally:
        over.set()
        process.join(TIMEOUT_S)


def _encode_until(address: str, under_way: Event, over: Event) -> None:
    with HashEncoder(address, priority="bulk") as encoder:
        size = encoder.input_size
        pictures = np.random.default_rng(0).integers(0, 256, (8 * encoder.batch_size, size, size, 3), np.uint8)
        while not over.is_set():
            encoder.encode(pictures)
            under_way.set()
