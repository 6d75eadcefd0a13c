"""`hashgrain encode` by one process: a whole collection into a file or an index, with a ledger or without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hashgrain.cli.encode_output import progress_bar, write_lines, write_rejected
from hashgrain.cli.encode_page import encode_page
from hashgrain.cli.encode_receipt import print_receipt, print_receipt_as_json
from hashgrain.cli.index_sink import IndexSink
from hashgrain.codes.errors import DataError

if TYPE_CHECKING:
    from hashgrain.client import HashEncoder
    from hashgrain.client.bulk.ledger import Ledger
    from hashgrain.client.sinks.codes_file import CodesFile
    from hashgrain.client.sources.files import Source


@dataclass(frozen=True)
class AloneSettings:
    """What the options say that only such a run has.

    Attributes:
        out: the file of codes; None for an index.
        index: the index's name; None for a file.
        redis: where the index is, as `resolve_redis` takes it.
        logits: write the logits to the file too.
        ledger: the file that what is done is noted in; None for none.
        verify: read every file, whatever the ledger knows of it.
        retry_rejected: try again what an earlier run could not read.
        report: the page to write; None for none.
        metrics: address of Triton's metrics; None where it is unknown.
    """

    out: Path | None
    index: str | None
    redis: str | None
    logits: bool
    ledger: Path | None
    verify: bool
    retry_rejected: bool
    report: Path | None
    metrics: str | None

    @property
    def place(self) -> str:
        """Where the codes go, in words."""
        return str(self.out) if self.out else f"the index {self.index}"


def encode_alone(
    settings: AloneSettings,
    source: Source,
    encoder: HashEncoder,
    *,
    patience: float,
    rejected_file: Path | None,
    as_json: bool,
) -> None:
    """Encode the collection, and print what came of it.

    Raises:
        DataError: no picture can be read, or a file cannot be written.
    """
    from hashgrain.client.bulk.job import encode_collection

    with (
        _sink(settings, encoder) as sink,
        _ledger(settings, sink, encoder) as ledger,
        progress_bar(source) as progress,
    ):
        receipt = encode_collection(
            encoder,
            source,
            sink,
            ledger=ledger,
            verify=settings.verify,
            logits=settings.logits,
            patience=patience,
            progress=progress,
            metrics=settings.metrics,
        )
        if rejected_file is not None:
            write_rejected(rejected_file, ((image.name, image.reason) for image in receipt.rejected))
        if settings.report is not None:
            write_lines(settings.report, [encode_page(receipt, ledger, encoder, settings.place)])
        if receipt.rejected and not receipt.in_sink:
            raise DataError(f"none of {receipt.images} images can be read; the first: {receipt.rejected[0]}")
    if as_json:
        target = {"out": str(settings.out)} if settings.out else {"index": str(settings.index)}
        print_receipt_as_json(receipt, encoder, target)
    else:
        print_receipt(receipt, encoder, settings.place)


def _sink(settings: AloneSettings, encoder: HashEncoder) -> CodesFile | IndexSink:
    if settings.out is not None:
        from hashgrain.client.sinks.codes_file import CodesFile

        return CodesFile(settings.out, encoder.layout, encoder.fingerprint)
    from hashgrain.runtime.addresses import resolve_redis

    assert settings.index is not None
    return IndexSink(resolve_redis(settings.redis), settings.index, encoder)


@contextmanager
def _ledger(settings: AloneSettings, sink: CodesFile | IndexSink, encoder: HashEncoder) -> Iterator[Ledger | None]:
    """The ledger, if one is asked for; where the work breaks off, it is said how to go on."""
    if settings.ledger is None:
        yield None
        return
    from hashgrain.client.bulk.ledger import Ledger

    with Ledger(settings.ledger, encoder.fingerprint, encoder.layout) as ledger:
        if settings.retry_rejected:
            ledger.forget_rejected()
        if isinstance(sink, IndexSink) and (found := sink.reconcile(ledger)):
            click.echo(found, err=True)
        try:
            yield ledger
        except BaseException:
            click.echo(
                f"what is done stands in {settings.ledger}: run the same command again, and it goes on from there",
                err=True,
            )
            raise
