"""A run of `serving` as text and as JSON: what was measured, the ratios, and every target with how far it is."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.bulk_encoding import Bulk
from benchmarks.models import LATE_S
from benchmarks.single_requests import CLIENTS, PACED_PER_SECOND, Latency, Singles
from benchmarks.targets import Target
from benchmarks.triton_overhead import BARE, GRPC
from benchmarks.wire_costs import MESSAGE, Wire


@dataclass(frozen=True)
class Run:
    """All that was measured.

    Attributes:
        files: what was encoded, in words.
        software: Triton and Redis with their versions.
        batch: pictures of one request.
        bulk, rates, singles, wire: see the modules that measure them.
    """

    files: str
    software: str
    batch: int
    bulk: Bulk
    rates: dict[str, float]
    singles: Singles
    wire: dict[str, Wire]


def as_text(run: Run) -> str:
    """All of it."""
    return "\n".join(
        [
            "",
            f"{platform.machine()}, {run.bulk.cores} cores, which clients and servers share; "
            f"Python {platform.python_version()}, {run.software}",
            run.files,
            "",
            *_bulk(run.bulk, run.batch),
            "",
            f"ready-made batches of {run.batch}",
            *(f"  {name:28}{rate:9,.0f} images/s{rate / run.rates[BARE]:8.2f}" for name, rate in run.rates.items()),
            "",
            f"{'single requests, ms':58}{'p50':>8}{'p99':>9}{'requests':>10}",
            *_singles(run.singles),
            "",
            f"{'to Triton on this machine':30}{'images/s':>10}{'':8}{'CPU-ms/image beside the network':>34}",
            *(
                f"  {name:28}{wire.rate:10,.0f}{wire.rate / run.wire[MESSAGE].rate:8.2f}{wire.cpu:34.3f}"
                for name, wire in run.wire.items()
            ),
            "",
            "targets",
            *(target.line() for target in targets(run)),
        ]
    )


def as_json(run: Run) -> dict[str, Any]:
    """All of it, for programs."""
    rows = [
        {"what": t.what, "value": t.value, "bound": t.bound, "at_most": t.at_most, "verdict": t.verdict()}
        for t in targets(run)
    ]
    return {**asdict(run), "limit": run.bulk.limit, "targets": rows}


def targets(run: Run) -> list[Target]:
    """Every figure that serving is to reach."""
    bulk, singles = run.bulk, run.singles
    return [
        Target("bulk from files / the server's ceiling", bulk.to_ceiling, 0.9, at_most=False),
        Target("bulk from files / what the shared cores can do for all stages", bulk.to_limit, 0.9, at_most=False),
        Target("Triton over gRPC / ONNX Runtime as it comes", run.rates[GRPC] / run.rates[BARE], 0.85, at_most=False),
        Target("pixel_search beyond the encoder, p50", singles.joined.p50 - singles.encoder.p50, 1, unit=" ms"),
        Target(
            f"  where answers may be {LATE_S} s late", singles.late.p50 - singles.encoder.p50, 1, unit=" ms"
        ),
        Target("image_search beyond the encoder, p50, pixels", singles.pixels.p50 - singles.encoder.p50, 1, unit=" ms"),
        Target("image_search beyond the encoder, p50, JPEG", singles.jpeg.p50 - singles.encoder.p50, 1, unit=" ms"),
        Target(
            f"p99 of {CLIENTS} clients at {PACED_PER_SECOND:g}/s each beside bulk / alone",
            singles.paced_beside.p99 / singles.jpeg.p99, 3,
        ),
        Target(
            f"p99 of {CLIENTS} clients that ask at once again beside bulk / alone",
            singles.eight_beside.p99 / singles.jpeg.p99, 3,
        ),
    ]  # fmt: skip


def _bulk(bulk: Bulk, batch: int) -> list[str]:
    split = bulk.split
    return [
        f"bulk encoding into an index {bulk.rate:,.0f} images/s; ready-made batches of {batch}, the server's ceiling, "
        f"{bulk.ceiling:,.0f}: {bulk.to_ceiling:.2f}",
        f"CPU-ms per image: read {split.read:.2f}, decode {split.decode:.2f}, send {split.send:.2f}, "
        f"write {split.write:.2f}, other work of the client {split.rest:.2f}, Triton {split.server:.2f} "
        f"(at the ceiling {bulk.ceiling_server:.2f}), Redis {split.redis:.2f}",
        f"together {split.total:.2f} on {bulk.cores} cores: {bulk.limit:,.0f} images/s if no core ever waited, of "
        f"which {bulk.to_limit:.2f}; decoding alone {1000 * bulk.cores / split.decode:,.0f}, the network alone "
        f"{1000 * bulk.cores / split.server:,.0f}",
    ]


def _singles(singles: Singles) -> list[str]:
    rows = (
        ("hash_encoder, pixels, 1 client", singles.encoder),
        ("  by a model of Python that hands it on", singles.handed_on),
        ("pixel_search, 1 client", singles.joined),
        (f"  where answers may be {LATE_S} s late", singles.late),
        ("image_search, pixels, 1 client", singles.pixels),
        ("image_search, JPEG, 1 client", singles.jpeg),
        ("  that was asked for before", singles.repeated),
        (f"image_search, JPEG, {CLIENTS} clients, each again at once", singles.eight),
        ("  and beside bulk encoding", singles.eight_beside),
        (f"image_search, JPEG, {CLIENTS} clients, {PACED_PER_SECOND:g}/s each", singles.paced),
        (f"  and beside bulk encoding, {singles.bulk_making_way:,.0f} images/s", singles.paced_beside),
        (f"  that does not make way, {singles.bulk_full_speed:,.0f} images/s", singles.full_speed_beside),
    )
    return [_latency(name, latency) for name, latency in rows]


def _latency(name: str, latency: Latency) -> str:
    return f"  {name:56}{latency.p50:8.1f}{latency.p99:9.1f}{latency.requests:10,}"
