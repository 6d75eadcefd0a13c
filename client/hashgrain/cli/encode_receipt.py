"""The receipt of `hashgrain encode`, in words and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hashgrain.cli.main import echo_json

if TYPE_CHECKING:
    from hashgrain.client import HashEncoder
    from hashgrain.client.bulk.receipt import Receipt

REJECTED_SHOWN = 10


def print_receipt(receipt: Receipt, encoder: HashEncoder, place: str) -> None:
    """Two lines on standard output, and what was left out on standard error."""
    click.echo(
        f"encoded {receipt.encoded:,} images into {place} ({encoder.layout}, model {encoder.fingerprint[:12]}), "
        f"{receipt.images_per_second:,.0f} images/s"
    )
    if others := _others(receipt):
        click.echo(f"also {others}")
    busy = ", ".join(f"{time.stage} {time.busy_seconds / max(receipt.seconds, 1e-9):.0%}" for time in receipt.stages)
    click.echo(f"read {receipt.bytes_read / 1e6:,.1f} MB in {receipt.seconds:,.1f} s; at work of that time: {busy}")
    if receipt.joules is not None:
        click.echo(f"the server's GPUs took {energy(receipt)}")
    _print_rejected(receipt)


def energy(receipt: Receipt) -> str:
    """Joules of the whole run and, where there was one, for each image that was encoded."""
    assert receipt.joules is not None
    each = f", {receipt.joules / receipt.encoded:.3g} J an image" if receipt.encoded else ""
    return f"{receipt.joules:,.0f} J{each}"


def print_receipt_as_json(receipt: Receipt, encoder: HashEncoder, target: dict[str, str]) -> None:
    """Everything, for programs."""
    served, layout = encoder.served, encoder.layout
    echo_json(
        {
            **target,
            "encoded": receipt.encoded,
            "reused": receipt.reused,
            "unchanged": receipt.unchanged,
            "rejected": [{"id": image.name, "reason": image.reason} for image in receipt.rejected],
            "quarantined": receipt.quarantined,
            "bytes_read": receipt.bytes_read,
            "seconds": round(receipt.seconds, 3),
            "images_per_second": round(receipt.images_per_second, 1),
            "stages": _stages(receipt),
            **({} if receipt.joules is None else {"joules": round(receipt.joules, 3)}),
            "model": {
                "fingerprint": encoder.fingerprint,
                "coarse_bits": layout.coarse_bits,
                "fine_bits": layout.fine_bits,
                "version": served.model_version,
            },
            "server": {"name": served.server_name, "version": served.server_version},
        }
    )


def _others(receipt: Receipt) -> str:
    counts = (
        (receipt.reused, "whose codes were known"),
        (receipt.unchanged, "unchanged since an earlier run"),
        (receipt.quarantined, "rejected by an earlier run and unchanged"),
    )
    return ", ".join(f"{count:,} {words}" for count, words in counts if count)


def _stages(receipt: Receipt) -> dict[str, Any]:
    return {
        time.stage: {
            "busy_seconds": round(time.busy_seconds, 3),
            "thread_seconds": round(time.thread_seconds, 3),
            "cpu_seconds": round(time.cpu_seconds, 3),
        }
        for time in receipt.stages
    }


def _print_rejected(receipt: Receipt) -> None:
    if not receipt.rejected:
        return
    click.echo(f"left out {len(receipt.rejected):,} that cannot be read:", err=True)
    for image in receipt.rejected[:REJECTED_SHOWN]:
        click.echo(f"  {image}", err=True)
    if len(receipt.rejected) > REJECTED_SHOWN:
        click.echo(f"  and {len(receipt.rejected) - REJECTED_SHOWN:,} more; --rejected FILE writes them all", err=True)
