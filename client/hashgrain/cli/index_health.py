"""`hashgrain index health`: what a sample says of an index's buckets and codes, in figures and on a page."""

from __future__ import annotations

from html import escape
from math import log2
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray

from hashgrain.cli.main import echo_json
from hashgrain.cli.options import json_option, redis_option

if TYPE_CHECKING:
    from hashgrain.indexer import BitHealth, IndexHealth, IndexStats

LARGEST = 5

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{name}: health</title>
<style>body {{ font: 14px sans-serif; max-width: 1100px; margin: 2em auto; }} svg {{ margin: 6px; }}
table {{ border-collapse: collapse; }} td {{ padding: 3px 12px; border-bottom: 1px solid #ddd; }}</style>
<h1>Index {name}</h1>
<table>{rows}</table>
{charts}
</html>
"""


@click.command()
@click.argument("name")
@click.option("--items", type=int, default=20_000, show_default=True, help="Sample the codes of so many items.")
@click.option("--queries", type=int, default=100, show_default=True, help="Search exhaustively for so many of them.")
@click.option("--k", type=int, default=10, show_default=True, help="Neighbours of each.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn.")
@click.option(
    "--plot", metavar="FILE.html", type=click.Path(path_type=Path), help="Write the figures as pictures, too."
)
@redis_option
@json_option
def health(
    name: str, items: int, queries: int, k: int, seed: int, plot: Path | None, redis: str | None, as_json: bool
) -> None:
    """Measure on a sample how healthy the index NAME and its codes are, while it is in use.

    How evenly items fill the buckets, how balanced and how independent the bits are, where the memory goes, and what
    the default search compares and finds of what an exhaustive one does.
    """
    from hashgrain.indexer import Index
    from hashgrain.runtime.addresses import resolve_redis

    with Index.open(resolve_redis(redis), name) as opened:
        stats, found = opened.stats(), opened.health(items, queries, k, seed)
    if plot:
        plot.write_text(page(stats, found), "utf-8")
    if as_json:
        echo_json(_as_json(stats, found))
        return
    for label, text in rows(stats, found):
        click.echo(f"{label:17}{text}")


def rows(stats: IndexStats, found: IndexHealth) -> list[tuple[str, str]]:
    """The figures as text, each with its label."""
    largest = ", ".join(f"{size:,}" for size in found.sizes[:LARGEST].tolist())
    memory = ", ".join(f"{part} {size / max(stats.items, 1):.1f}" for part, size in stats.memory_of.items())
    return [
        ("index", f"{stats.name}, {stats.items:,} items"),
        ("buckets", f"{len(found.sizes):,}, the largest of {largest} records"),
        ("bucket entropy", f"{found.entropy:.2f} bits of {log2(len(found.sizes)):.2f} at most"),
        ("bucket radius", f"{found.radius:.1f} bits on average, from the centroid to what may lie farthest"),
        ("bytes per item", f"{stats.memory / max(stats.items, 1):.1f}: {memory}"),
        ("sample", f"{found.sampled:,} items, {found.repeated:.1%} of them with the codes of another"),
        ("coarse codes", f"{found.coarse_codes:,} in the sample, entropy {found.coarse_entropy:.2f} bits"),
        ("coarse bits", _bits(found.coarse)),
        ("fine bits", _bits(found.fine)),
        (
            "default search",
            f"compares {found.compared:.2%} of the items in {found.buckets_read:.0f} buckets; recall@{found.k} "
            f"{found.recall:.3f} against exhaustive search for {found.queries:,} sampled items, {found.proven:.0%} of "
            "the answers proven exact",
        ),
    ]


def page(stats: IndexStats, found: IndexHealth) -> str:
    """The figures and their pictures as HTML."""
    from hashgrain.export.charts import Axis, heat_map, line_chart

    cells = "\n".join(f"<tr><td>{escape(label)}</td><td>{escape(text)}</td></tr>" for label, text in rows(stats, found))
    sizes = found.sizes.astype(float)
    share = np.arange(1, len(sizes) + 1) / len(sizes)
    kept = np.unique(np.linspace(0, len(sizes) - 1, 200).astype(int))
    buckets = line_chart(
        "Records of the buckets, the largest first",
        Axis("share of the buckets", 0, 1, (0, 0.25, 0.5, 0.75, 1)),
        Axis("records", 0, float(sizes[0]) or 1, _ticks(sizes[0])),
        {"records": [(float(share[n]), float(sizes[n])) for n in kept.tolist()]},
    )
    ones = line_chart(
        "Share of ones of each bit, sorted",
        Axis("share of the bits", 0, 1, (0, 0.25, 0.5, 0.75, 1)),
        Axis("share of ones", 0, 1, (0, 0.25, 0.5, 0.75, 1)),
        {"coarse": _sorted(found.coarse.ones), "fine": _sorted(found.fine.ones)},
    )
    maps = [
        heat_map(f"|Correlation| of {kind} bits", np.abs(bits.correlation))
        for kind, bits in (("coarse", found.coarse), ("fine", found.fine))
    ]
    return PAGE.format(name=escape(stats.name), rows=cells, charts="\n".join([buckets, ones, *maps]))


def _bits(bits: BitHealth) -> str:
    worst = int(np.abs(bits.ones - 0.5).argmax())
    return (
        f"imbalance {bits.imbalance:.3f}, the worst bit {worst} with {bits.ones[worst]:.2f} ones; mean correlation "
        f"{bits.mean_correlation:.3f}"
    )


def _sorted(ones: NDArray[np.float64]) -> list[tuple[float, float]]:
    return [(n / max(len(ones) - 1, 1), float(one)) for n, one in enumerate(np.sort(ones))]


def _ticks(most: float) -> tuple[float, ...]:
    return tuple(round(most * part) for part in (0, 0.25, 0.5, 0.75, 1))


def _as_json(stats: IndexStats, found: IndexHealth) -> dict[str, object]:
    return {
        "name": stats.name,
        "items": stats.items,
        "buckets": len(found.sizes),
        "largest_buckets": found.sizes[:LARGEST].tolist(),
        "bucket_entropy": found.entropy,
        "bucket_radius": found.radius,
        "memory_of": dict(stats.memory_of),
        "sampled": found.sampled,
        "repeated": found.repeated,
        "coarse_codes": found.coarse_codes,
        "coarse_entropy": found.coarse_entropy,
        "coarse_ones": found.coarse.ones.tolist(),
        "fine_ones": found.fine.ones.tolist(),
        "coarse_correlation": found.coarse.mean_correlation,
        "fine_correlation": found.fine.mean_correlation,
        "queries": found.queries,
        "k": found.k,
        "compared": found.compared,
        "buckets_read": found.buckets_read,
        "recall": found.recall,
        "proven": found.proven,
    }
