"""`hashgrain unseen`."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from hashgrain.cli.main import echo_json
from hashgrain.cli.options import json_option, numbers

if TYPE_CHECKING:
    from hashgrain.export.unseen import UnseenFigures

COLUMNS = (("fine_map", "mAP, class"), ("coarse_map", "mAP, superclass"), ("ndcg", "NDCG@100"))


@click.command()
@click.option("--data", required=True, help="Labelled vectors with a train and a test split: see `hashgrain features`.")
@click.option("--seeds", callback=numbers, default="0,1,2", show_default=True, help="Each draws classes and trains.")
@click.option("--coarse-bits", type=int, help="As in train.")
@click.option("--fine-bits", type=int, help="As in train.")
@click.option("--epochs", type=int, help="As in train.")
@click.option("--scale", type=float, help="As in train.")
@click.option("--queries", type=click.IntRange(min=1), default=1000, show_default=True, help="Of each group, at most.")
@json_option
def unseen(data: str, seeds: tuple[int, ...], queries: int, as_json: bool, **given: Any) -> None:
    """Train on three quarters of the classes and retrieve the last quarter, beside the seen ones.

    The backbone that made the vectors must not have seen the classes' labels either, or the figures flatter. Beside the
    codes stand codes of the same vectors fitted without labels, the vectors themselves, and chance.
    """
    from hashgrain.export import readers
    from hashgrain.export.settings import TrainSettings
    from hashgrain.export.unseen import measure_unseen
    from hashgrain.export.vectors import for_vectors

    chosen = {name: value for name, value in given.items() if value is not None}
    train, test = (readers.load(data, split, 0) for split in ("train", "test"))
    found = [
        figures
        for seed in seeds
        for figures in measure_unseen(
            train,
            test,
            for_vectors(TrainSettings(data=data, seed=seed, **chosen), train),
            queries,
            sys.stderr.isatty(),
        )
    ]
    if as_json:
        echo_json([dataclasses.asdict(figures) for figures in found])
        return
    for line in report(found):
        click.echo(line)


def report(found: list[UnseenFigures]) -> Iterator[str]:
    """One table per group: the mean over seeds, and half the range behind it."""
    seeds = sorted({figures.seed for figures in found})
    yield f"mean over the seeds {', '.join(map(str, seeds))} (half the range); ties count with their expected value"
    for group in dict.fromkeys(figures.group for figures in found):
        part = [figures for figures in found if figures.group == group]
        yield ""
        yield f"{group}: {part[0].queries:,} queries against {part[0].items:,} items"
        yield f"{'ranked by':28}" + "".join(f"{label:>19}" for _, label in COLUMNS)
        for ranking in dict.fromkeys(figures.ranking for figures in part):
            rows = [figures.figures for figures in part if figures.ranking == ranking]
            yield f"{ranking:28}" + "".join(
                f"{_spread([getattr(row, name) for row in rows]):>19}" for name, _ in COLUMNS
            )


def _spread(values: list[float]) -> str:
    return f"{sum(values) / len(values):.3f} ({(max(values) - min(values)) / 2:.3f})"
