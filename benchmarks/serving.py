"""Encoding and searching through Triton, beside what server and machine can do: `python -m benchmarks.serving`."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.bulk_encoding import INDEX, measure_bulk
from benchmarks.jpegs import write_jpegs
from benchmarks.models import write_repository
from benchmarks.server import own_servers
from benchmarks.serving_report import Run, as_json, as_text
from benchmarks.single_requests import measure_singles
from benchmarks.triton_overhead import measure_overhead
from benchmarks.wire_costs import measure_wire
from hashgrain.client import HashEncoder
from hashgrain.codes.images import decode
from hashgrain.runtime.addresses import model_repository
from hashgrain.runtime.servers import RunningServers


def main() -> None:
    """Measure on servers of its own, print everything, and leave nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=4096, help="JPEG files that are encoded in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15.0, help="for each row of single requests")
    parser.add_argument("--data", help="CIFAR-100, as `hashgrain demo --data` takes it; looked for when left out")
    parser.add_argument("--quick", action="store_true", help="512 files, one round, 2 s: whether it runs")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.images, arguments.rounds, arguments.seconds = 512, 1, 2.0
    with tempfile.TemporaryDirectory(prefix="hashgrain-benchmark-") as folder:
        models, pictures = Path(folder) / "models", Path(folder) / "pictures"
        pictures.mkdir()
        with own_servers(write_repository(model_repository(), models)) as servers:
            if servers.triton is None:
                parser.exit(1, f"the embedded Triton cannot run here: {servers.no_triton}\n")
            files = write_jpegs(pictures, arguments.images, arguments.data)
            run = measure(servers, pictures, files, arguments.rounds, arguments.seconds)
    print(json.dumps(as_json(run), indent=2) if arguments.json else as_text(run))


def measure(servers: RunningServers, folder: Path, files: str, rounds: int, seconds: float) -> Run:
    """All of it, on servers that run.

    Args:
        servers: with a Triton and an empty Redis.
        folder: of pictures.
        files: what they are, in words.
        rounds: how often everything is done in turn.
        seconds: for each row of single requests.
    """
    assert servers.triton is not None
    bulk = measure_bulk(servers, folder, rounds)
    batch, rates = measure_overhead(servers, min(1024, len(list(folder.iterdir()))), rounds)
    singles = measure_singles(servers, folder, INDEX, seconds)
    with HashEncoder(servers.triton.address) as encoder:
        size, layout = encoder.input_size, encoder.layout
    pictures = [decode(file.read_bytes(), size, file.name) for file in sorted(folder.iterdir())[: 32 * batch]]
    batches = [np.stack(pictures[start : start + batch]) for start in range(0, len(pictures) // batch * batch, batch)]
    wire = measure_wire(servers, batches, (layout.coarse_bytes, layout.fine_bytes), rounds)
    return Run(files, f"{servers.triton.software}, {servers.redis.software}", batch, bulk, rates, singles, wire)


if __name__ == "__main__":
    main()
