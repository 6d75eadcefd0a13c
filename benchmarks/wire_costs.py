"""What it costs to bring pictures to Triton: in the message, through shared memory, or compressed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http
import tritonclient.utils.shared_memory as shared_memory
from numpy.typing import NDArray

from benchmarks.cpu_time import cpu_seconds
from hashgrain.codes.contract import COARSE_CODE, ENCODER_MODEL, FINE_CODE, IMAGE
from hashgrain.runtime.servers import RunningServers

IN_FLIGHT = 4
CODES = (COARSE_CODE, FINE_CODE)
MESSAGE, SHARED_INPUT, SHARED_BOTH, COMPRESSED = "gRPC", "gRPC, pictures shared", "gRPC, codes too", "gRPC, gzip"
HTTP, HTTP_COMPRESSED = "HTTP", "HTTP, gzip"

Send: TypeAlias = Callable[[NDArray[Any]], object]


@dataclass(frozen=True)
class Wire:
    """One way, over the rounds.

    Attributes:
        rate: pictures per second, the median.
        cpu: milliseconds of CPU for a picture in this process and in Triton's own, the network left out.
    """

    rate: float
    cpu: float


def measure_wire(
    servers: RunningServers, batches: list[NDArray[np.uint8]], widths: tuple[int, ...], rounds: int
) -> dict[str, Wire]:
    """Send the same batches in every way in turn, four at a time; one more round warms up.

    Args:
        servers: with a Triton, on this machine.
        batches: uint8 (B, S, S, 3) of real pictures, all of the same shape: noise would not be compressed.
        widths: bytes of the coarse and of the fine code.
        rounds: how often.
    """
    assert servers.triton is not None
    triton = servers.triton
    found: dict[str, list[tuple[float, float]]] = {}
    with ExitStack() as stack:
        workers = stack.enter_context(ThreadPoolExecutor(IN_FLIGHT))
        by_grpc = stack.enter_context(grpc.InferenceServerClient(triton.address.removeprefix("grpc://")))
        regions = [stack.enter_context(_region(by_grpc, slot, batches[0], widths)) for slot in range(IN_FLIGHT)]
        by_http = _client_of_each_thread(triton.http.removeprefix("http://"))
        ways = {
            MESSAGE: _plain(grpc, lambda: by_grpc, {}),
            SHARED_INPUT: _shared(by_grpc, regions, widths, codes=False),
            SHARED_BOTH: _shared(by_grpc, regions, widths, codes=True),
            COMPRESSED: _plain(grpc, lambda: by_grpc, {"compression_algorithm": "gzip"}),
            HTTP: _plain(http, by_http, {}),
            HTTP_COMPRESSED: _plain(http, by_http, {"request_compression_algorithm": "gzip"}),
        }
        for _ in range(rounds + 1):
            for name, send in ways.items():
                before, begun = _cpu(triton.process.pid), time.perf_counter()
                list(workers.map(send, batches))
                seconds, cpu = time.perf_counter() - begun, _cpu(triton.process.pid) - before
                found.setdefault(name, []).append((seconds, cpu))
    pictures = len(batches) * len(batches[0])
    return {
        name: Wire(
            float(np.median([pictures / seconds for seconds, _ in rows[1:]])),
            float(1000 * np.mean([cpu for _, cpu in rows[1:]]) / pictures),
        )
        for name, rows in found.items()
    }


def _cpu(pid: int) -> float:
    return time.process_time() + cpu_seconds(pid, descendants=False)


def _client_of_each_thread(address: str) -> Callable[[], http.InferenceServerClient]:
    """A client of tritonclient's over HTTP belongs to one thread."""
    own = threading.local()

    def client() -> http.InferenceServerClient:
        if not hasattr(own, "client"):
            own.client = http.InferenceServerClient(address)
        return own.client

    return client


def _plain(protocol: Any, client: Callable[[], Any], compression: dict[str, str]) -> Send:
    def send(batch: NDArray[Any]) -> object:
        tensor = protocol.InferInput(IMAGE, list(batch.shape), "UINT8")
        tensor.set_data_from_numpy(batch)
        wanted = [protocol.InferRequestedOutput(name) for name in CODES]
        answer = client().infer(ENCODER_MODEL, [tensor], outputs=wanted, priority=2, **compression)
        return [answer.as_numpy(name) for name in CODES]

    return send


class _Region(NamedTuple):
    """A shared memory for one request at a time: the pictures, then the codes."""

    name: str
    handle: Any


@contextmanager
def _region(
    client: grpc.InferenceServerClient, slot: int, batch: NDArray[Any], widths: tuple[int, ...]
) -> Iterator[_Region]:
    name = f"hashgrain-benchmark-{os.getpid()}-{slot}"
    size = batch.nbytes + len(batch) * sum(widths)
    handle = shared_memory.create_shared_memory_region(name, f"/{name}", size)
    try:
        client.register_system_shared_memory(name, f"/{name}", size)
        try:
            yield _Region(name, handle)
        finally:
            client.unregister_system_shared_memory(name)
    finally:
        shared_memory.destroy_shared_memory_region(handle)


def _shared(client: grpc.InferenceServerClient, regions: list[_Region], widths: tuple[int, ...], codes: bool) -> Send:
    def send(batch: NDArray[Any]) -> object:
        region = regions.pop()  # as many as there are requests at a time; list.pop and append are atomic
        try:
            shared_memory.set_shared_memory_region(region.handle, [batch])
            tensor = grpc.InferInput(IMAGE, list(batch.shape), "UINT8")
            tensor.set_shared_memory(region.name, batch.nbytes)
            wanted, offset = [], batch.nbytes
            for name, width in zip(CODES, widths, strict=True):
                output = grpc.InferRequestedOutput(name)
                if codes:
                    output.set_shared_memory(region.name, len(batch) * width, offset)
                wanted.append(output)
                offset += len(batch) * width
            answer = client.infer(ENCODER_MODEL, [tensor], outputs=wanted, priority=2)
            return _from_region(region, batch, widths) if codes else [answer.as_numpy(name) for name in CODES]
        finally:
            regions.append(region)

    return send


def _from_region(region: _Region, batch: NDArray[Any], widths: tuple[int, ...]) -> list[NDArray[Any]]:
    offset, found = batch.nbytes, []
    for width in widths:
        shape = [len(batch), width]
        found.append(shared_memory.get_contents_as_numpy(region.handle, np.uint8, shape, offset).copy())
        offset += len(batch) * width
    return found
