"""`hashgrain demo`: the whole way once, on real servers."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hashgrain.cli.main import echo_json
from hashgrain.cli.options import json_option, redis_option, triton_option

if TYPE_CHECKING:
    from hashgrain.demo.run import Figures


@click.command()
@click.option(
    "--data",
    help="Pictures: a folder of Parquet files (train*, test*), a CIFAR python archive, or a folder "
    "tree of classes. [default: CIFAR-100 where it is at hand, else downloaded, else drawn pictures]",
)
@click.option("--images", type=click.IntRange(min=10), default=20_000, show_default=True, help="Pictures to index.")
@click.option("--queries", type=click.IntRange(min=1), default=1000, show_default=True, help="Pictures to search by.")
@click.option(
    "--page",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("demo.html"),
    show_default=True,
    help="Where the page with pictures goes.",
)
@click.option("--keep", is_flag=True, help="Leave servers running that this command started.")
@triton_option
@redis_option
@json_option
def demo(
    data: str | None,
    images: int,
    queries: int,
    page: Path,
    keep: bool,
    triton: str | None,
    redis: str | None,
    as_json: bool,
) -> None:
    """Encode a real collection through Triton, index it in Redis, search it, and show what came.

    Starts embedded servers where none run, writes figures and a page with pictures, and stops what it started.
    """
    from tqdm import tqdm

    from hashgrain.demo.collection import find_collection
    from hashgrain.demo.page import demo_page
    from hashgrain.demo.run import run_demo
    from hashgrain.runtime.redis_server import ask_servers, redis_software
    from hashgrain.runtime.servers import start, stop

    def announce(line: str) -> None:
        click.echo(line, err=True)

    started: tuple[str, ...] = ()
    begin = time.monotonic()
    if triton is None or redis is None:
        servers = start(announce=announce)
        started = servers.started
        if servers.no_triton:
            announce(f"no Triton on this machine ({servers.no_triton}): encoding in process")
        triton, redis = triton or servers.triton_address, redis or servers.redis_address
    try:
        collection = find_collection(data, images, queries, announce)
        announce(f"pictures: {collection.source}")
        with tqdm(total=len(collection.images), unit="image", disable=not sys.stderr.isatty()) as bar:
            outcome = run_demo(collection, triton, redis, redis_software(ask_servers(redis)[0]), bar.update)
        page.write_text(demo_page(collection, outcome))
    finally:
        if "redis" in started and not keep:  # where only Triton was missing, the servers are somebody's
            stop()
    if as_json:
        echo_json({**outcome.figures.as_dict(), "page": str(page), "seconds": round(time.monotonic() - begin, 1)})
        return
    _print(outcome.figures)
    click.echo(f"page       {page.absolute()}")
    click.echo(f"took       {time.monotonic() - begin:.0f} s")


def _print(figures: Figures) -> None:
    for label, text in (
        ("servers", f"{figures.encoder}, {figures.store}; model {figures.fingerprint}"),
        (
            "indexed",
            f"{figures.images:,} pictures, {figures.encode_images_per_s:,.0f} images/s through encoder and index",
        ),
        (
            "lookup",
            f"p50 {figures.lookup_p50_ms:.2f} ms, p99 {figures.lookup_p99_ms:.2f} ms over {figures.queries:,} "
            f"queries, k = 10, {figures.mean_candidates:,.0f} records ranked each",
        ),
        ("request", f"p50 {figures.request_p50_ms:.1f} ms from a picture to its neighbours"),
        (
            "precision",
            f"coarse @10 {figures.coarse_precision_at_10:.3f} (superclass), "
            f"fine @10 {figures.fine_precision_at_10:.3f} (class)",
        ),
        ("memory", f"{figures.bytes_per_item:.0f} bytes per item in Redis, ids and payloads included"),
    ):
        click.echo(f"{label:<10} {text}")
