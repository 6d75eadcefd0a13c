"""`hashgrain evaluate --against`: two models, or two files of codes, side by side."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hashgrain.cli.main import echo_json

if TYPE_CHECKING:
    from hashgrain.export.chance import Tested
    from hashgrain.export.drift import CodeComparison, CodeSet, Shift
    from hashgrain.export.evaluate import Encoder

MOVED_SHOWN = 10


def files_of_codes(codes: Path, against: Path) -> tuple[CodeSet, CodeSet]:
    """Two files that `hashgrain encode --out` wrote."""
    from hashgrain.client.sinks.codes_file import read_codes
    from hashgrain.export.drift import CodeSet

    stored = [(read_codes(path), path) for path in (codes, against)]
    first, second = (CodeSet(s.ids, s.codes, s.layout, s.fingerprint, str(path)) for s, path in stored)
    return first, second


def codes_of_models(
    encoders: tuple[Encoder, Encoder], names: tuple[str, str], data: str, most: int | None
) -> tuple[CodeSet, CodeSet]:
    """The codes that two models give the pictures of the test split, each at its own input size."""
    from hashgrain.export.dataset import evenly_spaced
    from hashgrain.export.drift import CodeSet
    from hashgrain.export.unlabelled import pictures_alone

    def coded(encoder: Encoder, name: str) -> CodeSet:
        pictures = evenly_spaced(pictures_alone(data, "test", encoder.input_size), most)
        codes = encoder.encode(pictures.images, f"pictures by {name}", sys.stderr.isatty())
        return CodeSet(range(len(codes)), codes, encoder.layout, encoder.fingerprint, name)

    return coded(encoders[0], names[0]), coded(encoders[1], names[1])


def tell(found: CodeComparison, as_json: bool) -> None:
    """Print a comparison, as lines or as JSON."""
    if as_json:
        echo_json(found.as_dict())
        return
    for line in report(found):
        click.echo(line)


def report(found: CodeComparison) -> Iterator[str]:
    """The comparison as lines of text."""
    sides = (found.first, found.second)
    for letter, side in zip("AB", sides, strict=True):
        yield f"{letter}: {side.name}, {side.items:,} items, model {side.fingerprint[:12]}"
    yield ""
    yield f"{'':40}{'A':>12}{'B':>12}"
    rows: tuple[tuple[str, str, Callable[[float], str]], ...] = (
        ("coarse bits' distance from half ones", "coarse_imbalance", "{:.4f}".format),
        ("fine bits' distance from half ones", "fine_imbalance", "{:.4f}".format),
        ("ones of the least balanced bit", "least_balanced", "{:.4f}".format),
        ("coarse entropy, bits", "entropy_bits", "{:.3f}".format),
        ("buckets", "buckets", "{:,}".format),
        ("largest bucket", "largest_share", "{:.2%}".format),
    )
    for label, name, form in rows:
        yield f"{label:40}" + "".join(f"{form(getattr(side, name)):>12}" for side in sides)
    yield ""
    if found.shift is not None:
        yield from _shift(found.shift)
    if found.overlap is None:
        yield "neighbours: fewer than three ids are in both, nothing to compare"
        return
    overlap = found.overlap
    if overlap.same_codes is not None:
        yield f"codes: {overlap.same_codes:.2%} of the {overlap.items:,} items in both have the same code"
    yield (
        f"neighbours: {overlap.same_neighbours:.4f} of the {overlap.k} nearest are the same (chance "
        f"{overlap.by_chance:.4f}), {overlap.probed} probed of {overlap.items:,} items in both"
    )


def _shift(shift: Shift) -> Iterator[str]:
    yield f"{'A against B':40}{'found':>12}{'by chance':>12}{'95 % below':>12}{'p':>9}"
    yield _tested("mean difference of the bits' ones", shift.bits)
    yield _tested("divergence of the buckets, bits", shift.buckets)
    if not shift.moved:
        yield f"no bit moved beyond chance (|z| > {shift.limit:.2f})"
        return
    yield f"{len(shift.moved)} bits moved beyond chance (|z| > {shift.limit:.2f}), shares of ones:"
    for bit in shift.moved[:MOVED_SHOWN]:
        yield f"  {bit.level} {bit.bit:<4} {bit.before:.4f} -> {bit.after:.4f}   z {bit.z:+.1f}"
    if len(shift.moved) > MOVED_SHOWN:
        yield f"  and {len(shift.moved) - MOVED_SHOWN} more; --json names them all"


def _tested(label: str, tested: Tested) -> str:
    values = (tested.found, tested.by_chance, tested.by_chance_95)
    return f"{label:40}" + "".join(f"{value:12.5f}" for value in values) + f"{tested.p:9.3f}"
