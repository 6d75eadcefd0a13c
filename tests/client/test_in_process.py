"""The way without a server, and refusing what is no hash encoder."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import pytest

from hashgrain.client import HashEncoder
from hashgrain.client.wire.address import Address
from hashgrain.client.wire.in_process import InProcessTransport
from hashgrain.codes.errors import ContractViolation, InferenceFailed, InvalidInput, MissingDependency
from pictures import arrays
from tiny_model import tiny_model, write_tiny_repository


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no model.*hashgrain export"):
        HashEncoder(tmp_path)


def test_a_damaged_model(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ContractViolation, match="cannot be loaded"):
        HashEncoder(tmp_path)


def test_a_model_without_the_contract(tmp_path: Path) -> None:
    model, _ = tiny_model()
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ContractViolation, match="carries no hashgrain.contract"):
        HashEncoder(tmp_path)


def test_a_model_whose_tensors_differ_from_its_contract(tmp_path: Path) -> None:
    model, _ = tiny_model()
    next(entry for entry in model.metadata_props if entry.key == "hashgrain.fine_bits").value = "128"
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ContractViolation, match=r"fine_code is UINT8 \[-1, 8\], the contract says UINT8 \[-1, 16\]"):
        HashEncoder(tmp_path)


def test_a_batch_that_the_model_does_not_take(tmp_path: Path) -> None:
    write_tiny_repository(tmp_path)
    transport = InProcessTransport(Address("in_process", str(tmp_path)))
    with pytest.raises(InferenceFailed, match="invalid dimensions"):
        transport.infer(arrays(1, height=16, width=16), ("fine_code",), 1)


def test_without_onnx_runtime_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_repository(tmp_path)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependency, match=r'pip install "hashgrain\[cpu\]"'):
        HashEncoder(tmp_path)
