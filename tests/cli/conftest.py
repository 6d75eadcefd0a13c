"""A small data set, a run trained on it and its export, as a user makes them; not to be written to."""

import json

import pytest

from command import hashgrain_here as hashgrain
from labelled_pictures import write_parquet


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    return write_parquet(tmp_path_factory.mktemp("data"), {"train": 160, "test": 40})


@pytest.fixture(scope="session")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "small"
    options = ("--data", data, "--backbone", "small_cnn", "--input-size", "32", "--epochs", "3", "--batch-size", "16")
    trained = hashgrain("train", folder, *options, "--fine-bits", "32", "--coarse-bits", "8")
    assert trained.returncode == 0, trained.stderr
    assert f"hashgrain export {folder}" in trained.stdout
    return folder


@pytest.fixture(scope="session")
def repository(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    exported = hashgrain("export", run, "--repository", folder, "--max-batch-size", "32", "--json")
    assert exported.returncode == 0, exported.stderr
    written = json.loads(exported.stdout)
    assert written["model_bytes"] == (folder / "hash_encoder" / "1" / "model.onnx").stat().st_size
    return folder
