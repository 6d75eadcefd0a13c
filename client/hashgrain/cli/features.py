"""`hashgrain features`."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--data", required=True, help="Labelled pictures, with a train and a test split.")
@click.option(
    "--run",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A finished run, whose backbone's features are written instead of a published one's.",
)
@click.option("--backbone", help="A published one. [default: efficientnet_lite0]")
@click.option("--input-size", type=click.IntRange(16, 1024), help="Side of its input. [default: 96]")
@click.option("--seed", type=int, help="Of a backbone without published weights. [default: 0]")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto.")
def features(
    folder: Path,
    data: str,
    run: Path | None,
    backbone: str | None,
    input_size: int | None,
    seed: int | None,
    device: str,
) -> None:
    """Write the features of a backbone into FOLDER, as vectors that `hashgrain train --data FOLDER` takes.

    Of each split one row per picture, train.npy and test.npy, and the names of class and superclass beside them.
    """
    from hashgrain.export.features import of_run, published, write_features
    from hashgrain.export.run_folder import RunFolder

    if run is None:
        network, size = published(backbone or "efficientnet_lite0", seed or 0), input_size or 96
    elif (backbone, input_size, seed) != (None, None, None):
        raise click.UsageError("--run has a backbone and an input size of its own; give no others")
    else:
        network, size = of_run(RunFolder.open(run))
    shapes = write_features(data, folder, network, size, device, sys.stderr.isatty())
    for split, (count, width) in shapes.items():
        click.echo(f"{folder / split}.npy: {count:,} vectors of {width}")
