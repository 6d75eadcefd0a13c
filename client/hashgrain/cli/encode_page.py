"""The page of `hashgrain encode --report`: what came of a run, what limits it, and what could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashgrain.client import HashEncoder
    from hashgrain.client.bulk.ledger import Ledger
    from hashgrain.client.bulk.receipt import Receipt

REJECTED_SHOWN = 1000


def encode_page(receipt: Receipt, ledger: Ledger | None, encoder: HashEncoder, place: str) -> str:
    """The page as HTML, in one self-contained file.

    Args:
        receipt: of the run.
        ledger: tells what earlier runs rejected, too, if there is one.
        encoder: what encoded.
        place: where the codes went.
    """
    if ledger is None:
        count = len(receipt.rejected)
        rejected = [(image.name, image.reason) for image in receipt.rejected[:REJECTED_SHOWN]]
    else:
        count = ledger.count_rejected()
        rejected = [(str(name), reason) for name, reason in ledger.rejected(REJECTED_SHOWN)]
    served = encoder.served
    template = Template(Path(__file__).with_name("encode_page.html").read_text())
    return template.substitute(
        place=escape(place),
        setup=escape(
            f"{encoder.layout}, model {encoder.fingerprint} on {served.server_name} {served.server_version}"
            + (f", ledger {ledger.path}" if ledger else "")
        ),
        tiles="\n".join(_tile(value, label) for value, label in _tiles(receipt, count)),
        stages="\n".join(_stage(time.stage, time.busy_seconds / max(receipt.seconds, 1e-9)) for time in receipt.stages),
        seconds=f"{receipt.seconds:,.1f}",
        heading=f"{count:,} that cannot be read" if count else "Everything could be read",
        rejected=_table(rejected, count),
    )


def _tiles(receipt: Receipt, rejected: int) -> list[tuple[str, str]]:
    return [
        (f"{receipt.encoded:,}", "encoded"),
        (f"{receipt.reused:,}", "whose codes were known"),
        (f"{receipt.unchanged:,}", "unchanged"),
        (f"{rejected:,}", "cannot be read"),
        (f"{receipt.images_per_second:,.0f}/s", "images encoded"),
        (f"{receipt.bytes_read / 1e6:,.1f} MB", "read"),
        *([] if receipt.joules is None else [(f"{receipt.joules:,.0f} J", "taken by the server's GPUs")]),
    ]


def _tile(value: str, label: str) -> str:
    return f'<div class="tile"><b>{escape(value)}</b><span>{escape(label)}</span></div>'


def _stage(name: str, share: float) -> str:
    return (
        f'<div class="stage"><span>{escape(name)}</span><div class="track"><div class="fill" '
        f'style="width:{min(share, 1):.1%}"></div></div><span>{share:.0%}</span></div>'
    )


def _table(rejected: Sequence[tuple[str, str]], count: int) -> str:
    if not rejected:
        return ""
    rows = "\n".join(f"<tr><td>{escape(name)}</td><td>{escape(reason)}</td></tr>" for name, reason in rejected)
    more = f'<p class="soft">The first {len(rejected):,} of {count:,}.</p>' if count > len(rejected) else ""
    return f'<div class="card"><table><tr><th>image</th><th>reason</th></tr>\n{rows}\n</table></div>{more}'
