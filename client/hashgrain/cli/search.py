"""`hashgrain search`: which indexed items are nearest to some pictures."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

import click

from hashgrain.cli.main import echo_json
from hashgrain.cli.options import json_option, redis_option, triton_option

if TYPE_CHECKING:
    from hashgrain.client import Encoded
    from hashgrain.indexer import Hit


@click.command()
@click.argument("name")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=click.Path())
@click.option("--k", type=int, default=10, show_default=True, help="Neighbours of each image.")
@click.option(
    "--rank",
    type=click.Choice(["total", "fine", "coarse"]),
    default="total",
    show_default=True,
    help="The Hamming distance that orders them: of the fine code, of the coarse code, or the sum of both.",
)
@click.option("--candidates", type=int, help="Read buckets until they hold this many items. [default: 4096]")
@click.option("--probes", type=int, help="Read this many buckets instead.")
@click.option(
    "--radius", type=int, help="Read all buckets that can hold items within this many differing coarse bits instead."
)
@click.option("--within", type=int, help="Show only items at this distance or less, and miss none.")
@click.option("--exact", is_flag=True, help="Read all buckets.")
@click.option("--refine", type=int, help="Order this many of the best again by the image's own logits, before --k.")
@click.option("--deadline", type=float, help="Seconds after which the best so far is shown. [default: none]")
@click.option("--collapse", type=int, help="Of items within so many bits of each other, by --rank, show the best only.")
@click.option("--filter", metavar="JSON", help='Only items that match, as \'{"tenant": "acme", "price": {"lt": 20}}\'.')
@click.option("--payloads", is_flag=True, help="Show the items' payloads too.")
@click.option("--explain", is_flag=True, help="Show which buckets were read and why, and what each step cost.")
@triton_option
@redis_option
@json_option
def search(
    name: str,
    images: tuple[str, ...],
    triton: str | None,
    redis: str | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Search the index NAME for the items nearest to each IMAGE.

    Images that cannot be read are told at the end, with exit code 1; the others are searched for all the same.
    """
    from hashgrain.client import HashEncoder
    from hashgrain.indexer import Filter, Index, SearchRequest
    from hashgrain.runtime.addresses import resolve_redis, resolve_triton

    asked["filter"] = None if asked["filter"] is None else Filter.parse(asked["filter"])
    SearchRequest(**asked)  # refuse what cannot be asked before any server is
    with Index.open(resolve_redis(redis), name) as opened, HashEncoder(resolve_triton(triton)) as encoder:
        opened.require_fingerprint(encoder.fingerprint)
        opened.layout.require(encoder.layout, f"index {name!r}")
        encoded = encoder.encode_readable(list(images), logits=asked["refine"] is not None)
        hits = opened.search(encoded.codes, **asked, fingerprint=encoder.fingerprint)
    queries = [images[position] for position in encoded.kept.tolist()]
    if as_json:
        echo_json(_as_json(queries, hits, encoded))
    else:
        for query, hit in zip(queries, hits, strict=True):
            _print(query, hit)
    for rejected in encoded.rejected:
        click.echo(f"error: {rejected}", err=True)
    if encoded.rejected:
        sys.exit(1)


def _print(query: str, hit: Hit) -> None:
    proof = "exact" if hit.exact else f"complete within {hit.complete_radius} coarse bits"
    if hit.complete_radius < 0:
        proof = "complete within no radius"
    late = ", stopped at the deadline" if hit.partial else ""
    read = "1 bucket" if hit.buckets == 1 else f"{hit.buckets:,} buckets"
    click.echo(f"{query}  ({hit.candidates:,} candidates in {read}, {proof}{late})")
    if not hit.ids:
        click.echo("     nothing found")
    for place, item in enumerate(hit.ids):
        payload = hit.payloads[place] if hit.payloads else None
        shown = "" if payload is None else "  " + json.dumps(payload, ensure_ascii=False)
        click.echo(f"{place + 1:5}  {hit.distances[place]:4} bits  {item}{shown}")
    for line in hit.explanation.lines() if hit.explanation else ():
        click.echo(f"     {line}")


def _as_json(queries: list[str], hits: list[Hit], encoded: Encoded) -> dict[str, Any]:
    return {
        "queries": [
            {
                "image": query,
                "neighbours": _neighbours(hit),
                "candidates": hit.candidates,
                "buckets": hit.buckets,
                "complete_radius": hit.complete_radius,
                "exact": hit.exact,
                "partial": hit.partial,
                **({"explanation": dataclasses.asdict(hit.explanation)} if hit.explanation else {}),
            }
            for query, hit in zip(queries, hits, strict=True)
        ],
        "rejected": [{"image": image.name, "reason": image.reason} for image in encoded.rejected],
    }


def _neighbours(hit: Hit) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for place, item in enumerate(hit.ids):
        row = {"id": item, "distance": int(hit.distances[place])}
        rows.append(row if hit.payloads is None else {**row, "payload": hit.payloads[place]})
    return rows
