"""The model that comes with hashgrain: small enough, whole, and as good as its card says."""

from __future__ import annotations

import json
import re

import onnx
import pytest

from command import hashgrain
from hashgrain.codes.contract import EncoderContract
from hashgrain.export.metadata import fingerprint
from hashgrain.runtime.addresses import model_repository

FOLDER = model_repository() / "hash_encoder"
CARD = (FOLDER / "MODEL_CARD.md").read_text()


def test_model_is_at_most_ten_megabytes() -> None:
    assert (FOLDER / "1" / "model.onnx").stat().st_size <= 10_000_000


def test_model_config_certificate_and_card_name_one_fingerprint() -> None:
    model = onnx.load(FOLDER / "1" / "model.onnx")
    contract = EncoderContract.from_metadata({p.key: p.value for p in model.metadata_props}, "the model")
    assert fingerprint(model) == contract.fingerprint
    assert contract.fingerprint in (FOLDER / "config.pbtxt").read_text()
    assert json.loads((FOLDER / "certificate.json").read_text())["fingerprint"] == contract.fingerprint
    assert contract.fingerprint in CARD


@pytest.mark.long
def test_card_figures_come_out_of_evaluate_again(cifar100) -> None:
    """The card's quick check; another processor may flip a bit or two, hence half a point of room."""
    command = re.search(r"hashgrain evaluate --data cifar100 (--queries \d+ --database \d+)", CARD)
    assert command is not None
    told = hashgrain("evaluate", "--model", FOLDER, "--data", cifar100, *command[1].split(), "--json", timeout_s=300)
    assert told.returncode == 0, told.stderr
    figures = json.loads(told.stdout)
    stated = dict(re.findall(r"^\| `(\w+)` \| [\d.]+ \| ([\d.]+) \|", CARD, flags=re.MULTILINE))
    assert {"fine_map", "coarse_map", "combined_coarse_map", "combined_fine_map"} <= set(stated)
    for name, value in stated.items():
        assert figures[name] == pytest.approx(float(value), abs=0.005), name
