"""The encoder's contract: written and read back, and refused where it is broken."""

from __future__ import annotations

import pytest

from hashgrain.codes import CodeLayout, EncoderContract
from hashgrain.codes.errors import ContractViolation, InvalidInput

CONTRACT = EncoderContract(CodeLayout(12, 128), 32, "abc123", ("cat", "día"), ("pets",))


def test_metadata_reads_back_as_the_same_contract_among_other_keys() -> None:
    metadata = {**CONTRACT.to_metadata(), "other": "x"}
    assert EncoderContract.from_metadata(metadata, "the model") == CONTRACT
    assert all(isinstance(value, str) and value.isascii() for value in CONTRACT.to_metadata().values())


@pytest.mark.parametrize("key", sorted(CONTRACT.to_metadata()))
def test_a_missing_key_is_named(key: str) -> None:
    metadata = CONTRACT.to_metadata()
    del metadata[key]
    with pytest.raises(ContractViolation, match=f"the model carries no {key}"):
        EncoderContract.from_metadata(metadata, "the model")


@pytest.mark.parametrize(
    ("key", "value"), [("coarse_bits", "sixteen"), ("fine_bits", "63"), ("input_size", ""), ("fine_classes", "{")]
)
def test_a_value_that_cannot_be_read_is_refused(key: str, value: str) -> None:
    metadata = {**CONTRACT.to_metadata(), f"hashgrain.{key}": value}
    with pytest.raises(ContractViolation, match="cannot be read"):
        EncoderContract.from_metadata(metadata, "the model")


def test_another_contract_version_is_refused_with_both_numbers() -> None:
    metadata = {**CONTRACT.to_metadata(), "hashgrain.contract": "9"}
    with pytest.raises(ContractViolation, match="contract version 9, this code knows 1"):
        EncoderContract.from_metadata(metadata, "the model")


def test_the_tensors_are_those_that_the_docstring_draws() -> None:
    assert CONTRACT.tensors() == {
        "image": ("UINT8", (-1, 32, 32, 3)),
        "coarse_code": ("UINT8", (-1, 2)),
        "fine_code": ("UINT8", (-1, 16)),
        "coarse_logits": ("FP32", (-1, 12)),
        "fine_logits": ("FP32", (-1, 128)),
    }


def test_tensors_are_compared_and_additional_ones_pass() -> None:
    CONTRACT.check_tensors({**CONTRACT.tensors(), "more": ("FP32", (-1,))}, "the model")


def test_a_missing_tensor_is_named() -> None:
    found = CONTRACT.tensors()
    del found["fine_code"]
    with pytest.raises(ContractViolation, match="has no tensor fine_code"):
        CONTRACT.check_tensors(found, "the model")


def test_a_tensor_of_another_shape_is_told_with_both_shapes() -> None:
    found = {**CONTRACT.tensors(), "fine_code": ("UINT8", (-1, 8))}
    with pytest.raises(ContractViolation, match=r"fine_code is UINT8 \[-1, 8\], the contract says UINT8 \[-1, 16\]"):
        CONTRACT.check_tensors(found, "the model")


VECTORS = EncoderContract(CodeLayout(16, 64), 0, "abc123", vector_width=512)


def test_a_model_of_vectors_says_their_width_in_place_of_a_picture_size() -> None:
    metadata = VECTORS.to_metadata()
    assert metadata["hashgrain.vector_width"] == "512"
    assert "hashgrain.input_size" not in metadata
    assert EncoderContract.from_metadata(metadata, "the model") == VECTORS
    assert VECTORS.tensors()["vector"] == ("FP32", (-1, 512))
    assert "image" not in VECTORS.tensors()
    assert "hashgrain.vector_width" not in CONTRACT.to_metadata()  # what was exported before reads as it did


@pytest.mark.parametrize(("size", "width"), [(0, 0), (32, 512), (-1, 0)])
def test_a_model_takes_either_pictures_or_vectors(size: int, width: int) -> None:
    with pytest.raises(InvalidInput, match="one of them must be above 0"):
        EncoderContract(CodeLayout(16, 64), size, "abc", vector_width=width)
