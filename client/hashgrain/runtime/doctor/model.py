"""Checks of the model repository: does the exported encoder keep the contract that it claims?"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from hashgrain.codes import EncoderContract
from hashgrain.codes.contract import ENCODER_MODEL
from hashgrain.codes.errors import HashgrainError
from hashgrain.codes.pbtxt import read_encoder_config
from hashgrain.runtime import state
from hashgrain.runtime.addresses import model_repository
from hashgrain.runtime.doctor.check import Check
from hashgrain.runtime.home import find_home
from hashgrain.runtime.state import TritonRecord
from hashgrain.runtime.triton_http import encoder_metadata

EXPORT_AGAIN = "export it again with `hashgrain export`"


def model(home: Path | None) -> tuple[Check, ...]:
    """The config.pbtxt, the ONNX file, their agreement, the fingerprint computed anew, and what Triton has loaded."""
    try:
        now = state.without_dead(state.load(find_home(home)))
        folder = Path(now.model_repository or model_repository()) / ENCODER_MODEL
    except HashgrainError as exc:
        return (Check("model repository", "fail", str(exc), "set $HASHGRAIN_MODEL_REPOSITORY"),)
    if not folder.is_dir():
        mend = "train a model and write it with `hashgrain export`, or set $HASHGRAIN_MODEL_REPOSITORY"
        return (Check("model repository", "fail", f"no {folder}", mend),)
    config_check, configured = _config(folder / "config.pbtxt")
    path = _newest(folder)
    if path is None:
        return (config_check, Check("model file", "fail", f"no {folder}/<version>/model.onnx", EXPORT_AGAIN))
    file_check, carried = _file(path)
    checks = [config_check, file_check]
    if configured and carried:
        checks.append(_agreement(configured, carried))
    if carried:
        checks.append(_fingerprint(path, carried))
    if carried and now.triton:
        checks.append(_loaded(now.triton, carried))
    return tuple(checks)


def _config(path: Path) -> tuple[Check, EncoderContract | None]:
    try:
        contract = read_encoder_config(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError, HashgrainError) as exc:
        return Check("model configuration", "fail", str(exc), EXPORT_AGAIN), None
    return Check("model configuration", "ok", f"{path}: {contract.layout}"), contract


def _file(path: Path) -> tuple[Check, EncoderContract | None]:
    """Load the model in process, as HashEncoder does; that checks metadata and tensors."""
    missing = [name for name in ("onnxruntime", "PIL") if importlib.util.find_spec(name) is None]
    if missing:
        found = f"{', '.join(missing)} not installed"
        return Check("model file", "skipped", found, 'pip install "hashgrain[cpu,client]"'), None
    from hashgrain.client import HashEncoder

    try:
        with HashEncoder(path) as encoder:
            contract = encoder.contract
    except HashgrainError as exc:
        return Check("model file", "fail", str(exc), EXPORT_AGAIN), None
    size = path.stat().st_size / 1e6
    found = f"{path}: {size:.1f} MB, {contract.input_words}, {contract.fingerprint}"
    return Check("model file", "ok", found), contract


def _agreement(configured: EncoderContract, carried: EncoderContract) -> Check:
    if configured == carried:
        return Check("model contract", "ok", "config.pbtxt and ONNX metadata agree")
    found = f"config.pbtxt says {configured}, the ONNX file {carried}"
    return Check("model contract", "fail", found, EXPORT_AGAIN)


def _fingerprint(path: Path, carried: EncoderContract) -> Check:
    if importlib.util.find_spec("onnx") is None:
        return Check("fingerprint", "skipped", "onnx is not installed", 'pip install "hashgrain[export]"')
    import onnx

    from hashgrain.export.metadata import fingerprint

    computed = fingerprint(onnx.load(path))
    if computed != carried.fingerprint:
        found = f"the file's weights and graph give {computed}, its metadata say {carried.fingerprint}"
        return Check("fingerprint", "fail", found, f"the file was changed after its export: {EXPORT_AGAIN}")
    return Check("fingerprint", "ok", f"{computed}, computed anew")


def _loaded(triton: TritonRecord, carried: EncoderContract) -> Check:
    loaded = encoder_metadata(triton.http).get("hashgrain.fingerprint")
    if loaded is None:
        return Check("loaded model", "skipped", f"Triton does not serve {ENCODER_MODEL}", "`hashgrain status`")
    if loaded != carried.fingerprint:
        found = f"Triton loaded {loaded} before the file became {carried.fingerprint}"
        return Check("loaded model", "warn", found, "`hashgrain down`, then `hashgrain up`")
    return Check("loaded model", "ok", "Triton has loaded the file as it is now")


def _newest(folder: Path) -> Path | None:
    """The model file of the highest version, which is the one that Triton serves."""
    versions = [path for path in folder.glob("*/model.onnx") if path.parent.name.isdecimal()]
    return max(versions, key=lambda path: int(path.parent.name), default=None)
