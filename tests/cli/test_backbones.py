"""`hashgrain backbones` as a user types it."""

import json

import pytest

from command import hashgrain_here as hashgrain


@pytest.mark.long
def test_costs_of_a_backbone():
    told = hashgrain("backbones", "small_cnn", "--input-size", "32", "--json")
    assert told.returncode == 0, told.stderr
    (cost,) = json.loads(told.stdout)
    # six convolutions of 3 x 3: multiplications per place and channel pair, at 32, 16 and 8 pixels, and the heads
    macs = 9 * (32**2 * (3 * 64 + 64 * 64) + 16**2 * (64 * 128 + 128 * 128) + 8**2 * (128 * 256 + 256 * 256)) + 256 * 80
    assert cost["macs"] == macs
    assert cost["parameters"] == 9 * (3 * 64 + 64 * 64 + 64 * 128 + 128 * 128 + 128 * 256 + 256 * 256) + 2 * 2 * 448
    assert 2 * cost["parameters"] < cost["onnx_bytes"] < 2.2 * cost["parameters"]
    assert cost["images_per_second"] > 0


def test_table_names_machine_and_versions():
    told = hashgrain("backbones", "small_cnn", "--input-size", "16")
    assert told.returncode == 0, told.stderr
    assert "small_cnn" in told.stdout
    assert "ONNX Runtime" in told.stdout.splitlines()[-1]


def test_unknown_backbone_names_the_known_ones():
    refused = hashgrain("backbones", "small_cnm")
    assert (refused.returncode, "choose from" in refused.stderr) == (1, True)
