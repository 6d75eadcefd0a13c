"""`hashgrain encode --queue`: this process' share of a job that many processes do together."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hashgrain.cli.encode_output import progress_bar, write_rejected
from hashgrain.cli.main import echo_json
from hashgrain.codes.errors import DataError

if TYPE_CHECKING:
    from hashgrain.cli.index_sink import IndexSink
    from hashgrain.client import HashEncoder
    from hashgrain.client.open_source import ParquetColumns
    from hashgrain.queue import JobQueue, JobReport

SHOWN = 10
CLAIM_AFTER_S = 60.0
CHUNK = 512


@dataclass(frozen=True)
class QueueSettings:
    """What the options of `--queue` say.

    Attributes:
        url: Redis' address.
        job: the job's name.
        claim_after: seconds of silence after which a process' work is taken over.
        chunk: pictures that are handed out together.
        anew: begin the job anew.
    """

    url: str
    job: str
    claim_after: float
    chunk: int
    anew: bool


def encode_by_queue(
    settings: QueueSettings,
    sources: tuple[str, ...],
    columns: ParquetColumns,
    encoder: HashEncoder,
    sink: IndexSink,
    *,
    patience: float,
    rejected_file: Path | None,
    as_json: bool,
) -> None:
    """Take part until the job has ended, and print what came of it.

    Raises:
        DataError: some of it could not be done; that is told before.
        InvalidInput: a job of that name is under way, with another model, index or source.
    """
    from hashgrain.client.open_source import named_parts
    from hashgrain.queue import Job, JobQueue, Options, take_part
    from hashgrain.queue.work import shared_parts

    parts = shared_parts(named_parts(sources, columns))
    sink.require_index()  # first of all, since a job is bound to one index in one of its lives
    job = Job(settings.job, encoder.fingerprint, str(sink.target), _sources_text(sources, columns))
    with (
        JobQueue(settings.url, job, silence=settings.claim_after, anew=settings.anew) as queue,
        progress_bar(None) as progress,
    ):
        report = take_part(queue, encoder, parts, sink, Options(settings.chunk, patience, progress))
        if rejected_file is not None:
            write_rejected(rejected_file, queue.rejected())
        if as_json:
            _print_as_json(queue, report)
        else:
            _print(queue, report, encoder, sink.name)
    if report.aside:
        raise DataError(
            f"{report.aside} of {report.handed_out} chunks could not be done; mend what is wrong with them and run the "
            "same command again, with --chunk 1 to find the picture to blame"
        )
    if report.rejected and report.rejected == report.images:
        raise DataError(f"none of {report.images} images can be read")


def _sources_text(sources: tuple[str, ...], columns: ParquetColumns) -> str:
    from hashgrain.client.location import Location

    names = [name if Location(name).is_remote else str(Path(name).absolute()) for name in sources]
    named = {key: value for key, value in asdict(columns).items() if value}
    return json.dumps([*names, named] if named else names)


def _print(queue: JobQueue, report: JobReport, encoder: HashEncoder, index: str) -> None:
    click.echo(
        f"the job {queue.name} encoded {report.encoded:,} images into the index {index} ({encoder.layout}, model "
        f"{encoder.fingerprint[:12]}), {report.images_per_second:,.0f} images/s"
    )
    known = f", {report.reused:,} images with known codes" if report.reused else ""
    click.echo(
        f"read {report.bytes_read / 1e6:,.1f} MB in {report.seconds:,.1f} s, {report.done:,} of {report.handed_out:,} "
        f"chunks{known}"
    )
    if report.rejected:
        click.echo(f"left out {report.rejected:,} that cannot be read:", err=True)
        for name, reason in islice(queue.rejected(), SHOWN):
            click.echo(f"  {name}: {reason}", err=True)
        if report.rejected > SHOWN:
            click.echo(f"  and {report.rejected - SHOWN:,} more; --rejected FILE writes them all", err=True)
    for aside in queue.set_aside()[:SHOWN]:
        click.echo(f"set aside {aside.work}: {aside.reason}", err=True)


def _print_as_json(queue: JobQueue, report: JobReport) -> None:
    echo_json(
        {
            "job": queue.name,
            **asdict(report),
            "rejected": [{"id": name, "reason": reason} for name, reason in sorted(queue.rejected())],
            "set_aside": [asdict(aside) for aside in queue.set_aside()],
            "worker": queue.worker,
        }
    )
