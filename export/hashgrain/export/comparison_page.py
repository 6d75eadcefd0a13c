"""The report of a comparison: one table, and a page of charts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.packing import unpack_bits
from hashgrain.export.charts import Axis, line_chart, scatter
from hashgrain.export.compare import DEPTHS, Outcome
from hashgrain.export.features import FeatureTask

MAPPED = 2000
"""Pictures on the map of codes."""

SHARES = (0.001, 0.01, 0.1, 1.0)
STEPS = tuple(round(0.2 * step, 1) for step in range(6))

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>hashgrain compare</title>
<style>body {{ font: 14px sans-serif; max-width: 1100px; margin: 2em auto; }} svg {{ margin: 6px; }}
table {{ border-collapse: collapse; }} th, td {{ padding: 3px 12px; text-align: right; border-bottom: 1px solid #ddd; }}
th:first-child, td:first-child {{ text-align: left; }}</style>
<h1>Ways to learn a code, on the same features</h1>
<p>{description}. mAP over the whole ranking, ties with their expected value; mean and, in brackets, half the range
over the seeds {seeds}. Only the head learns: networks trained as a whole reach more.</p>
<table>{table}</table>
{charts}
</html>
"""


def table(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """Rows of text, the heading first: per method mAP at each length, then entropy and seconds at the longest."""
    lengths = sorted({outcome.bits for outcome in outcomes})
    rows = [["method", *(f"mAP {bits} bits" for bits in lengths), "entropy", "seconds"]]
    for method in dict.fromkeys(outcome.method for outcome in outcomes):
        row = [method]
        for bits in lengths:
            values = [o.mean_precision for o in outcomes if (o.method, o.bits) == (method, bits)]
            spread = f" ({(max(values) - min(values)) / 2:.3f})" if len(values) > 1 else ""
            row.append(f"{np.mean(values):.3f}{spread}")
        longest = [o for o in outcomes if (o.method, o.bits) == (method, lengths[-1])]
        row += [f"{np.mean([o.entropy for o in longest]):.1f}", f"{np.mean([o.seconds for o in longest]):.1f}"]
        rows.append(row)
    return rows


def page(outcomes: Sequence[Outcome], task: FeatureTask) -> str:
    """The whole report as HTML."""
    heading, *rows = table(outcomes)
    cells = ["<tr>" + "".join(f"<th>{escape(text)}</th>" for text in heading) + "</tr>"]
    cells += ["<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows]
    return PAGE.format(
        description=escape(task.description),
        seeds=", ".join(map(str, sorted({outcome.seed for outcome in outcomes}))),
        table="\n".join(cells),
        charts="\n".join(charts(outcomes, task)),
    )


def charts(outcomes: Sequence[Outcome], task: FeatureTask) -> list[str]:
    """mAP by length; precision by recall, and recall by share, at the longest; a map of the first method's codes."""
    lengths = sorted({outcome.bits for outcome in outcomes})
    methods = list(dict.fromkeys(outcome.method for outcome in outcomes))
    up = Axis("mAP@ALL", 0, 1, STEPS)
    by_length = {
        method: [
            (bits, float(np.mean([o.mean_precision for o in outcomes if (o.method, o.bits) == (method, bits)])))
            for bits in lengths
        ]
        for method in methods
    }
    longest = {method: [o for o in outcomes if (o.method, o.bits) == (method, lengths[-1])] for method in methods}
    precision = {method: np.mean([o.precision for o in found], 0) for method, found in longest.items()}
    recall = {method: np.mean([o.recall for o in found], 0) for method, found in longest.items()}
    bits = Axis("bits", lengths[0] / 1.1, lengths[-1] * 1.1, tuple(lengths), logarithmic=True)
    share = Axis("share of the database, ranked", DEPTHS[0], 1, SHARES, logarithmic=True)
    first = longest[methods[0]][0]
    rows = np.linspace(0, len(first.codes) - 1, min(MAPPED, len(first.codes))).astype(np.int64)
    return [
        line_chart("mAP by length", bits, up, by_length),
        line_chart(
            f"Precision and recall, {lengths[-1]} bits",
            Axis("recall", 0, 1, STEPS),
            Axis("precision", 0, 1, STEPS),
            {m: list(zip(recall[m].tolist(), precision[m].tolist(), strict=True)) for m in methods},
        ),
        line_chart(
            f"Recall by share scanned, {lengths[-1]} bits",
            share,
            Axis("recall", 0, 1, STEPS),
            {m: list(zip(DEPTHS, recall[m].tolist(), strict=True)) for m in methods},
        ),
        scatter(
            f"Codes of {methods[0]}, {lengths[-1]} bits, two principal axes",
            principal_axes(unpack_bits(first.codes[rows], first.bits)),
            task.database_labels[rows],
            task.names.tolist(),
        ),
    ]


def principal_axes(bits: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Codes of 0 and 1, uint8 (N, bits), along their two axes of greatest variance, float64 (N, 2)."""
    centred = bits - bits.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    found: NDArray[np.float64] = centred @ axes[:2].T
    return found
