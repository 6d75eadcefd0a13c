"""Requests under way, a fixed number or the one that the encoder finds by itself: `python -m benchmarks.in_flight`.

One client in full batches, one in batches of 8, one behind a way of 40 ms and back, and two clients on one server. Each
line is the median of the rounds, in which all settings take turns: images/s of all clients together, and how many
requests waited in the server's queue on average (its own statistics: waiting time per time, Little's law). The model is
`timed_model`, or with --default the one that this repository serves.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.long_way import LongWay
from benchmarks.timed_model import write_timed_repository
from hashgrain.client import HashEncoder, Timeouts
from hashgrain.client.encoding.decoding import Named
from hashgrain.client.wire.address import parse_address
from hashgrain.client.wire.transport import Transport, open_transport
from hashgrain.runtime.servers import StartSettings, start, stop

DEFAULT_REPOSITORY = Path(__file__).resolve().parent.parent / "model_repository"


@dataclass(frozen=True)
class Case:
    """What is compared: clients at a time, images of a request, and the way to the server in seconds."""

    name: str
    clients: int = 1
    batch: int | None = None
    way_s: float = 0.0


CASES = (
    Case("one client"),
    Case("one client, 8 images a request", batch=8),
    Case("one client, 40 ms away", way_s=0.04),
    Case("two clients", clients=2),
)


def main() -> None:
    """Run every case with every setting, and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="of each setting in each round")
    parser.add_argument("--rounds", type=int, default=3, help="beside one to warm up")
    parser.add_argument("--fixed", type=int, nargs="*", default=[1, 2, 4, 8, 16])
    parser.add_argument("--default", action="store_true", help="the default model instead of the timed one")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        repository = DEFAULT_REPOSITORY
        if not arguments.default:
            with HashEncoder(repository) as encoder:
                layout = encoder.layout
            repository = Path(folder) / "models"
            write_timed_repository(DEFAULT_REPOSITORY, repository, layout.coarse_bytes, layout.fine_bytes)
        home = Path(folder) / "home"
        try:
            triton = start(StartSettings(home=home, model_repository=repository), announce=print).triton
            assert triton is not None, "this needs the embedded Triton, see `hashgrain doctor`"
            print(f"{triton.software}, {arguments.rounds} rounds of {arguments.seconds:g} s, one to warm up")
            for case in CASES:
                _compare(case, triton.address, arguments)
        finally:
            stop(home)


def _compare(case: Case, address: str, arguments: argparse.Namespace) -> None:
    observer = open_transport(parse_address(address))
    observer.connect(5)
    with ExitStack() as stack:
        near = stack.enter_context(LongWay(address, case.way_s)).address if case.way_s else address
        settings: dict[str, list[HashEncoder]] = {
            str(fixed or "adaptive"): [
                stack.enter_context(
                    HashEncoder(near, batch_size=case.batch, in_flight=fixed, timeouts=Timeouts(request=300))
                )
                for _ in range(case.clients)
            ]
            for fixed in (*arguments.fixed, None)
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in settings}
        for _ in range(1 + arguments.rounds):
            for name, encoders in settings.items():
                found[name].append(_measure(encoders, observer, arguments.seconds))
        limits = [encoder.in_flight for encoder in settings["adaptive"]]
    observer.close()
    rates = {name: median(rate for rate, _ in rounds[1:]) for name, rounds in found.items()}
    best = max(rate for name, rate in rates.items() if name != "adaptive")
    print(f"\n{case.name}; the adaptive number was {limits} in the end")
    for name, rounds in found.items():
        waiting = median(waiting for _, waiting in rounds[1:])
        print(f"{name:>10} under way{rates[name]:9,.0f} images/s{rates[name] / best:8.2f} x the best fixed "
              f"{waiting:8.1f} waiting")  # fmt: skip


def _measure(encoders: list[HashEncoder], observer: Transport, seconds: float) -> tuple[float, float]:
    """Images per second of all together, and requests that wait on average."""
    before, begun = observer.statistics(5), time.perf_counter()
    with ThreadPoolExecutor(len(encoders)) as pool:
        images = sum(pool.map(lambda encoder: _encode(encoder, begun + seconds), encoders))
    after, ended = observer.statistics(5), time.perf_counter()
    assert before is not None
    assert after is not None
    return images / (ended - begun), (after.queue_ns - before.queue_ns) / 1e9 / (ended - begun)


def _encode(encoder: HashEncoder, until: float) -> int:
    picture = np.random.default_rng(0).integers(0, 256, (encoder.input_size, encoder.input_size, 3), np.uint8)

    def pictures() -> Iterator[Named]:
        for named in repeat(("picture", picture)):
            if time.perf_counter() > until:
                return
            yield named

    return sum(part.total for part in encoder.encode_stream(pictures()))


if __name__ == "__main__":
    main()
