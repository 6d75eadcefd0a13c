"""`hashgrain features`."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--data", required=True, help="Labelled pictures, with a train and a test split.")
@click.option("--backbone", default="efficientnet_lite0", show_default=True, help="Whose features are written.")
@click.option("--input-size", type=click.IntRange(16, 1024), default=96, show_default=True, help="Side of its input.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of a backbone without published weights.")
def features(folder: Path, data: str, backbone: str, input_size: int, seed: int) -> None:
    """Write the features of a published backbone into FOLDER, as vectors that `hashgrain train --data FOLDER` takes.

    Of each split one row per picture, train.npy and test.npy, and the names of class and superclass beside them.
    """
    from hashgrain.export.features import write_features

    for split, (count, width) in write_features(data, folder, backbone, input_size, seed, sys.stderr.isatty()).items():
        click.echo(f"{folder / split}.npy: {count:,} vectors of {width}")
