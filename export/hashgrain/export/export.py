"""Write a trained run, or an exported model in lower precision, as a Triton model: all of its files or none."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx

from hashgrain.codes import EncoderContract
from hashgrain.codes.contract import ENCODER_MODEL
from hashgrain.codes.errors import ContractViolation, InvalidInput
from hashgrain.codes.onnx_model import OnnxModel
from hashgrain.codes.pbtxt import read_encoder_contracts
from hashgrain.export import readers
from hashgrain.export.certificate import DEFAULT_LIMIT, Certificate, certify
from hashgrain.export.dataset import evenly_spaced
from hashgrain.export.graph import export_onnx
from hashgrain.export.precision import Lowering, Precision, lower
from hashgrain.export.precision_certificate import PrecisionCertificate, certify_precision
from hashgrain.export.run_folder import RunFolder
from hashgrain.export.serving_profiles import DEFAULT_PROFILE, profile
from hashgrain.export.serving_settings import ServingSettings
from hashgrain.export.trial import Trial, calibration_pictures
from hashgrain.export.triton_config import encoder_config
from hashgrain.export.unlabelled import pictures_alone


@dataclass(frozen=True)
class Exported:
    """What was written, and where."""

    folder: Path
    contract: EncoderContract
    certificate: Certificate | PrecisionCertificate
    model_bytes: int


@dataclass(frozen=True)
class Conversion:
    """Lower precision for an exported model, and what it is tried on."""

    lowering: Lowering
    trial: Trial


def export_run(
    run: RunFolder,
    repository: Path,
    *,
    data: str | None = None,
    pictures: int = 2000,
    limit: float = DEFAULT_LIMIT,
    compact: bool = True,
    serving: ServingSettings | None = None,
    conversion: Conversion | None = None,
    version: int = 1,
) -> Exported:
    """Export a finished run into a model repository, as one version of `hash_encoder`; others go on being served.

    Args:
        run: a finished run.
        repository: the Triton model repository; `repository`/hash_encoder is written.
        data: where the certificate's pictures come from (its test split); by default the run's own data.
        pictures: how many of them, evenly spaced.
        limit: see `certificate.certify`.
        compact: store weights in 16 bits.
        serving: how Triton runs the model, by default as the profile cpu says.
        conversion: lower precision, or None for single precision.
        version: its number; what was exported under that number before is replaced.

    Raises:
        TrainingError: the run has not ended.
        CertificateError: the codes differ beyond the limit; the repository is left as it was.
    """
    network, fine_names, coarse_names = run.load_network()
    settings = run.settings()
    model, contract = export_onnx(
        network, settings.layout, settings.input_size, fine_names, coarse_names, compact, settings.vector_width
    )
    if settings.unlabelled:
        everything = pictures_alone(data or settings.data, "test", settings.input_size)
    else:
        everything = readers.load(data or settings.data, "test", settings.input_size)
    held_out = evenly_spaced(everything, pictures)
    with _replacing(repository, version) as folder:
        file = folder / str(version) / "model.onnx"
        onnx.save(model, file)
        certificate: Certificate | PrecisionCertificate = certify(
            network, file, held_out.images, held_out.source, limit
        )
        if conversion is not None:
            assert isinstance(certificate, Certificate)
            contract, certificate = _convert(file, file, conversion, certificate)
        certificate.write(folder / "certificate.json")
        (folder / "config.pbtxt").write_text(_config(repository, version, contract, serving))
    return _exported(repository, version, contract, certificate)


def export_model(
    source: OnnxModel,
    repository: Path,
    conversion: Conversion,
    serving: ServingSettings | None = None,
    version: int = 1,
) -> Exported:
    """Convert an exported model, and write it into a model repository as one version of `hash_encoder`.

    Args:
        source: the model, which is left as it is.
        repository, serving, version: see `export_run`.
        conversion: lower precision.

    Raises:
        InvalidInput: this version is `source` itself, or the model is quantised already; or as `export_run`.
        CertificateError: the codes differ beyond the limit; the repository is left as it was.
    """
    if (repository / ENCODER_MODEL / str(version) / "model.onnx").resolve() == source.path.resolve():
        raise InvalidInput(
            f"{source.path} would be replaced by its own conversion, and indexes built with it would refuse the new "
            "codes; name another --repository, or another --version to serve both"
        )
    with _replacing(repository, version) as folder:
        contract, certificate = _convert(source.path, folder / str(version) / "model.onnx", conversion, None)
        certificate.write(folder / "certificate.json")
        (folder / "config.pbtxt").write_text(_config(repository, version, contract, serving))
    return _exported(repository, version, contract, certificate)


def _convert(
    source: Path, into: Path, conversion: Conversion, export: Certificate | None
) -> tuple[EncoderContract, PrecisionCertificate]:
    """Write the converted model, which may replace its source, and compare the two."""
    lowering, trial = conversion.lowering, conversion.trial
    pictures, told = calibration_pictures(trial, lowering.calibration)
    model, contract = lower(source, lowering, pictures)
    calibration = told if lowering.precision is Precision.INT8 else None
    with tempfile.TemporaryDirectory() as scratch:
        reference = Path(shutil.copy(source, scratch))
        onnx.save(model, into)
        return contract, certify_precision(reference, into, lowering, calibration, trial, export)


def _config(repository: Path, version: int, contract: EncoderContract, serving: ServingSettings | None) -> str:
    """config.pbtxt for this version and for those that are served already."""
    folder = repository / ENCODER_MODEL
    try:
        served = read_encoder_contracts((folder / "config.pbtxt").read_text(), str(folder / "config.pbtxt"))
    except (OSError, ContractViolation):  # none yet, or of something else: it is written anew
        served = {}
    there = {number: kept for number, kept in served.items() if (folder / str(number) / "model.onnx").is_file()}
    return encoder_config({**there, version: contract}, serving or profile(DEFAULT_PROFILE))


def _exported(
    repository: Path, version: int, contract: EncoderContract, certificate: Certificate | PrecisionCertificate
) -> Exported:
    folder = repository / ENCODER_MODEL
    return Exported(folder, contract, certificate, (folder / str(version) / "model.onnx").stat().st_size)


@contextmanager
def _replacing(repository: Path, version: int) -> Iterator[Path]:
    """A folder to write a model into, which takes the place of the one in the repository if nothing fails."""
    repository.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=repository, prefix=".export-") as scratch:
        folder = Path(scratch) / ENCODER_MODEL
        (folder / str(version)).mkdir(parents=True)
        yield folder
        _put_in_place(folder, repository / ENCODER_MODEL, version)


def _put_in_place(new: Path, target: Path, version: int) -> None:
    """Move the new files over the old model; other files of the folder, such as a model card, stay."""
    (target / str(version)).mkdir(parents=True, exist_ok=True)
    for name in (
        f"{version}/model.onnx",
        "certificate.json",
        "config.pbtxt",
    ):  # the config last: it names the fingerprint
        shutil.move(new / name, target / name)
