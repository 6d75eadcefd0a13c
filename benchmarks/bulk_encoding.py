"""Bulk encoding from files into an index, beside what the server and the machine's cores can do at most."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cpu_time import cpu_seconds
from hashgrain.cli.index_sink import IndexSink
from hashgrain.client import HashEncoder
from hashgrain.client.bulk.job import encode_collection
from hashgrain.client.sources.open_source import open_sources
from hashgrain.codes.cores import usable_cores
from hashgrain.runtime.servers import RunningServers

INDEX = "bulk"


@dataclass(frozen=True)
class Split:
    """Milliseconds of CPU for each picture, by who worked.

    Attributes:
        read, decode, send, write: the client's stages; send is what the requests cost it.
        rest: of the client: queues, plans, the interpreter.
        server: Triton with its models.
        redis: the index's server.
    """

    read: float
    decode: float
    send: float
    write: float
    rest: float
    server: float
    redis: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.read + self.decode + self.send + self.write + self.rest + self.server + self.redis


@dataclass(frozen=True)
class Bulk:
    """Pictures per second, medians over the rounds, and the CPU time of one picture.

    Attributes:
        rate: from files into the index.
        ceiling: of the server, by ready-made full batches with as many requests in flight.
        to_ceiling, to_limit: medians of the rounds' own ratios, to the ceiling and to `limit`.
        split: where the CPU time of bulk encoding goes.
        ceiling_server: milliseconds of CPU in the server for a picture at the ceiling.
        cores: that client and servers share.
    """

    rate: float
    ceiling: float
    to_ceiling: float
    to_limit: float
    split: Split
    ceiling_server: float
    cores: int

    @property
    def limit(self) -> float:
        """What the cores could do for a whole picture if no core ever waited."""
        return 1000 * self.cores / self.split.total


def measure_bulk(servers: RunningServers, folder: Path, rounds: int) -> Bulk:
    """Encode a folder of pictures into an index, and as many ready-made ones, in turn; one more round warms up.

    Args:
        servers: with a Triton.
        folder: of pictures.
        rounds: how often.
    """
    with HashEncoder(servers.triton_address, priority="bulk") as encoder:
        count = sum(1 for _ in folder.iterdir()) // encoder.batch_size * encoder.batch_size
        ready = _ready_made(encoder, count)
        _closed_loop(servers, encoder, ready)
        _bulk(servers, encoder, folder)
        found = [(_closed_loop(servers, encoder, ready), _bulk(servers, encoder, folder)) for _ in range(rounds)]
    splits = [split for _, (_, split) in found]
    split = Split(*(statistics.median(getattr(one, name) for one in splits) for name in Split.__dataclass_fields__))
    return Bulk(
        rate=statistics.median(rate for _, (rate, _) in found),
        ceiling=statistics.median(rate for (rate, _), _ in found),
        to_ceiling=statistics.median(rate / ceiling for (ceiling, _), (rate, _) in found),
        to_limit=statistics.median(rate * one.total / 1000 / usable_cores() for _, (rate, one) in found),
        split=split,
        ceiling_server=statistics.median(server for (_, server), _ in found),
        cores=usable_cores(),
    )


def _ready_made(encoder: HashEncoder, count: int) -> NDArray[np.uint8]:
    size = encoder.input_size
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def _closed_loop(servers: RunningServers, encoder: HashEncoder, ready: NDArray[Any]) -> tuple[float, float]:
    """Pictures per second, and the server's milliseconds of CPU for one."""
    assert servers.triton is not None
    before, begun = cpu_seconds(servers.triton.process.pid), time.perf_counter()
    encoder.encode(ready)
    seconds = time.perf_counter() - begun
    return len(ready) / seconds, 1000 * (cpu_seconds(servers.triton.process.pid) - before) / len(ready)


def _bulk(servers: RunningServers, encoder: HashEncoder, folder: Path) -> tuple[float, Split]:
    """Pictures per second, and where the CPU time of one goes."""
    assert servers.triton is not None
    processes = (servers.triton.process.pid, servers.redis.process.pid)
    before, own = [cpu_seconds(pid) for pid in processes], time.process_time()
    with IndexSink(servers.redis_address, INDEX, encoder) as sink:
        receipt = encode_collection(encoder, open_sources((str(folder),)), sink)
    own = time.process_time() - own
    server, redis = (cpu_seconds(pid) - earlier for pid, earlier in zip(processes, before, strict=True))
    stages = {time.stage: time.cpu_seconds for time in receipt.stages}
    seconds = (
        *(stages[stage] for stage in ("read", "decode", "infer", "write")),
        max(0.0, own - sum(stages.values())),
        server,
        redis,
    )
    return receipt.images_per_second, Split(*(1000 * each / receipt.encoded for each in seconds))
