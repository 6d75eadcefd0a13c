"""`hashgrain index switch`, `rollback`, `generations`: which generation of an index is live."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from hashgrain.cli.main import echo_json
from hashgrain.cli.options import json_option, redis_option

if TYPE_CHECKING:
    from hashgrain.indexer import Generations


@click.command()
@click.argument("name")
@click.option("--to", type=int, help="The generation's number. [default: the one that was made last]")
@redis_option
@json_option
def switch(name: str, to: int | None, redis: str | None, as_json: bool) -> None:
    """Make another generation of the index NAME the live one.

    Whoever has the index open goes over to it at once; no answer is of both. The old one stays, to go back to, and
    can be read as NAME@NUMBER; drop it with `hashgrain index drop NAME@NUMBER`.
    """
    from hashgrain.indexer import switch_generation
    from hashgrain.runtime.addresses import resolve_redis

    _print(switch_generation(resolve_redis(redis), name, to), as_json)


@click.command()
@click.argument("name")
@redis_option
@json_option
def rollback(name: str, redis: str | None, as_json: bool) -> None:
    """Make the generation of the index NAME live again that was before."""
    from hashgrain.indexer import roll_back
    from hashgrain.runtime.addresses import resolve_redis

    _print(roll_back(resolve_redis(redis), name), as_json)


@click.command()
@click.argument("name")
@redis_option
@json_option
def generations(name: str, redis: str | None, as_json: bool) -> None:
    """List the generations of the index NAME; an asterisk marks the live one."""
    from hashgrain.indexer import list_generations
    from hashgrain.runtime.addresses import resolve_redis

    found = list_generations(resolve_redis(redis), name)
    if as_json:
        echo_json([dataclasses.asdict(one) for one in found])
        return
    for one in found:
        state = "live" if one.live else "not live yet" if one.state == "live" else one.state
        model = f"model {one.fingerprint[:12]}" if one.fingerprint else "of any model"
        click.echo(f"{'*' if one.live else ' '} {one.name}  {state}, {one.items:,} items, {model}")


def _print(now: Generations, as_json: bool) -> None:
    if as_json:
        echo_json(dataclasses.asdict(now))
        return
    before = f"; {now.name}@{now.past[-1]} was before" if now.past else ""
    click.echo(f"index {now.name} is {now.name}@{now.live} now{before}")
