"""`hashgrain index dump` and `load`: an index as one file, and back."""

from __future__ import annotations

from pathlib import Path

import click

from hashgrain.cli.main import echo_json
from hashgrain.cli.options import json_option, redis_option
from hashgrain.cli.progress import items_done


@click.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@redis_option
@json_option
def dump(name: str, file: Path, redis: str | None, as_json: bool) -> None:
    """Write all items of the index NAME to the Parquet file FILE.

    The index may be in use: an item that is there all the time is in FILE exactly once, with codes and payload of one
    moment; what is added, replaced or deleted meanwhile is in it as it was before or after. `hashgrain index load`
    makes an index of it again.
    """
    from hashgrain.runtime.addresses import resolve_redis
    from hashgrain.transfer import dump_index

    with items_done(None) as advance:
        dumped = dump_index(resolve_redis(redis), name, file, advance=advance)
    if as_json:
        echo_json({"index": name, "file": str(file), "items": dumped.items, "bytes": dumped.bytes})
    else:
        click.echo(f"dumped {dumped.items:,} items of index {name} to {file}, {dumped.bytes:,} bytes")


@click.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--shards", type=int, help="Of the index that is made. [default: as many as the dumped one had]")
@redis_option
@json_option
def load(name: str, file: Path, shards: int | None, redis: str | None, as_json: bool) -> None:
    """Make the index NAME of FILE, which `hashgrain index dump` has written.

    An index NAME that is there must be empty, for codes of the same lengths and of the same model. The whole file is
    verified before anything is written, and a load that fails leaves no index behind.
    """
    from hashgrain.runtime.addresses import resolve_redis
    from hashgrain.transfer import load_index

    with items_done(None) as advance:
        loaded = load_index(resolve_redis(redis), name, file, shards=shards, advance=advance)
    if as_json:
        echo_json({"index": name, "file": str(file), "items": loaded.items, "created": loaded.created})
    else:
        click.echo(f"loaded {loaded.items:,} items into index {name}{', which was made' if loaded.created else ''}")
