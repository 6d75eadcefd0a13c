"""`hashgrain index`: create, fill, look into, check, dump and drop indexes in Redis."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashgrain.cli.ids_given import integers_option, read_ids
from hashgrain.cli.index_acl import acl
from hashgrain.cli.index_check import check
from hashgrain.cli.index_dedup import dedup
from hashgrain.cli.index_generations import generations, rollback, switch
from hashgrain.cli.index_health import health
from hashgrain.cli.index_items import get, ids, payload
from hashgrain.cli.index_rebuild import rebuild
from hashgrain.cli.index_transfer import dump, load
from hashgrain.cli.main import echo_json
from hashgrain.cli.options import json_option, redis_option, triton_option
from hashgrain.cli.progress import items_done
from hashgrain.codes import CodeLayout

if TYPE_CHECKING:
    from hashgrain.indexer import IndexStats

ROWS_AT_ONCE = 10_000


@click.group()
def index() -> None:
    """Create, fill, look into, check, dump and drop indexes in Redis."""


for command in (acl, check, dedup, dump, generations, get, health, ids, load, payload, rebuild, rollback, switch):
    index.add_command(command)


@index.command()
@click.argument("name")
@click.option("--coarse-bits", type=int, help="Length of the coarse code, 8 to 24. [default: 16]")
@click.option("--fine-bits", type=int, help="Length of the fine code, 32 to 256, a multiple of 8. [default: 64]")
@click.option("--fingerprint", help="Of the model that makes the codes; those of another will be refused.")
@click.option("--from-encoder", is_flag=True, help="Take lengths and fingerprint from the model that Triton serves.")
@click.option(
    "--shards",
    type=int,
    help="Parts, each atomic by itself, 1 to 1024. [default: 1; in a cluster as many as lie evenly on its servers]",
)
@click.option(
    "--field",
    "fields",
    metavar="NAME:KIND",
    multiple=True,
    help="A key of payloads that searches may filter by: of the kind keyword, number, integer or boolean. Repeatable.",
)
@click.option(
    "--generation", is_flag=True, help="The next one of an index that is there, to be filled and switched to."
)
@triton_option
@redis_option
@json_option
def create(
    name: str,
    coarse_bits: int | None,
    fine_bits: int | None,
    fingerprint: str | None,
    from_encoder: bool,
    shards: int | None,
    fields: tuple[str, ...],
    generation: bool,
    triton: str | None,
    redis: str | None,
    as_json: bool,
) -> None:
    """Create the empty index NAME."""
    from hashgrain.indexer import Index, create_generation
    from hashgrain.runtime.addresses import resolve_redis

    if from_encoder:
        if (coarse_bits, fine_bits, fingerprint) != (None, None, None):
            raise click.UsageError("--from-encoder goes without --coarse-bits, --fine-bits and --fingerprint")
        layout, fingerprint = _ask_encoder(triton)
    else:
        given = {"coarse_bits": coarse_bits, "fine_bits": fine_bits}
        layout = CodeLayout(**{field: bits for field, bits in given.items() if bits is not None})
    declared = _fields(fields)
    make = create_generation if generation else Index.create
    with make(resolve_redis(redis), name, layout, fingerprint=fingerprint, shards=shards, fields=declared) as created:
        if as_json:
            echo_json(_stats_as_json(created.stats()))
        else:
            click.echo(f"created index {created.name} for {layout}, {_model(fingerprint)}")


@index.command()
@click.argument("name")
@click.argument("codes_file", metavar="FILE", type=click.Path(path_type=Path))
@redis_option
@json_option
def add(name: str, codes_file: Path, redis: str | None, as_json: bool) -> None:
    """Add the codes in FILE to the index NAME.

    An item whose id is there already is replaced. FILE is a Parquet file of codes, as `hashgrain encode --out FILE`
    writes it.
    """
    from hashgrain.client.sinks.codes_file import read_codes
    from hashgrain.indexer import Index
    from hashgrain.runtime.addresses import resolve_redis

    stored = read_codes(codes_file)
    payloads = [payload or None for payload in stored.payloads]
    added = replaced = 0
    with Index.open(resolve_redis(redis), name) as opened, items_done(len(stored.ids)) as advance:
        for start in range(0, len(stored.ids), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            written = opened.add(stored.ids[rows], stored.codes[rows], payloads[rows], fingerprint=stored.fingerprint)
            added, replaced = added + written.added, replaced + written.replaced
            advance(len(stored.ids[rows]))
    if as_json:
        echo_json({"index": name, "added": added, "replaced": replaced})
    else:
        click.echo(f"added {added:,} items to index {name}, replaced {replaced:,}")


@index.command()
@click.argument("name")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@integers_option
@redis_option
@json_option
def delete(name: str, ids: tuple[str, ...], integers: bool, redis: str | None, as_json: bool) -> None:
    """Delete items of the index NAME by their ids.

    The ID - stands for standard input, one id a line; ids that are not there are passed over.
    """
    from hashgrain.indexer import Index
    from hashgrain.runtime.addresses import resolve_redis

    wanted = read_ids(ids, integers)
    with Index.open(resolve_redis(redis), name) as opened:
        deleted = opened.delete(wanted)
    if as_json:
        echo_json({"index": name, "deleted": deleted, "unknown": len(set(wanted)) - deleted})
    else:
        click.echo(f"deleted {deleted:,} items of index {name}, {len(set(wanted)) - deleted:,} ids were not there")


@index.command()
@click.argument("name")
@redis_option
@json_option
def stats(name: str, redis: str | None, as_json: bool) -> None:
    """Show the index NAME in figures. `hashgrain index health` looks deeper, on a sample, and draws."""
    from hashgrain.indexer import Index
    from hashgrain.runtime.addresses import resolve_redis

    with Index.open(resolve_redis(redis), name) as opened:
        found = opened.stats()
    if as_json:
        echo_json(_stats_as_json(found))
        return
    click.echo(f"index            {found.name}")
    click.echo(f"codes            {found.layout}, {_model(found.fingerprint)}")
    click.echo(f"items            {found.items:,}, {found.payloads:,} with a payload")
    click.echo(f"shards           {found.shards}")
    click.echo(f"buckets          {found.buckets:,}, the largest of {found.largest_bucket:,} records")
    click.echo(f"holes            {found.holes:,}")
    click.echo(f"fields           {_kinds(found.fields)}")
    spent = ", ".join(f"{part} {size / max(found.items, 1):.1f}" for part, size in found.memory_of.items())
    click.echo(f"memory           {found.memory:,} bytes, {found.memory / max(found.items, 1):.1f} per item: {spent}")


@index.command(name="list")
@redis_option
@json_option
def list_(redis: str | None, as_json: bool) -> None:
    """List the indexes."""
    from hashgrain.indexer import list_indexes
    from hashgrain.runtime.addresses import resolve_redis

    names = list_indexes(resolve_redis(redis))
    if as_json:
        echo_json(names)
    elif names:
        click.echo("\n".join(names))
    else:
        click.echo("no index yet; make one with `hashgrain index create NAME`", err=True)


@index.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@redis_option
def drop(name: str, yes: bool, redis: str | None) -> None:
    """Drop the index NAME with all its items, in all generations, or the generation NAME@NUMBER.

    It also finishes a drop, or clears away a creation, that was cut short.
    """
    from hashgrain.indexer import drop_index
    from hashgrain.runtime.addresses import resolve_redis

    if not yes:
        click.confirm(f"Drop index {name} with all its items?", abort=True, err=True)
    drop_index(resolve_redis(redis), name)
    click.echo(f"dropped index {name}")


def _fields(given: tuple[str, ...]) -> dict[str, Any]:
    pairs = [field.rpartition(":") for field in given]
    for (name, _, _), field in zip(pairs, given, strict=True):
        if not name:
            raise click.UsageError(f"--field {field} must be NAME:KIND, such as --field price:number")
    if len({name for name, _, _ in pairs}) < len(pairs):
        raise click.UsageError("--field names a field twice")
    return {name: kind for name, _, kind in pairs}


def _ask_encoder(triton: str | None) -> tuple[CodeLayout, str]:
    from hashgrain.client import HashEncoder
    from hashgrain.runtime.addresses import resolve_triton

    with HashEncoder(resolve_triton(triton)) as encoder:
        return encoder.layout, encoder.fingerprint


def _kinds(fields: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in fields.items()) or "none"


def _model(fingerprint: str | None) -> str:
    return f"model {fingerprint[:12]}" if fingerprint else "of any model"


def _stats_as_json(found: IndexStats) -> dict[str, object]:
    figures = dataclasses.asdict(found)
    return {"name": figures.pop("name"), **figures.pop("layout"), **figures}
