"""`hashgrain index rebuild`: the next generation of an index, from its pictures and another encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hashgrain.cli.encode_output import progress_bar, require_folder, write_lines
from hashgrain.cli.main import echo_json
from hashgrain.cli.options import json_option, redis_option

if TYPE_CHECKING:
    from hashgrain.rebuild import Rebuilt

SHOWN = 10


@click.command()
@click.argument("name")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option(
    "--model",
    envvar="HASHGRAIN_TRITON",
    metavar="ADDRESS",
    help="The other encoder: grpc://host:8001?version=2, http://host:8000, or a model repository's path to encode in "
    "process. [default: $HASHGRAIN_TRITON, else the embedded server that `hashgrain up` started]",
)
@click.option("--switch/--no-switch", default=True, show_default=True, help="Have readers go over to it in the end.")
@click.option(
    "--allow-missing", is_flag=True, help="Switch even if items have no picture that can be read; they are lost then."
)
@click.option(
    "--missing",
    "missing_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the ids of such items to this file, one a line.",
)
@click.option(
    "--ledger",
    "ledger_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Note in this file what is done: a rebuild that was cut short goes on where it was.",
)
@click.option("--shards", type=int, help="Of the new generation. [default: as many as the live one has]")
@click.option("--image-column", metavar="COLUMN", help="Parquet: as for `hashgrain encode`.")
@click.option("--id-column", metavar="COLUMN", help="Parquet: as for `hashgrain encode`.")
@click.option(
    "--batch", type=click.IntRange(min=1), help="Images of one request. [default: the model's most, 128 at most]"
)
@redis_option
@json_option
def rebuild(
    name: str,
    sources: tuple[str, ...],
    model: str | None,
    switch: bool,
    allow_missing: bool,
    missing_file: Path | None,
    ledger_file: Path | None,
    shards: int | None,
    image_column: str | None,
    id_column: str | None,
    batch: int | None,
    redis: str | None,
    as_json: bool,
) -> None:
    """Build the next generation of the index NAME with another encoder, and switch to it.

    The pictures are encoded anew from SOURCE, which is named as for `hashgrain encode` when the index was filled, so
    that the ids are the same. Items keep their payloads; pictures that the index does not hold are passed over.
    The index may be read and written meanwhile: passes over the pictures are repeated until one finds nothing
    to do, and what is written between that and the switch is named.

    Without --ledger a rebuild that fails leaves nothing behind; with it, run the same command again.
    """
    from hashgrain.client import HashEncoder
    from hashgrain.client.sources.open_source import STANDARD_INPUT, ParquetColumns, open_sources
    from hashgrain.rebuild import rebuild_index
    from hashgrain.runtime.addresses import resolve_redis, resolve_triton

    if STANDARD_INPUT in sources:
        raise click.UsageError("standard input can be read once only, and a rebuild looks again: name a .txt file")
    if missing_file is not None:
        require_folder(missing_file)
    columns = ParquetColumns(image_column, id_column)
    with (
        HashEncoder(resolve_triton(model), batch_size=batch) as encoder,
        progress_bar(open_sources(sources, columns)) as progress,
    ):
        built = rebuild_index(
            resolve_redis(redis),
            name,
            encoder,
            lambda: open_sources(sources, columns),
            ledger=ledger_file,
            shards=shards,
            switch=switch,
            allow_missing=allow_missing,
            progress=progress,
        )
    if missing_file is not None:
        write_lines(missing_file, (f"{id_}\n" for id_ in built.missing))
    if as_json:
        echo_json(_as_json(built))
        return
    _print(name, built)


def _print(name: str, built: Rebuilt) -> None:
    if not built.receipts:
        click.echo(f"index {name} is {built.name} already, built with this ledger: nothing to do")
        return
    first = built.receipts[0]
    again = sum(receipt.encoded + receipt.reused for receipt in built.receipts[1:])
    click.echo(
        f"built {built.name} with {built.items:,} items from {built.before}: {first.encoded:,} pictures encoded "
        f"({first.images_per_second:,.0f} images/s), {again:,} items caught up with in further passes"
    )
    if built.passed_over:
        click.echo(f"passed over {built.passed_over:,} pictures that the index does not hold")
    _list("pictures cannot be read", [str(image) for image in built.rejected])
    _list("items have no picture that can be read, and are not in it", list(map(repr, built.missing)))
    if not built.switched:
        click.echo(f"switch to it with `hashgrain index switch {name} --to {built.name.rpartition('@')[2]}`")
        return
    click.echo(f"index {name} is {built.name} now; {built.before} was before")
    _list(
        f"items were written to {built.before} while it was switched, and are in {built.name} as before: write them "
        "again",
        list(map(repr, built.late.written)),
    )
    _list(
        f"items were deleted from {built.before} while it was switched: delete them again",
        list(map(repr, built.late.deleted)),
    )


def _list(what: str, names: list[str]) -> None:
    if names:
        click.echo(f"{len(names):,} {what}:", err=True)
        for name in names[:SHOWN]:
            click.echo(f"  {name}", err=True)
        if len(names) > SHOWN:
            click.echo(f"  and {len(names) - SHOWN:,} more; --json names all", err=True)


def _as_json(built: Rebuilt) -> dict[str, object]:
    return {
        "generation": built.name,
        "before": built.before,
        "items": built.items,
        "switched": built.switched,
        "passes": len(built.receipts),
        "encoded": sum(receipt.encoded for receipt in built.receipts),
        "passed_over": built.passed_over,
        "rejected": [{"id": image.name, "reason": image.reason} for image in built.rejected],
        "missing": list(built.missing),
        "late_written": list(built.late.written),
        "late_deleted": list(built.late.deleted),
    }
