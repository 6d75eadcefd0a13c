"""An exported model under another profile: the same network, another config.pbtxt. It needs neither torch nor onnx."""

from __future__ import annotations

import shutil
from pathlib import Path

from hashgrain.codes import EncoderContract
from hashgrain.codes.contract import ENCODER_MODEL
from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.pbtxt import read_encoder_contracts
from hashgrain.export.serving_settings import ServingSettings
from hashgrain.export.triton_config import encoder_config


def is_model(source: Path) -> bool:
    """Whether a folder is a model repository with a `hash_encoder`, or that model's own folder."""
    return (_model_folder(source) / "config.pbtxt").is_file()


def reprofile(
    source: Path, repository: Path, serving: ServingSettings, serve: tuple[int, ...] = ()
) -> tuple[Path, EncoderContract]:
    """Write an exported model into a repository with the configuration that `serving` asks for.

    Args:
        source: a model repository, or the folder of its `hash_encoder`; may be the same repository.
        repository: where `hash_encoder` goes.
        serving: how Triton runs it.
        serve: numbers of the versions to serve, by default those that are served now. No file is removed.

    Returns:
        The folder, and the contract of the newest version.

    Raises:
        InvalidInput: there is no such version, or its file is missing.
        ContractViolation: the configuration there is not a hash encoder's.
    """
    folder, target = _model_folder(source), repository / ENCODER_MODEL
    config = folder / "config.pbtxt"
    contracts = read_encoder_contracts(config.read_text(), str(config))
    served = {version: contracts[version] for version in serve or contracts if version in contracts}
    missing = [
        version
        for version in serve or contracts
        if version not in served or not (folder / str(version) / "model.onnx").is_file()
    ]
    if missing:
        raise InvalidInput(
            f"{config} serves versions {', '.join(map(str, contracts))}; no model of version "
            f"{', '.join(map(str, missing))} is among them or lies in its folder"
        )
    text = encoder_config(served, serving)
    if folder.resolve() != target.resolve():
        _copy(folder, target, list(served))
    scratch = target / ".config.pbtxt"
    scratch.write_text(text)
    scratch.replace(target / "config.pbtxt")
    return target, served[max(served)]


def _model_folder(source: Path) -> Path:
    inside = source / ENCODER_MODEL
    return inside if inside.is_dir() else source


def _copy(folder: Path, target: Path, versions: list[int]) -> None:
    for version in versions:
        (target / str(version)).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / str(version) / "model.onnx", target / str(version) / "model.onnx")
    for name in ("certificate.json", "MODEL_CARD.md"):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)
