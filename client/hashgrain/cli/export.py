"""`hashgrain export`."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashgrain.cli.main import echo_json
from hashgrain.cli.options import json_option
from hashgrain.codes.errors import InvalidInput

if TYPE_CHECKING:
    from hashgrain.export.export import Conversion, Exported
    from hashgrain.export.trial import TrialSettings

FOR_RUNS = ("limit", "full_precision")
FOR_WRITTEN_MODELS = ("data", "pictures", "version")
FOR_LOWER_PRECISION = ("flip_limit", "calibrate", "float_layers", "database")
FOR_MODELS = ("hierarchy", "unlabelled")


@click.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--repository",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("model_repository"),
    show_default=True,
    help="The Triton model repository to write hash_encoder into.",
)
@click.option("--data", help="Where the certificate's pictures come from. [default: the run's own data]")
@click.option("--pictures", type=click.IntRange(min=1), default=2000, show_default=True, help="Pictures compared.")
@click.option("--limit", type=float, help="Greatest share of bits that differ from PyTorch's. [default: 0.002]")
@click.option("--full-precision", is_flag=True, help="Store weights in 32 bits instead of 16: twice the file.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    show_default=True,
    help="What the network computes in. int8 is for CPUs, fp16 for GPUs.",
)
@click.option("--flip-limit", type=float, help="Greatest share of bits that lower precision may flip. [default: 0.02]")
@click.option(
    "--calibrate", type=click.IntRange(min=1), help="Training pictures that int8 is fitted to. [default: 512]"
)
@click.option(
    "--float-layers", type=click.IntRange(min=0), help="So many convolutions, the first, stay out of int8. [default: 6]"
)
@click.option(
    "--database",
    type=click.IntRange(min=1),
    help="Training pictures that are queried for the mAP before and after. [default: 10000]",
)
@click.option("--hierarchy", help='For a model: a JSON file {"superclass": ["class", ...]}.')
@click.option("--unlabelled", is_flag=True, help="For a model: DATA has no labels, or none to be looked at.")
@click.option(
    "--profile",
    "profile_name",
    type=click.Choice(["cpu", "gpu", "tensorrt"]),
    default="cpu",
    show_default=True,
    help="The kind of node that config.pbtxt is for; the file says what it changes, and why.",
)
@click.option(
    "--max-batch-size",
    type=click.IntRange(min=1),
    help="Most images that Triton runs at once. [default: the profile's]",
)
@click.option(
    "--version",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of the version that is written; others that are there go on being served.",
)
@click.option(
    "--serve",
    type=click.IntRange(min=1),
    multiple=True,
    help="For a model: serve this version of those that are there; repeat it for several. [default: all]",
)
@json_option
def export(
    source: Path,
    repository: Path,
    data: str | None,
    pictures: int,
    limit: float | None,
    full_precision: bool,
    precision: str,
    flip_limit: float | None,
    calibrate: int | None,
    float_layers: int | None,
    database: int | None,
    hierarchy: str | None,
    unlabelled: bool,
    profile_name: str,
    max_batch_size: int | None,
    version: int,
    serve: tuple[int, ...],
    as_json: bool,
) -> None:
    """Write SOURCE as a Triton model, with a certificate of how its codes differ.

    SOURCE is the folder of a finished run, or an exported model to be written in lower precision (--precision). Lower
    precision changes codes, so the fingerprint changes too, and the certificate says what it costs and gains.

    A model repository without --precision keeps its codes and its certificate: its hash_encoder gets the configuration
    of another profile, or serves fewer of its versions.
    """
    from hashgrain.export.reprofile import is_model, reprofile
    from hashgrain.export.serving_profiles import profile

    serving = profile(profile_name, max_batch_size)
    lower = precision != "fp32"
    if is_model(source) and not lower:
        _refuse_what_does_not_apply(is_run=False, lower=False, kept=True)
        folder, contract = reprofile(source, repository, serving, serve)
        if as_json:
            echo_json({"folder": str(folder), "fingerprint": contract.fingerprint})
        else:
            click.echo(f"wrote {folder} for the profile {profile_name}, fingerprint {contract.fingerprint}")
        return
    if serve:
        raise click.UsageError("--serve is for an exported model that keeps its codes; others are written by --version")
    from hashgrain.codes.onnx_model import OnnxModel
    from hashgrain.export.certificate import DEFAULT_LIMIT
    from hashgrain.export.export import export_model, export_run
    from hashgrain.export.run_folder import RunFolder
    from hashgrain.export.trial import TrialSettings

    run = RunFolder(source)
    _refuse_what_does_not_apply(run.settings_file.exists(), lower)
    trial = TrialSettings(data or "", hierarchy, unlabelled, pictures=pictures, progress=sys.stderr.isatty())
    given: dict[str, Any] = {"database": database, "limit": flip_limit}
    trial = dataclasses.replace(trial, **{name: value for name, value in given.items() if value is not None})
    if run.settings_file.exists():
        settings = run.settings()
        _require_pictures(lower and settings.vector_width > 0)
        trial = dataclasses.replace(
            trial,
            data=data or settings.data,
            hierarchy=settings.hierarchy,
            unlabelled=settings.unlabelled,
            protocol=settings.protocol,
            protocol_seed=settings.protocol_seed,
        )
        written = export_run(
            run,
            repository,
            data=data,
            pictures=pictures,
            limit=DEFAULT_LIMIT if limit is None else limit,
            compact=not full_precision,
            serving=serving,
            conversion=_conversion(precision, calibrate, float_layers, trial, settings.input_size) if lower else None,
            version=version,
        )
    else:
        try:
            model = OnnxModel(source)
        except InvalidInput as exc:
            raise InvalidInput(f"{source} is no run of `hashgrain train`, and {exc}") from exc
        _require_pictures(model.contract.takes_vectors)
        if not lower:
            raise click.UsageError(f"{source} is exported already; give --precision fp16 or int8 to lower it")
        if data is None:
            raise click.UsageError("missing --data: pictures to try the model on; int8 is fitted to some of them")
        conversion = _conversion(precision, calibrate, float_layers, trial, model.contract.input_size)
        written = export_model(model, repository, conversion, serving, version)
    _report(written, as_json)


def _require_pictures(vectors: bool) -> None:
    if vectors:
        raise InvalidInput(
            "lower precision is for networks of pictures; the two matrices of vectors are kept as they are"
        )


def _refuse_what_does_not_apply(is_run: bool, lower: bool, kept: bool = False) -> None:
    """Options that would change nothing are an error, not a silence."""
    context = click.get_current_context()
    given = {
        name for name in context.params if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }
    for names, applies, what in (
        (FOR_RUNS, is_run, "a run"),
        (FOR_WRITTEN_MODELS, not kept, "a run, or a model in lower precision; this one keeps its codes"),
        (FOR_MODELS, not is_run, "an exported model; a run knows for itself"),
        (FOR_LOWER_PRECISION, lower, "--precision fp16 or int8"),
    ):
        needless = sorted(given.intersection(names))
        if needless and not applies:
            raise click.UsageError(f"--{needless[0].replace('_', '-')} is for {what}")


def _conversion(
    precision: str, calibrate: int | None, float_layers: int | None, trial: TrialSettings, size: int
) -> Conversion:
    from hashgrain.export.export import Conversion
    from hashgrain.export.precision import Lowering, Precision
    from hashgrain.export.trial import load_trial

    lowering = Lowering(Precision(precision))
    given: dict[str, Any] = {"calibration": calibrate, "float_layers": float_layers}
    lowering = dataclasses.replace(lowering, **{name: value for name, value in given.items() if value is not None})
    return Conversion(lowering, load_trial(trial, size))


def _report(written: Exported, as_json: bool) -> None:
    if as_json:
        echo_json(
            {
                "folder": str(written.folder),
                "fingerprint": written.contract.fingerprint,
                "model_bytes": written.model_bytes,
                "certificate": dataclasses.asdict(written.certificate),
            }
        )
        return
    click.echo(
        f"wrote {written.folder} ({written.model_bytes / 1e6:.1f} MB), fingerprint {written.contract.fingerprint}"
    )
    click.echo(f"certificate: {written.certificate.summary()}")
