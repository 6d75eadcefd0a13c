"""Write a trained run as a Triton model: model.onnx, config.pbtxt and certificate.json, all or nothing."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import onnx

from hashgrain.codes import EncoderContract
from hashgrain.codes.contract import ENCODER_MODEL
from hashgrain.export import readers
from hashgrain.export.certificate import DEFAULT_LIMIT, Certificate, certify
from hashgrain.export.dataset import evenly_spaced
from hashgrain.export.graph import export_onnx
from hashgrain.export.run_folder import RunFolder
from hashgrain.export.triton_config import ServingSettings, encoder_config
from hashgrain.export.unlabelled import pictures_alone


@dataclass(frozen=True)
class Exported:
    """What was written, and where."""

    folder: Path
    contract: EncoderContract
    certificate: Certificate
    model_bytes: int


def export_run(
    run: RunFolder,
    repository: Path,
    *,
    data: str | None = None,
    pictures: int = 2000,
    limit: float = DEFAULT_LIMIT,
    compact: bool = True,
    serving: ServingSettings | None = None,
) -> Exported:
    """Export a finished run into a model repository, replacing version 1 of `hash_encoder` there.

    Args:
        run: a finished run.
        repository: the Triton model repository; `repository`/hash_encoder is written.
        data: where the certificate's pictures come from (its test split); by default the run's own data.
        pictures: how many of them, evenly spaced.
        limit: see `certificate.certify`.
        compact: store weights in 16 bits.
        serving: how Triton runs the model.

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
    repository.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=repository, prefix=".export-") as scratch:
        folder = Path(scratch) / ENCODER_MODEL
        (folder / "1").mkdir(parents=True)
        onnx.save(model, folder / "1" / "model.onnx")
        certificate = certify(network, folder / "1" / "model.onnx", held_out.images, held_out.source, limit)
        certificate.write(folder / "certificate.json")
        (folder / "config.pbtxt").write_text(encoder_config(contract, serving))
        target = repository / ENCODER_MODEL
        _put_in_place(folder, target)
    return Exported(target, contract, certificate, (target / "1" / "model.onnx").stat().st_size)


def _put_in_place(new: Path, target: Path) -> None:
    """Move the new files over the old model; other files of the folder, such as a model card, stay."""
    (target / "1").mkdir(parents=True, exist_ok=True)
    for name in ("1/model.onnx", "certificate.json", "config.pbtxt"):  # the config last: it names the fingerprint
        shutil.move(new / name, target / name)
