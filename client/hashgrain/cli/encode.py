"""`hashgrain encode`: a collection of pictures into a file of codes or straight into an index."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click

from hashgrain.cli.main import echo_json
from hashgrain.cli.options import json_option, redis_option, triton_option
from hashgrain.codes import HashCodes
from hashgrain.codes.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hashgrain.client import HashEncoder
    from hashgrain.client.bulk import BulkReport
    from hashgrain.client.sources import ItemId, Source
    from hashgrain.indexer import Index

REJECTED_SHOWN = 10


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the codes to this Parquet file.")
@click.option("--index", "index_name", metavar="NAME", help="Add the codes to this index; it is created when missing.")
@triton_option
@redis_option
@click.option(
    "--batch", type=click.IntRange(min=1), help="Images of one request. [default: the model's most, 128 at most]"
)
@click.option(
    "--in-flight", type=click.IntRange(min=1), help="Requests under way at a time. [default: 4; in process 1]"
)
@click.option("--logits", is_flag=True, help="Write the logits to the file too.")
@click.option("--image-column", metavar="COLUMN", help="Parquet: the images. [default: the only column that can be]")
@click.option("--id-column", metavar="COLUMN", help="Parquet: the ids. [default: the file's stem and the row]")
@click.option(
    "--payload", "payload_columns", metavar="COLUMN", multiple=True, help="Parquet: a column to keep as payload."
)
@click.option(
    "--rejected",
    "rejected_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the images that cannot be read to this file, one JSON object a line.",
)
@json_option
def encode(
    sources: tuple[str, ...],
    out: Path | None,
    index_name: str | None,
    triton: str | None,
    redis: str | None,
    batch: int | None,
    in_flight: int | None,
    logits: bool,
    image_column: str | None,
    id_column: str | None,
    payload_columns: tuple[str, ...],
    rejected_file: Path | None,
    as_json: bool,
) -> None:
    """Encode images into hash codes.

    SOURCE is a folder (searched with all its subfolders), an image, a .parquet file, a .txt file with one path a line,
    or - to read such a list from standard input. An image's id is its path relative to the folder, the line of the
    list, or of Parquet the id column, else FILE/ROW; of several sources each id begins with its source.

    Images that cannot be read are left out and told at the end; the rest is encoded all the same.
    """
    from hashgrain.client import HashEncoder
    from hashgrain.client.bulk import encode_collection
    from hashgrain.client.open_source import ParquetColumns, open_sources
    from hashgrain.runtime.addresses import resolve_triton

    if (out is None) == (index_name is None):
        raise click.UsageError("say where the codes go: either --out FILE or --index NAME")
    if logits and out is None:
        raise click.UsageError("--logits goes with --out: an index keeps codes only")
    if rejected_file is not None:
        _require_folder(rejected_file)
    source = open_sources(sources, ParquetColumns(image_column, id_column, payload_columns))
    with (
        HashEncoder(resolve_triton(triton), batch_size=batch, in_flight=in_flight) as encoder,
        _sink(out, index_name, redis, encoder) as sink,
        _progress(source) as progress,
    ):
        started = time.perf_counter()
        report = encode_collection(encoder, source, sink, logits=logits, progress=progress)
        seconds = time.perf_counter() - started
        if rejected_file is not None:
            _write_rejected(rejected_file, report)
        if not report.encoded:
            raise DataError(f"none of {len(report.rejected)} images can be read; the first: {report.rejected[0]}")
    (_print_json if as_json else _print)(
        report, seconds, encoder, {"out": str(out) if out else None, "index": index_name}
    )


class IndexSink:
    """A sink that adds to an index, which is created with the first batch when it is missing."""

    def __init__(self, redis_url: str, name: str, encoder: HashEncoder) -> None:
        from hashgrain.codes.errors import IndexMissing
        from hashgrain.indexer import Index

        self._redis_url, self._name, self._encoder = redis_url, name, encoder
        self._index: Index | None = None
        try:
            self._index = Index.open(redis_url, name)
        except IndexMissing:
            return
        self._index.layout.require(encoder.layout, f"the index {name}")  # before the work, not after the first batch
        self._index.require_fingerprint(encoder.fingerprint)

    def write(self, ids: list[ItemId], codes: HashCodes, payloads: list[dict[str, Any]]) -> None:
        """See `hashgrain.client.sinks.Sink`."""
        from hashgrain.indexer import Index

        if self._index is None:
            encoder = self._encoder
            self._index = Index.create(self._redis_url, self._name, encoder.layout, fingerprint=encoder.fingerprint)
        kept = [payload or None for payload in payloads]  # an empty payload would be stored all the same
        self._index.add(ids, codes, payloads=kept, fingerprint=self._encoder.fingerprint)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._index is not None:
            self._index.close()


def _sink(out: Path | None, index_name: str | None, redis: str | None, encoder: HashEncoder) -> Any:
    if out is not None:
        from hashgrain.client.codes_file import CodesFile

        return CodesFile(out, encoder.layout, encoder.fingerprint)
    from hashgrain.runtime.addresses import resolve_redis

    assert index_name is not None
    return IndexSink(resolve_redis(redis), index_name, encoder)


@contextmanager
def _progress(source: Source) -> Iterator[Callable[[int], object]]:
    """A progress bar on standard error where that is a terminal."""
    from tqdm import tqdm

    shown = sys.stderr.isatty()
    with tqdm(total=source.count() if shown else None, unit=" images", disable=not shown, leave=False) as bar:
        yield bar.update


def _require_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise DataError(f"{path} cannot be written: there is no folder {path.parent}; create it first")


def _write_rejected(path: Path, report: BulkReport) -> None:
    lines = (json.dumps({"id": image.name, "reason": image.reason}) + "\n" for image in report.rejected)
    try:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(lines)
    except OSError as exc:
        raise DataError(f"{path} cannot be written ({exc.strerror}); give another place") from exc


def _print(report: BulkReport, seconds: float, encoder: HashEncoder, target: dict[str, str | None]) -> None:
    place = target["out"] or f"the index {target['index']}"
    click.echo(
        f"encoded {report.encoded:,} images into {place} ({encoder.layout}, model {encoder.fingerprint[:12]}), "
        f"{_rate(report, seconds):,.0f} images/s"
    )
    if not report.rejected:
        return
    click.echo(f"left out {len(report.rejected):,} that cannot be read:", err=True)
    for image in report.rejected[:REJECTED_SHOWN]:
        click.echo(f"  {image}", err=True)
    if len(report.rejected) > REJECTED_SHOWN:
        click.echo(f"  and {len(report.rejected) - REJECTED_SHOWN:,} more; --rejected FILE writes them all", err=True)


def _print_json(report: BulkReport, seconds: float, encoder: HashEncoder, target: dict[str, str | None]) -> None:
    served, layout = encoder.served, encoder.layout
    echo_json(
        {
            **{name: value for name, value in target.items() if value is not None},
            "encoded": report.encoded,
            "rejected": [{"id": image.name, "reason": image.reason} for image in report.rejected],
            "seconds": round(seconds, 3),
            "images_per_second": round(_rate(report, seconds), 1),
            "model": {
                "fingerprint": encoder.fingerprint,
                "coarse_bits": layout.coarse_bits,
                "fine_bits": layout.fine_bits,
                "version": served.model_version,
            },
            "server": {"name": served.server_name, "version": served.server_version},
        }
    )


def _rate(report: BulkReport, seconds: float) -> float:
    return report.encoded / max(seconds, 1e-9)
