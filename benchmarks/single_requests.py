"""One picture to its neighbours in one request: what it takes beyond encoding, alone and beside other work."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray

from benchmarks.models import HAND_ON, LATE, LATE_SEARCH
from hashgrain.client import HashEncoder
from hashgrain.codes.contract import COARSE_CODE, ENCODER_MODEL, FINE_CODE, IMAGE
from hashgrain.codes.images import decode
from hashgrain.runtime.servers import RunningServers

CLIENTS = 8
IN_A_ROW = 10
"""Requests of one kind before those of another: each finds what the one before left in the processor's caches."""

WARM_UP = 6
"""How often each picture is asked for before."""

AT_ONCE = 32

PACED_PER_SECOND = 5.0
"""Requests a second of each client that does not ask again at once."""

NOTICED_S = 1.0
"""Until bulk encoding has noticed that others ask."""

MODEL, JOINED = "image_search", "pixel_search"
TIMEOUT_S = 30.0

Ask: TypeAlias = Callable[[int], dict[str, Any]]
"""The request of a number; another picture for every number, or image_search would know the codes."""


_numbers = count()


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
        handed_on: the same through a model that does nothing but hand it on, in turn with `encoder`.
        joined: the same through pixel_search, in turn with `encoder`.
        late: the same, where answers may be late.
        pixels, jpeg: the same picture, or its JPEG file, through image_search, in turn with `encoder`.
        repeated: a JPEG file that was asked for before, likewise in turn.
        eight: clients at a time, each asking again at once, nothing else.
        paced: as many that ask now and then.
        eight_beside, paced_beside: the same beside bulk encoding, which makes way.
        full_speed_beside: as `paced_beside`, where it does not.
        bulk_making_way, bulk_full_speed: pictures per second of the bulk encoding beside these two.
    """

    encoder: Latency
    handed_on: Latency
    joined: Latency
    late: Latency
    pixels: Latency
    jpeg: Latency
    repeated: Latency
    eight: Latency
    paced: Latency
    eight_beside: Latency
    paced_beside: Latency
    full_speed_beside: Latency
    bulk_making_way: float
    bulk_full_speed: float


def measure_singles(servers: RunningServers, folder: Path, index: str, seconds: float) -> Singles:
    """Ask for ten neighbours by pictures of a folder.

    Args:
        servers: with a Triton that serves image_search, and the model of `hand_on`.
        folder: of pictures in the index.
        index: its name.
        seconds: for each row.
    """
    assert servers.triton is not None
    address = servers.triton.address.removeprefix("grpc://")
    with HashEncoder(servers.triton.address) as encoder:
        size = encoder.input_size
    files = [file.read_bytes() for file in sorted(folder.iterdir())[:256]]
    pixels = [decode(file, size, "picture")[None] for file in files]

    def encode(number: int) -> dict[str, Any]:
        return encode_request(_other_pixels(pixels, number))

    def hand_on(number: int) -> dict[str, Any]:
        return {**encode(number), "model_name": HAND_ON}

    def search_pixels(number: int) -> dict[str, Any]:
        return _search("image", _other_pixels(pixels, number), index)

    def search_joined(number: int) -> dict[str, Any]:
        return {**search_pixels(number), "model_name": JOINED}

    def search_late(number: int) -> dict[str, Any]:
        return {**search_pixels(number), "model_name": LATE_SEARCH}

    def search_jpeg(number: int) -> dict[str, Any]:
        return _search("image_bytes", _other_file(files, number), index)

    def search_again(number: int) -> dict[str, Any]:
        return _search("image_bytes", np.array([[files[number % 8]]], np.object_), index)

    _warm(address, np.concatenate(pixels), index)
    kinds = [encode, hand_on, search_joined, search_late, search_pixels, search_jpeg, search_again]
    one_client = _in_turn(address, kinds, seconds)
    eight, paced = (_many(address, search_jpeg, seconds, pause) for pause in (0.0, 1 / PACED_PER_SECOND))
    with _bulk_beside(servers.triton.address, make_way=True) as done:
        _many(address, search_jpeg, NOTICED_S, 0.0)
        eight_beside = _many(address, search_jpeg, seconds, 0.0)
        paced_beside, making_way = _paced_beside(address, search_jpeg, seconds, done)
    with _bulk_beside(servers.triton.address, make_way=False) as done:
        full_speed_beside, full_speed = _paced_beside(address, search_jpeg, seconds, done)
    return Singles(*one_client, eight, paced, eight_beside, paced_beside, full_speed_beside, making_way, full_speed)


def _warm(address: str, pictures: NDArray[np.uint8], index: str) -> None:
    """Have every instance keep what these pictures need of the index, as it does after a while of such requests."""
    with triton.InferenceServerClient(address) as client:
        for start in WARM_UP * list(range(0, len(pictures), AT_ONCE)):
            request = _search("image", pictures[start : start + AT_ONCE], index)
            for model in (MODEL, LATE):
                client.infer(**{**request, "model_name": model}, client_timeout=TIMEOUT_S)


def _paced_beside(address: str, ask: Ask, seconds: float, done: Callable[[], int]) -> tuple[Latency, float]:
    """Of clients that ask now and then; and the pictures per second of what goes on beside."""
    before, begun = done(), time.perf_counter()
    latency = _many(address, ask, seconds, 1 / PACED_PER_SECOND)
    return latency, (done() - before) / (time.perf_counter() - begun)


def _other_pixels(pictures: list[NDArray[np.uint8]], number: int) -> NDArray[np.uint8]:
    """One of the pictures with a number in its corner."""
    picture = pictures[number % len(pictures)].copy()
    picture[0, 0, :, :].flat[:4] = np.frombuffer(np.uint32(number).tobytes(), np.uint8)
    return picture


def _other_file(files: list[bytes], number: int) -> NDArray[np.object_]:
    """One of the files with a number behind the picture's end, which no reader minds."""
    return np.array([[files[number % len(files)] + np.uint32(number).tobytes()]], np.object_)


def encode_request(picture: NDArray[Any]) -> dict[str, Any]:
    """One picture of the network's size to hash_encoder, for the codes."""
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


def _in_turn(address: str, kinds: list[Ask], seconds: float) -> Iterator[Latency]:
    """One client asks some requests of each kind, over and over, so that a busy machine is busy for all kinds."""
    took: list[list[float]] = [[] for _ in kinds]
    with triton.InferenceServerClient(address) as client:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            numbers = [next(_numbers) for _ in range(IN_A_ROW)]
            for times, ask in zip(took, kinds, strict=True):
                times.extend(seconds_of(client, ask(number)) for number in numbers)
    return (latency(times[2 * IN_A_ROW :] or times) for times in took)


def _many(address: str, ask: Ask, seconds: float, pause: float) -> Latency:
    """Several clients at a time; `pause` seconds from one request to the next on average."""
    took: list[float] = []
    end = time.perf_counter() + seconds
    threads = [threading.Thread(target=_ask, args=(address, ask, end, pause, n, took.append)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latency(took)


def _ask(
    address: str,
    ask: Ask,
    end: float,
    pause: float,
    seed: int,
    tell: Callable[[float], object],
) -> None:
    pauses = np.random.default_rng(seed)
    with triton.InferenceServerClient(address) as client:
        while time.perf_counter() < end:
            if pause:
                time.sleep(pauses.exponential(pause))
            tell(seconds_of(client, ask(next(_numbers))))


def seconds_of(client: triton.InferenceServerClient, request: dict[str, Any]) -> float:
    """What a request takes."""
    begun = time.perf_counter()
    client.infer(**request, client_timeout=TIMEOUT_S)
    return time.perf_counter() - begun


def latency(seconds: list[float]) -> Latency:
    """Median and 99th percentile."""
    p50, p99 = np.quantile(seconds, (0.5, 0.99)) * 1000
    return Latency(len(seconds), float(p50), float(p99))


@contextmanager
def _bulk_beside(address: str, make_way: bool) -> Iterator[Callable[[], int]]:
    """Another process encodes in bulk as long as this lasts; gives what tells how many pictures are done."""
    processes = multiprocessing.get_context("spawn")
    under_way, over, done = processes.Event(), processes.Event(), processes.Value("q", 0)
    arguments = (address, make_way, under_way, over, done)
    process = processes.Process(target=_encode_until, args=arguments, daemon=True)
    process.start()
    try:
        if not under_way.wait(TIMEOUT_S):
            raise RuntimeError("bulk encoding did not begin")
        yield lambda: done.value
    finally:
        over.set()
        process.join(TIMEOUT_S)


def _encode_until(address: str, make_way: bool, under_way: Event, over: Event, done: Any) -> None:
    with HashEncoder(address, priority="bulk", make_way=make_way) as encoder:
        size = encoder.input_size
        pictures = np.random.default_rng(0).integers(0, 256, (8 * encoder.batch_size, size, size, 3), np.uint8)
        while not over.is_set():
            encoder.encode(pictures)
            done.value += len(pictures)
            under_way.set()
