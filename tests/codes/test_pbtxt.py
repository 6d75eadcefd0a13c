"""A config.pbtxt is read as Triton reads it."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashgrain.codes import CodeLayout, EncoderContract
from hashgrain.codes.errors import ContractViolation
from hashgrain.codes.pbtxt import parse, read_encoder_config, read_encoder_contracts
from hashgrain.export.serving_profiles import CPU
from hashgrain.export.triton_config import encoder_config

names = st.lists(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20), max_size=3).map(tuple)


@given(st.integers(8, 24), st.integers(4, 32), names, names)
def test_the_contract_of_an_exported_configuration_comes_back(
    coarse: int, fine: int, fine_classes: tuple[str, ...], coarse_classes: tuple[str, ...]
) -> None:
    """Class names with quotes, brackets and backslashes included."""
    contract = EncoderContract(CodeLayout(coarse, 8 * fine), 96, "cafe", fine_classes, coarse_classes)
    assert read_encoder_config(encoder_config(contract, CPU), "config.pbtxt") == contract


@given(st.dictionaries(st.integers(1, 99), st.tuples(st.uuids(), names), min_size=1, max_size=3))
def test_contracts_of_several_versions_come_back(versions: dict[int, tuple[uuid.UUID, tuple[str, ...]]]) -> None:
    """Versions differ in fingerprint and class names, never in tensors."""
    contracts = {
        version: EncoderContract(CodeLayout(16, 64), 32, fingerprint.hex, classes, ("all",))
        for version, (fingerprint, classes) in versions.items()
    }
    text = encoder_config(contracts, CPU)
    assert read_encoder_contracts(text, "config.pbtxt") == contracts
    assert read_encoder_config(text, "config.pbtxt") == contracts[max(contracts)]


def test_the_forms_that_people_write() -> None:
    text = """
    # a comment, with "quotes" { and brackets
    name: "m", max_batch_size: 8;
    input { name: "a" dims: [ -1, 3 ] dims: 4 }
    input: [ { name: "b" dims: 1 }, { name: "c" } ]
    rate_limiter { }
    """
    assert parse(text, "config.pbtxt") == {
        "name": ["m"],
        "max_batch_size": ["8"],
        "input": [{"name": ["a"], "dims": ["-1", "3", "4"]}, {"name": ["b"], "dims": ["1"]}, {"name": ["c"]}],
        "rate_limiter": [{}],
    }


@pytest.mark.parametrize("text", ["a {", 'a: "', "a: [", "a:", "{}", "a: }", "a: 1 }", "?", '"a": 1', "1: 2"])
def test_what_is_not_the_format_is_refused(text: str) -> None:
    with pytest.raises(ContractViolation, match=r"config\.pbtxt cannot be read: .*; export it again"):
        parse(text, "config.pbtxt")


def test_tensors_that_contradict_the_contract_are_refused() -> None:
    text = encoder_config(EncoderContract(CodeLayout(16, 64), 32, "cafe"), CPU).replace("dims: [ 8 ]", "dims: [ 6 ]")
    with pytest.raises(ContractViolation, match=r"fine_code is UINT8 \[-1, 6\], the contract says UINT8 \[-1, 8\]"):
        read_encoder_config(text, "config.pbtxt")


def test_a_configuration_of_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractViolation, match="carries no hashgrain.contract"):
        read_encoder_config('name: "other" input { name: "x" data_type: TYPE_FP32 dims: 1 }', "config.pbtxt")
