"""A model in ONNX Runtime: found, and every error of the library translated."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import onnxruntime.capi.onnxruntime_pybind11_state as ort
import pytest

from hashgrain.codes.errors import ContractViolation, InferenceFailed
from hashgrain.codes.onnx_model import find_model, load_errors, run_errors
from tiny_model import write_tiny_repository

ORT_ERRORS = [kind for _, kind in inspect.getmembers(ort, inspect.isclass) if issubclass(kind, Exception)]


@pytest.mark.parametrize("below", ["", "hash_encoder", "hash_encoder/1", "hash_encoder/1/model.onnx"])
def test_a_repository_a_model_folder_and_a_file_mean_the_same(tmp_path: Path, below: str) -> None:
    write_tiny_repository(tmp_path)
    assert find_model(tmp_path / below) == tmp_path / "hash_encoder/1/model.onnx"


def test_the_newest_version_counts_by_number_and_not_by_letter(tmp_path: Path) -> None:
    for version in ("9", "10", "2", "old"):
        (tmp_path / "hash_encoder" / version).mkdir(parents=True)
        (tmp_path / "hash_encoder" / version / "model.onnx").touch()
    assert find_model(tmp_path) == tmp_path / "hash_encoder/10/model.onnx"


@pytest.mark.parametrize("kind", [*ORT_ERRORS, RuntimeError, ValueError])
@pytest.mark.parametrize(("context", "becomes"), [(load_errors, ContractViolation), (run_errors, InferenceFailed)])
def test_every_error_of_onnx_runtime(
    kind: type[Exception], context: Callable[[str], AbstractContextManager[None]], becomes: type[Exception]
) -> None:
    error = kind("first line\nsecond")
    with pytest.raises(becomes, match=r"model\.onnx.*first line") as caught, context("model.onnx"):
        raise error
    assert "second" not in str(caught.value)
    assert caught.value.__cause__ is error


def test_the_list_above_is_not_empty() -> None:
    assert len(ORT_ERRORS) >= 10
