"""A run without labels, from a plain folder to an export."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from command import hashgrain_here as hashgrain
from hashgrain.codes.errors import DataError
from hashgrain.export.run_folder import RunFolder
from hashgrain.export.unlabelled import neighbours_kept, pictures_alone
from labelled_pictures import drawn, write_parquet


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures at two depths, and a note that is none."""
    root = tmp_path_factory.mktemp("photos")
    (root / "deep" / "er").mkdir(parents=True)
    (root / "notes.txt").write_text("no picture")
    images, _ = drawn(120, seed=1)
    for number, image in enumerate(images):
        Image.fromarray(image).save(root / ("deep/er" if number % 2 else ".") / f"{number:03}.png")
    return root


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "unlabelled"
    options = (
        "--data",
        folder,
        "--backbone",
        "small_cnn",
        "--input-size",
        "32",
        "--coarse-bits",
        "8",
        "--fine-bits",
        "32",
    )
    told = hashgrain("train", path, "--unlabelled", *options)
    assert told.returncode == 0, told.stderr
    assert "of the ten nearest by float features kept" in told.stdout
    return path


def test_every_bit_is_balanced_on_the_pictures_that_it_was_fitted_to(run, folder):
    network, names, _ = RunFolder.open(run).load_network()
    assert names == ("all",)
    data = pictures_alone(folder, "train", 32)
    assert len(data) == 120
    with torch.no_grad():
        for logits in network(torch.from_numpy(data.images).permute(0, 3, 1, 2).float()):
            assert ((logits > 0).float().mean(0) - 0.5).abs().max() < 0.05


def test_summary_holds_the_label_free_figures(run):
    figures = json.loads((run / "summary.json").read_text())["label_free"]
    assert 0 < figures["neighbours_kept"] <= 1
    assert figures["entropy_bits"] > 2
    assert figures["least_balanced"] == pytest.approx(0.5, abs=0.05)


def test_run_is_exported_and_measured_like_any_other(run, tmp_path):
    exported = hashgrain("export", run, "--repository", tmp_path / "models")
    assert exported.returncode == 0, exported.stderr
    data = write_parquet(tmp_path / "data", {"train": 160, "test": 40})
    told = hashgrain("evaluate", "--model", tmp_path / "models", "--data", data, "--json")
    assert json.loads(told.stdout)["fine_map"] > 0.4  # chance is .25, and no label was seen


def test_labels_that_there_are_are_not_looked_at(tmp_path):
    data = pictures_alone(write_parquet(tmp_path, {"train": 12, "test": 4}), "test", 16)
    assert (len(data), data.fine_names) == (4, ("all",))
    assert not data.fine.any()


def test_damaged_picture_is_named(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    with pytest.raises(DataError, match="broken.jpg"):
        pictures_alone(tmp_path, "train", 16)


def test_neighbours_kept_counts_ties_in_proportion():
    """Codes equal to the order of the features keep everything; codes that are all alike keep what chance does."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 8)).astype(np.float32)
    assert neighbours_kept(features, np.zeros((60, 4), np.uint8)) == pytest.approx(10 / 59)
    groups = np.repeat(np.eye(5, dtype=np.float32), 11, axis=0) + rng.normal(0, 1e-3, (55, 5)).astype(np.float32)
    codes = np.repeat(np.array([[0], [3], [12], [48], [192]], np.uint8), 11, axis=0)
    assert neighbours_kept(groups, codes) == pytest.approx(1.0)
