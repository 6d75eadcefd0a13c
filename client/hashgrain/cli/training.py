"""`hashgrain train` and `refit`."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hashgrain.codes.errors import InvalidInput


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command one option for each training setting, with the setting's own type and default."""
    from hashgrain.export.settings import TrainSettings

    for field in reversed([field for field in dataclasses.fields(TrainSettings) if "help" in field.metadata]):
        flag = "--" + field.name.replace("_", "-")
        meaning = field.metadata["help"]
        if field.default not in (None, dataclasses.MISSING):
            meaning += f" [default: {field.default}]"
        if field.name == "pretrained":
            option = click.option("--pretrained/--from-scratch", default=None, help=meaning)
        elif field.name == "unlabelled":
            option = click.option("--unlabelled", is_flag=True, default=None, help=meaning)
        else:
            kind = {"int": int, "float": float}.get(str(field.type), str)
            option = click.option(flag, type=kind, default=None, help=meaning)
        command = option(command)
    return command


@click.command()
@click.argument("run", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON file of settings; options given beside it win.",
)
@click.option("--resume", is_flag=True, help="Go on with the run from its checkpoint.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto.")
@settings_options
def train(run: Path, settings_file: Path | None, resume: bool, device: str, **given: Any) -> None:
    """Train a hashing network into the folder RUN.

    The folder keeps settings, log and checkpoints; a run that was killed goes on with --resume.
    """
    from hashgrain.export.fit import fit_vectors
    from hashgrain.export.readers import holds_vectors
    from hashgrain.export.run_folder import RunFolder
    from hashgrain.export.train import train as run_training
    from hashgrain.export.unlabelled import fit_unlabelled

    chosen = {name: value for name, value in given.items() if value is not None}
    if resume:
        if chosen or settings_file:
            raise click.UsageError("--resume takes the settings from the run; give no others")
        folder = RunFolder.open(run)
        settings = folder.settings()
    else:
        folder, settings = RunFolder.create(run), _settings(settings_file, chosen)
    if folder.network_file.exists():
        click.echo(f"{run} has ended already; export it with: hashgrain export {run}")
        return
    if settings.unlabelled:
        figures = fit_unlabelled(settings, folder, device, sys.stderr.isatty())
        click.echo(
            f"without labels: {figures.neighbours_kept:.1%} of the ten nearest by float features kept, coarse entropy "
            f"{figures.entropy_bits:.2f} bits, largest bucket {figures.largest_bucket:.2%}, "
            f"least balanced bit {figures.least_balanced:.1%} ones"
        )
    elif holds_vectors(settings.data):
        fit_vectors(settings, folder, sys.stderr.isatty())
    else:
        run_training(settings, folder, device, sys.stderr.isatty())
    if folder.learned_hierarchy.exists():
        groups = json.loads(folder.learned_hierarchy.read_text())
        click.echo(
            f"the data have labels at one level: for the coarse code their {sum(map(len, groups.values()))} classes "
            f"were put into {len(groups)} groups that look alike, {folder.learned_hierarchy}"
        )
    click.echo(f"trained into {run}; export it with: hashgrain export {run}")


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("into", type=click.Path(file_okay=False, path_type=Path))
@click.option("--epochs", type=click.IntRange(min=1), default=15, show_default=True, help="Passes over the features.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto: where the features are computed.")
@click.option("--hierarchy", help="A JSON file of groups within groups that replaces the run's, as in train.")
@click.option("--coarse-level", type=click.IntRange(min=1), help="As in train.")
@click.option("--coarse-bits", type=int, help="Length of the coarse code.")
@click.option("--fine-bits", type=int, help="Length of the fine code.")
@click.option(
    "--scale", type=float, help="s of the classification loss; less of it draws codes nearer to their targets."
)
@click.option("--margin", type=float, help="m of the classification loss.")
@click.option("--free-bits", type=int, help="So many of the coarse bits, the last, halve each superclass.")
@click.option("--free-weight", type=float, help="Weight of their term.")
@click.option("--quantisation-weight", type=float, help="Weight of the quantisation term.")
def refit(run: Path, into: Path, epochs: int, device: str, **given: Any) -> None:
    """Fit new heads to the backbone of the finished RUN; the network becomes the run INTO.

    Settings that are not given are those of RUN. It takes one look at every training picture.
    """
    from hashgrain.export.refit import refit as fit
    from hashgrain.export.run_folder import RunFolder

    changes = {name: value for name, value in given.items() if value is not None}
    fit(RunFolder.open(run), RunFolder.create(into), changes, epochs, device, progress=sys.stderr.isatty())
    click.echo(f"fitted into {into}; export it with: hashgrain export {into}")


def _settings(path: Path | None, given: dict[str, Any]) -> Any:
    from hashgrain.export.settings import TrainSettings

    if path is not None:
        return dataclasses.replace(TrainSettings.read(path), **given)
    if "data" not in given:
        raise click.UsageError("missing --data: a folder of labelled pictures, an archive, or cifar10 / cifar100")
    try:
        return TrainSettings(**given)
    except InvalidInput as exc:
        raise click.UsageError(str(exc)) from exc
