"""`demo.html`: query pictures with their coarse and fine neighbours, in one self-contained file."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hashgrain.demo.collection import Collection
from hashgrain.demo.run import Outcome

SHOWN = 16
"""Queries on the page, evenly spaced over all."""


def demo_page(collection: Collection, outcome: Outcome) -> str:
    """The page as HTML; every picture is inside it."""
    rows = np.linspace(0, len(collection.queries) - 1, min(SHOWN, len(collection.queries))).astype(int)
    template = Template(Path(__file__).with_name("page.html").read_text())
    return template.substitute(
        source=html.escape(collection.source),
        tiles="\n".join(_tile(value, label) for value, label in _tiles(outcome)),
        setup=html.escape(
            f"{outcome.figures.encoder} · {outcome.figures.store} · model {outcome.figures.fingerprint[:12]} · "
            f"{outcome.figures.machine}"
        ),
        queries="\n".join(_query(collection, outcome, int(row)) for row in rows),
    )


def _tiles(outcome: Outcome) -> list[tuple[str, str]]:
    figures = outcome.figures
    return [
        (f"{figures.images:,}", "pictures indexed"),
        (f"{figures.encode_images_per_s:,.0f}/s", "encoded through Triton into Redis"),
        (f"{figures.lookup_p50_ms:.2f} ms", f"lookup, median (p99 {figures.lookup_p99_ms:.2f} ms)"),
        (f"{figures.coarse_precision_at_10:.1%}", "coarse precision@10 (superclass)"),
        (f"{figures.fine_precision_at_10:.1%}", "fine precision@10 (class)"),
        (f"{figures.mean_candidates:,.0f}", "records ranked per query"),
    ]


def _tile(value: str, label: str) -> str:
    return f'<div class="tile"><b>{html.escape(value)}</b><span>{html.escape(label)}</span></div>'


def _query(collection: Collection, outcome: Outcome, row: int) -> str:
    label = int(collection.query_labels[row])
    superclass = int(collection.parent[label])
    coarse = [
        _neighbour(collection, n, int(collection.parent[collection.labels[n]]) == superclass, coarse=True)
        for n in outcome.coarse_neighbours[row]
    ]
    fine = [
        _neighbour(collection, n, int(collection.labels[n]) == label, coarse=False)
        for n in outcome.fine_neighbours[row]
    ]
    name, above = (
        html.escape(_words(collection.fine_names[label])),
        html.escape(_words(collection.coarse_names[superclass])),
    )
    picture = _picture(collection.queries[row], f"query: {name}")
    return (
        f'<section><div class="query">{picture}<p><b>{name}</b><br>{above}</p></div>'
        f'<div class="rows"><h3>coarse: {above}?</h3><ol>{"".join(coarse)}</ol>'
        f"<h3>fine: {name}?</h3><ol>{''.join(fine)}</ol></div></section>"
    )


def _neighbour(collection: Collection, position: int, right: bool, coarse: bool) -> str:
    label = int(collection.labels[position])
    name = collection.coarse_names[collection.parent[label]] if coarse else collection.fine_names[label]
    words = html.escape(_words(name))
    mark = ("right", "✓") if right else ("wrong", "✗")
    return (
        f'<li class="{mark[0]}">{_picture(collection.images[position], words)}'
        f'<span title="{words}"><i>{mark[1]}</i> {words}</span></li>'
    )


def _picture(pixels: NDArray[np.uint8], alt: str) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{alt}" src="data:image/png;base64,{data}">'


def _words(name: str) -> str:
    return name.replace("_", " ")
