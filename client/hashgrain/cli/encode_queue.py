"""`hashgrain encode --queue`: this process' share of a job that many processes do together."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hashgrain.cli.encode_output import progress_bar, write_rejected
from hashgrain.cli.encode_processes import companions
from hashgrain.cli.encode_share import ShareSettings, opened
from hashgrain.cli.main import echo_json
from hashgrain.codes.errors import DataError

if TYPE_CHECKING:
    from hashgrain.client import HashEncoder
    from hashgrain.queue import JobQueue, JobReport

SHOWN = 10


def encode_by_queue(settings: ShareSettings, *, processes: int, rejected_file: Path | None, as_json: bool) -> None:
    """Take part until the job has ended, with so many processes of this machine, and print what came of it.

    Raises:
        DataError: some of it could not be done; that is told before.
        InvalidInput: a job of that name is under way, with another model, index or source.
    """
    with opened(settings) as share:
        with companions(processes - 1, settings), progress_bar(None) as progress:
            share.do(progress)
        report = share.queue.report()
        if rejected_file is not None:
            write_rejected(rejected_file, share.queue.rejected())
        if as_json:
            _print_as_json(share.queue, report)
        else:
            _print(share.queue, report, share.encoder, settings.index)
    if report.aside:
        raise DataError(
            f"{report.aside} of {report.handed_out} chunks could not be done; mend what is wrong with them and run the "
            "same command again, with --chunk 1 to find the picture to blame"
        )
    if report.rejected and report.rejected == report.images:
        raise DataError(f"none of {report.images} images can be read")


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
