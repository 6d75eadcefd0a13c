"""Recall@10 for its price, the share of the items compared: `python -m benchmarks.recall_curve [--data DIR]`.

On the default model's codes of a data set (its train split is searched, its test split asks), or on 50,000 generated
ones without. The index is asked through its public API over a real server. Prints a table; `--svg FILE` draws it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.codes import GeneratedCodes
from benchmarks.partitions import Curve, at_share, faiss_ivf_curve, index_curve, split_key_curve
from benchmarks.plot import Series, log_plot
from benchmarks.real_codes import HINT, real_codes
from benchmarks.recall import K, kth_distances
from benchmarks.server import own_redis
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.errors import HashgrainError
from hashgrain.indexer import Index

SHARES = [0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.10]
BUDGETS = [0.001, 0.0018, *SHARES, 0.14]
TARGET = (0.005, 0.05)
GENERATED = 50_000

BUCKET_ITEMS = 32
"""Of the index: so few that a two-hundredth of the items is several buckets."""

OURS = (
    "hashgrain, loaded in bulk",
    "hashgrain, grown by splits",
    "key of 16 coarse + 16 fine bits, margins (computed)",
)


def main() -> None:
    """Measure every way, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help=HINT)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--svg", type=Path, help="draw the curves into this file")
    arguments = parser.parse_args()
    try:
        items, queries, what = codes_to_compare(arguments.data, arguments.queries)
    except HashgrainError as exc:
        parser.error(str(exc))
    curves = measure(items, queries)
    what = f"{len(items):,} {what}, {len(queries):,} queries"
    print(table(curves, what))
    if arguments.svg:
        arguments.svg.write_text(picture(curves, what))
        print(f"drawn into {arguments.svg}")


def codes_to_compare(data: str | None, count: int) -> tuple[HashCodes, HashCodes, str]:
    """Items, queries with logits, and what they are.

    Raises:
        DataError: there is no such data set.
    """
    if data is None:
        made = GeneratedCodes(CodeLayout(16, 64), GENERATED, seed=1, exponent=0)
        return made.codes(), made.queries(count), "codes generated like the first default model's of CIFAR-100"
    items, queries = real_codes(data, "train")[0], real_codes(data, "test")[0]
    drawn = np.random.default_rng(0).permutation(len(queries))[:count]
    return items, queries[drawn], f"codes that the default model gives {Path(data).name}"


def measure(items: HashCodes, queries: HashCodes) -> dict[str, Curve]:
    """The curve of every way."""
    kth = kth_distances(queries, [items], K)
    layout = CodeLayout(8 * items.coarse.shape[1], 8 * items.fine.shape[1])
    curves = {}
    with own_redis() as url:
        with Index.create(url, "loaded", layout, bucket_items=BUCKET_ITEMS) as index:
            index.load(np.arange(len(items)), items)
            curves[OURS[0]] = index_curve(index, queries, kth, BUDGETS)
        with Index.create(url, "grown", layout, bucket_items=BUCKET_ITEMS) as index:
            index.add(range(len(items)), items)
            curves[OURS[1]] = index_curve(index, queries, kth, BUDGETS)
    curves[OURS[2]] = split_key_curve(items, queries, kth, BUDGETS)
    for lists in (512, 1024):
        curves[f"Faiss IndexBinaryIVF, {lists:,} lists"] = faiss_ivf_curve(items, queries, kth, lists)
    return curves


def table(curves: dict[str, Curve], what: str) -> str:
    """Recall at the fixed shares, and how far the best of ours is from the best of Faiss."""
    lines = [f"recall@{K} (ties count as right) by the share of the items compared; {what}"]
    lines.append(f"{'':52}" + "".join(f"{share:>9.2%}" for share in SHARES))
    values = {name: [at_share(curve, share) for share in SHARES] for name, curve in curves.items()}
    lines += [f"{name:52}" + "".join(_cell(value) for value in row) for name, row in values.items()]
    peers = [row for name, row in values.items() if name not in OURS]
    best = [max((v for v in column if v is not None), default=None) for column in zip(*peers, strict=True)]
    for name in OURS:
        ahead = [None if a is None or b is None else a - b for a, b in zip(values[name], best, strict=True)]
        lines.append(f"{name.removesuffix(' (computed)') + ' - best IVF':52}" + "".join(map(_difference, ahead)))
        within = [share for share in SHARES if TARGET[0] <= share <= TARGET[1]]
        counted = [gap for gap, share in zip(ahead, SHARES, strict=True) if gap is not None and share in within]
        verdict = "met" if min(counted, default=0) >= 0 else f"missed by up to {-min(counted):.3f}"
        if len(counted) < len(within):
            verdict = f"at {len(within) - len(counted)} of {len(within)} its buckets hold more; else {verdict}"
        lines.append(
            f"  target: at least IVF's recall at every share from {TARGET[0]:.1%} to {TARGET[1]:.0%}: {verdict}"
        )
    return "\n".join(lines)


def picture(curves: dict[str, Curve], what: str) -> str:
    """The curves as SVG."""
    colours = ("#8a8f98", "#2563eb", "#0f9d58", "#e8710a", "#b5179e")
    series = [
        Series(name, curve, colour, dashed=name not in OURS)
        for (name, curve), colour in zip(curves.items(), colours, strict=True)
    ]
    return log_plot(
        series, title=f"Recall@{K} for its price", subtitle=what, x_label="share of the items compared",
        y_label=f"recall@{K}", x_range=(SHARES[0], SHARES[-1]), x_ticks=SHARES, y_range=(0.5, 1.0),
    )  # fmt: skip


def _cell(value: float | None) -> str:
    return f"{'-':>9}" if value is None else f"{value:9.3f}"


def _difference(value: float | None) -> str:
    return f"{'-':>9}" if value is None else f"{value:+9.3f}"


if __name__ == "__main__":
    main()
