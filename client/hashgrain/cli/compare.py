"""`hashgrain compare`."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from tqdm import tqdm

from hashgrain.cli.main import echo_json
from hashgrain.cli.options import json_option, numbers


@click.command()
@click.option("--data", required=True, help="Labelled pictures, with a train and a test split.")
@click.option("--protocol", type=click.Choice(["p1", "p2"]), default="p1", show_default=True, help="As in evaluate.")
@click.option("--protocol-seed", type=int, default=0, show_default=True, help="Decides p1's draw.")
@click.option("--methods", help="Names, separated by commas. [default: all]")
@click.option("--bits", callback=numbers, default="16,32,64", show_default=True, help="Lengths of the codes.")
@click.option("--seeds", callback=numbers, default="0,1,2", show_default=True, help="One run each.")
@click.option("--epochs", type=click.IntRange(min=1), default=60, show_default=True, help="Passes over the features.")
@click.option("--backbone", default="efficientnet_lite0", show_default=True, help="Whose features are used.")
@click.option("--input-size", type=click.IntRange(16, 1024), default=64, show_default=True, help="Side of its input.")
@click.option(
    "--features",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A .npz file to keep the features in, or to take them from where it exists.",
)
@click.option("--page", type=click.Path(dir_okay=False, path_type=Path), help="Write the report with charts here.")
@json_option
def compare(
    data: str,
    protocol: str,
    protocol_seed: int,
    methods: str | None,
    bits: tuple[int, ...],
    seeds: tuple[int, ...],
    epochs: int,
    backbone: str,
    input_size: int,
    features: Path | None,
    page: Path | None,
    as_json: bool,
) -> None:
    """Compare published ways to learn codes, each with its paper's settings, on the same features.

    A linear head learns per method, length and seed; the backbone stays as it is published. One table (mAP, entropy
    of the codes, seconds), and a page of charts where asked for.
    """
    from hashgrain.export import compare as comparison
    from hashgrain.export.comparison_page import page as report_page
    from hashgrain.export.comparison_page import table
    from hashgrain.export.features import feature_task
    from hashgrain.export.methods import METHODS

    names = tuple(methods.split(",")) if methods else tuple(METHODS)
    comparison.require_grid(names, bits)
    progress = sys.stderr.isatty()
    task = feature_task(data, backbone, input_size, protocol_seed, features, protocol, progress)
    grid = comparison.compare(task, names, bits, seeds, epochs)
    total = len(names) * len(bits) * len(seeds)
    outcomes = list(tqdm(grid, total=total, desc="comparing", unit="run", disable=not progress))
    if page is not None:
        page.write_text(report_page(outcomes, task))
    if as_json:
        fields = ("method", "bits", "seed", "mean_precision", "entropy", "seconds")
        echo_json([{name: getattr(outcome, name) for name in fields} for outcome in outcomes])
        return
    click.echo(f"{task.description}; {len(task.queries)} queries, {len(task.database)} in the database")
    rows = table(outcomes)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        click.echo(
            first.ljust(widths[0])
            + "".join(f"  {text:>{width}}" for text, width in zip(others, widths[1:], strict=True))
        )
    if page is not None:
        click.echo(f"charts: {page}")
