"""`hashgrain index dedup`: items of an index that lie within some bits of each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from hashgrain.cli.options import json_option, redis_option
from hashgrain.cli.progress import steps_done

if TYPE_CHECKING:
    from hashgrain.indexer import DuplicateGroup, NearPairs, Rank


@click.command()
@click.argument("name")
@click.option(
    "--radius", type=int, required=True, help="Bits, by --rank, within which two items are duplicates; 0: equal codes."
)
@click.option(
    "--rank",
    type=click.Choice(["total", "fine", "coarse"]),
    default="total",
    show_default=True,
    help="The Hamming distance that counts: of the fine code, of the coarse code, or the sum of both.",
)
@click.option("--pairs", is_flag=True, help="Print all pairs within the radius instead of groups.")
@redis_option
@json_option
def dedup(name: str, radius: int, rank: Rank, pairs: bool, redis: str | None, as_json: bool) -> None:
    """Find near duplicates in the index NAME, while it is in use.

    A group is what steps of the radius connect: its items may be farther apart than the radius where others lie
    between. Of each item the distance from the first of its group is shown. With --json, one group or pair a line.
    """
    from hashgrain.indexer import Index
    from hashgrain.runtime.addresses import resolve_redis

    with Index.open(resolve_redis(redis), name) as opened, steps_done(" steps") as progress:
        if pairs:
            _print_pairs(opened.duplicate_pairs(radius, rank, progress=progress), as_json)
        else:
            _print_groups(opened.duplicates(radius, rank, progress=progress), as_json)


def _print_groups(groups: Iterator[DuplicateGroup], as_json: bool) -> None:
    number = items = 0
    for group in groups:
        number, items = number + 1, items + len(group)
        if as_json:
            line = {"size": len(group), "ids": group.ids, "distances": group.distances.tolist()}
            click.echo(json.dumps(line, ensure_ascii=False))
            continue
        click.echo(f"group {number}: {len(group):,} items")
        for item, distance in zip(group.ids, group.distances.tolist(), strict=True):
            click.echo(f"{distance:9} bits  {item}")
    click.echo(f"{number:,} groups of {items:,} items; one of each kept, {items - number:,} could go", err=True)


def _print_pairs(found: Iterator[NearPairs], as_json: bool) -> None:
    number = 0
    for pairs in found:
        number += len(pairs)
        for one, other, distance in zip(pairs.one, pairs.other, pairs.distances.tolist(), strict=True):
            if as_json:
                click.echo(json.dumps({"ids": [one, other], "distance": distance}, ensure_ascii=False))
            else:
                click.echo(f"{distance}\t{one}\t{other}")
    click.echo(f"{number:,} pairs", err=True)
