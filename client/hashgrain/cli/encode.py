"""`hashgrain encode`: a collection of pictures into a file of codes or straight into an index."""

from __future__ import annotations

from pathlib import Path

import click

from hashgrain.cli.encode_alone import AloneSettings, encode_alone
from hashgrain.cli.encode_output import require_folder
from hashgrain.cli.encode_queue import encode_by_queue
from hashgrain.cli.encode_share import CHUNK, CLAIM_AFTER_S, ShareSettings
from hashgrain.cli.options import json_option, redis_option, triton_option


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the codes to this .parquet, .arrow, .feather or .npy file.",
)
@click.option("--index", "index_name", metavar="NAME", help="Add the codes to this index; it is created when missing.")
@triton_option
@redis_option
@click.option(
    "--batch", type=click.IntRange(min=1), help="Images of one request. [default: the model's most, 128 at most]"
)
@click.option(
    "--in-flight",
    type=click.IntRange(min=1),
    help="Requests under way at a time. [default: as many as keep the server busy, 16 at most; in process 1]",
)
@click.option(
    "--make-way/--full-speed",
    default=True,
    help="Keep one request under way while others send the server small ones, as those do who search, so that they "
    "wait little; or do not. [default: make way, unless --in-flight is given]",
)
@click.option("--logits", is_flag=True, help="Write the logits to the file too.")
@click.option(
    "--image-column",
    metavar="COLUMN",
    help="Parquet: the images, as bytes, paths or addresses. [default: the only column of bytes]",
)
@click.option("--id-column", metavar="COLUMN", help="Parquet: the ids. [default: the file's stem and the row]")
@click.option(
    "--payload", "payload_columns", metavar="COLUMN", multiple=True, help="Parquet: a column to keep as payload."
)
@click.option(
    "--ledger",
    "ledger_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Note in this file what is done: a run that was cut short goes on where it was, unchanged images are passed "
    "over, identical ones are encoded once.",
)
@click.option("--verify", is_flag=True, help="With --ledger: read every file, whatever its size and time of change.")
@click.option("--retry-rejected", is_flag=True, help="With --ledger: try again what an earlier run could not read.")
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a server that goes away in the middle.",
)
@click.option(
    "--rejected",
    "rejected_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the images that cannot be read to this file, one JSON object a line.",
)
@click.option(
    "--report",
    "report_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a page to this HTML file: counts, what limits the run, and what cannot be read, with --ledger of "
    "earlier runs, too.",
)
@click.option(
    "--metrics",
    envvar="HASHGRAIN_METRICS",
    metavar="URL",
    help="Triton's metrics, http://host:8002/metrics: the receipt then says what its GPUs took. [default: those of the "
    "embedded server, and port 8002 where Triton listens at its usual ports]",
)
@click.option(
    "--queue",
    "queue_url",
    metavar="URL",
    help="Share the work with every process that is started with the same sources, index and queue, on any machine: "
    "redis://host:6379/0.",
)
@click.option("--job", metavar="NAME", help="With --queue: the job's name. [default: the index's]")
@click.option(
    "--claim-after",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="With --queue: take over the work of a process that has not shown for so long. [default: 60]",
)
@click.option(
    "--chunk",
    type=click.IntRange(1, 10_000),
    help="With --queue: pictures that are handed out together. [default: 512]",
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    help="With --queue: processes of this machine that take part, where one cannot keep the server busy. [default: 1]",
)
@click.option("--anew", is_flag=True, help="With --queue: begin the job anew, even where it is under way.")
@json_option
def encode(
    sources: tuple[str, ...],
    out: Path | None,
    index_name: str | None,
    triton: str | None,
    redis: str | None,
    batch: int | None,
    in_flight: int | None,
    make_way: bool,
    logits: bool,
    image_column: str | None,
    id_column: str | None,
    payload_columns: tuple[str, ...],
    ledger_file: Path | None,
    verify: bool,
    retry_rejected: bool,
    patience: float,
    rejected_file: Path | None,
    report_file: Path | None,
    metrics: str | None,
    queue_url: str | None,
    job: str | None,
    claim_after: float | None,
    chunk: int | None,
    processes: int | None,
    anew: bool,
    as_json: bool,
) -> None:
    """Encode images into hash codes.

    SOURCE is a folder (searched with all its subfolders), an image, a .parquet file, a .tar archive in WebDataset's
    layout, a .txt file with one path or address a line, or - to read such a list from standard input. It may be a
    pattern ('shards/*.tar') and an address (s3://, gs://, https://).

    An image's id is its path relative to the folder, the line of the list, of an archive ARCHIVE/FILE, or of Parquet
    the id column, else FILE/ROW; of several sources each id begins with its source.

    Images that cannot be read are left out and told at the end; the rest is encoded all the same. With --ledger the
    same command may be run again at any time, after `kill -9` too, and does only what is left to do.
    """
    from hashgrain.client import HashEncoder
    from hashgrain.client.sources.open_source import ParquetColumns, open_sources
    from hashgrain.runtime.addresses import resolve_metrics, resolve_redis, resolve_triton

    if (out is None) == (index_name is None):
        raise click.UsageError("say where the codes go: either --out FILE or --index NAME")
    if logits and out is None:
        raise click.UsageError("--logits goes with --out: an index keeps codes only")
    if (verify or retry_rejected) and ledger_file is None:
        raise click.UsageError("--verify and --retry-rejected go with --ledger FILE")
    if logits and ledger_file is not None:
        raise click.UsageError("--logits goes without --ledger: a ledger keeps codes only")
    if queue_url is None and (job or claim_after or chunk or processes or anew):
        raise click.UsageError("--job, --claim-after, --chunk, --processes and --anew go with --queue URL")
    if queue_url is not None and (out or ledger_file or report_file):
        raise click.UsageError(
            "--queue goes with --index NAME, and without --out, --ledger and --report: what is done stands in the queue"
        )
    for file in (rejected_file, report_file):
        if file is not None:
            require_folder(file)
    columns = ParquetColumns(image_column, id_column, payload_columns)
    if queue_url is not None:
        assert index_name is not None
        encode_by_queue(
            ShareSettings(
                triton=resolve_triton(triton),
                redis=resolve_redis(redis),
                index=index_name,
                batch=batch,
                in_flight=in_flight,
                make_way=make_way,
                sources=sources,
                columns=columns,
                queue=queue_url,
                job=job or index_name,
                claim_after=claim_after or CLAIM_AFTER_S,
                chunk=chunk or CHUNK,
                anew=anew,
                patience=patience,
            ),
            processes=processes or 1,
            rejected_file=rejected_file,
            as_json=as_json,
        )
        return
    source = open_sources(sources, columns)
    with HashEncoder(resolve_triton(triton), batch_size=batch, in_flight=in_flight, make_way=make_way) as encoder:
        encode_alone(
            AloneSettings(
                out=out,
                index=index_name,
                redis=redis,
                logits=logits,
                ledger=ledger_file,
                verify=verify,
                retry_rejected=retry_rejected,
                report=report_file,
                metrics=resolve_metrics(metrics, triton),
            ),
            source,
            encoder,
            patience=patience,
            rejected_file=rejected_file,
            as_json=as_json,
        )
