"""Vectors in place of pictures, from the files to a run that is exported and measured."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from command import hashgrain_here as hashgrain
from hashgrain.codes.errors import DataError
from hashgrain.export import readers
from hashgrain.export.inference import to_input
from hashgrain.export.run_folder import RunFolder
from hashgrain.export.settings import TrainSettings
from hashgrain.export.train import train
from labelled_pictures import write_parquet
from labelled_vectors import WIDTH, drawn, write_vector_parquet, write_vectors

BITS = ("--coarse-bits", "8", "--fine-bits", "32")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_vectors(tmp_path_factory.mktemp("vectors") / "data")


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "vectors"
    told = hashgrain("train", folder, "--data", data, *BITS, "--epochs", "30", "--scale", "8")
    assert told.returncode == 0, told.stderr
    assert "labels at one level" not in told.stdout
    return folder


def test_run_on_vectors_is_measured_before_and_after_its_export(run, data, tmp_path):
    exported = hashgrain("export", run, "--repository", tmp_path, "--json")
    assert exported.returncode == 0, exported.stderr
    assert json.loads(exported.stdout)["certificate"]["fine"]["differing_share"] <= 2e-3
    figures = [
        json.loads(hashgrain("evaluate", *which, "--data", data, "--json").stdout)
        for which in (("--run", run, "--device", "cpu"), ("--model", tmp_path))
    ]
    assert figures[0]["fine_map"] == pytest.approx(figures[1]["fine_map"], abs=0.02)
    assert figures[1]["fine_map"] > 0.75  # chance is .13
    assert figures[1]["rankings"]["combined"]["coarse_map"] > 0.8
    config = (tmp_path / "hash_encoder" / "config.pbtxt").read_text()
    assert f'{{ name: "vector" data_type: TYPE_FP32 dims: [ {WIDTH} ] }}' in config
    assert f'key: "vector" value: {{ data_type: TYPE_FP32 dims: [ {WIDTH} ] random_data: true }}' in config


def test_run_on_vectors_is_refitted_like_any_other(run, tmp_path):
    fitted = hashgrain("refit", run, tmp_path / "longer", "--fine-bits", "64")
    assert fitted.returncode == 0, fitted.stderr
    settings = json.loads((tmp_path / "longer" / "settings.json").read_text())
    assert (settings["fine_bits"], settings["vector_width"]) == (64, WIDTH)


def test_without_labels_a_file_of_vectors_is_enough(tmp_path):
    vectors, _, _ = drawn(300, 5)
    np.save(tmp_path / "clip.npy", vectors.astype(np.float16))
    refused = hashgrain("train", tmp_path / "run", "--data", tmp_path / "clip.npy", *BITS)
    assert (refused.returncode, "clip.labels.npy" in refused.stderr) == (1, True)
    told = hashgrain("train", tmp_path / "run", "--data", tmp_path / "clip.npy", "--unlabelled", *BITS)
    assert told.returncode == 0, told.stderr
    assert "of the ten nearest by float features kept" in told.stdout
    assert hashgrain("export", tmp_path / "run", "--repository", tmp_path / "models").returncode == 0


def test_one_level_of_labels_gets_groups_and_the_run_keeps_them(tmp_path):
    vectors, fine, _ = drawn(400, 6)
    np.save(tmp_path / "v.npy", vectors)
    np.save(tmp_path / "v.labels.npy", fine)
    told = hashgrain("train", tmp_path / "run", "--data", tmp_path / "v.npy", *BITS)
    assert "their 8 classes were put into 2 groups" in told.stdout, told.stderr
    groups = json.loads((tmp_path / "run" / "learned_hierarchy.json").read_text())
    assert sorted(name for group in groups.values() for name in group) == list("01234567")
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    assert hashgrain("refit", moved, tmp_path / "again").returncode == 0
    assert json.loads((tmp_path / "again" / "learned_hierarchy.json").read_text()) == groups
    figures = hashgrain("evaluate", "--run", tmp_path / "again", "--data", tmp_path / "v.npy", "--json")
    assert json.loads(figures.stdout)["rankings"]["chance"]["coarse_precision"] > 0.3  # eight classes alone: .13


@pytest.mark.parametrize("fixed", [True, False])
def test_parquet_of_either_kind_of_list_holds_the_same_vectors_and_labels(tmp_path, fixed):
    source = write_vector_parquet(tmp_path / "v.parquet", fixed=fixed)
    data = readers.load(source, "train", 0)
    vectors, fine, coarse = drawn(200, 0)
    assert np.allclose(data.images, vectors)
    assert [data.fine_names[n] for n in data.fine] == [f"class {n}" for n in fine]
    assert [data.coarse_names[n] for n in data.coarse] == [f"group {n}" for n in coarse]
    unlabelled, _ = readers.load_vectors(write_vector_parquet(tmp_path / "u.parquet", labels=False), "test")
    assert np.allclose(unlabelled, vectors)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((3, 4), np.int64), r"int64 \(3, 4\); vectors are floats"),
        (np.zeros(3, np.float32), r"float32 \(3,\); vectors are floats"),
        (np.array([[1, 2], [np.nan, 0], [0, 1]], np.float32), "1 vectors hold a value that is not finite, row 1"),
    ],
)
def test_array_of_another_kind_is_refused(tmp_path, values, message):
    np.save(tmp_path / "v.npy", values)
    with pytest.raises(DataError, match=message):
        readers.load_vectors(tmp_path / "v.npy", "train")


def test_damaged_uneven_and_ambiguous_files_are_refused(tmp_path):
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match="cannot be read as an array"):
        readers.load_vectors(tmp_path / "cut.npy", "train")
    uneven = tmp_path / "uneven.parquet"
    pq.write_table(pa.table({"vector": [[1.0, 2.0], [1.0]]}), uneven)
    with pytest.raises(DataError, match="vectors of 2 lengths"):
        readers.load_vectors(uneven, "train")
    two = tmp_path / "two.parquet"
    pq.write_table(pa.table({"a": [[1.0]], "b": [[2.0]]}), two)
    with pytest.raises(DataError, match=r"several columns of vectors, \['a', 'b'\]; call one of them vector"):
        readers.load_vectors(two, "train")


def test_labels_that_do_not_nest_or_are_too_few_are_refused(tmp_path):
    np.save(tmp_path / "v.npy", np.eye(4, dtype=np.float32))
    np.save(tmp_path / "v.labels.npy", np.array([["a", "x"], ["a", "y"], ["b", "x"], ["b", "x"]]))
    with pytest.raises(DataError, match="class 0 stands under two superclasses"):
        readers.load(tmp_path / "v.npy", "train", 0)
    np.save(tmp_path / "v.labels.npy", np.arange(3))
    with pytest.raises(DataError, match="holds 4 pictures but 3 labels"):
        readers.load(tmp_path / "v.npy", "train", 0)


def test_what_is_for_pictures_alone_is_refused_for_vectors(run, data, tmp_path):
    refused = hashgrain("train", tmp_path / "run", "--data", data, "--cutmix", "0.5")
    assert (refused.returncode, "for which cutmix 0.5 means nothing" in refused.stderr) == (1, True)
    refused = hashgrain("export", run, "--repository", tmp_path / "m", "--precision", "fp16")
    assert (refused.returncode, "lower precision is for networks of pictures" in refused.stderr) == (1, True)
    refused = hashgrain("export", run, "--repository", tmp_path / "m", "--profile", "tensorrt")
    assert (refused.returncode, "use the profile gpu or cpu" in refused.stderr) == (1, True)
    pictures = write_parquet(tmp_path / "pictures", {"train": 9, "test": 4})
    refused = hashgrain("evaluate", "--run", run, "--data", pictures)
    assert (refused.returncode, "no vectors at" in refused.stderr) == (1, True)


def test_features_of_a_backbone_are_vectors_to_train_on(tmp_path):
    pictures = write_parquet(tmp_path / "pictures", {"train": 90, "test": 20})
    folder = tmp_path / "features"
    told = hashgrain("features", folder, "--data", pictures, "--backbone", "small_cnn", "--input-size", "32")
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines() == [
        f"{folder}/train.npy: 90 vectors of 256",
        f"{folder}/test.npy: 20 vectors of 256",
    ]
    data = readers.load(folder, "train", 0)
    assert (data.images.shape, sorted(data.coarse_names)) == ((90, 256), ["blue", "red"])
    assert [name.split("_")[0] for name in data.fine_names] == [data.coarse_names[n] for n in data.parent]


def test_features_of_a_run_are_what_its_heads_are_fed(tmp_path):
    """Heads that are fitted to them then stand on the run's backbone; a run on vectors has none."""
    pictures = write_parquet(tmp_path / "pictures", {"train": 64, "test": 20})
    trained = RunFolder.create(tmp_path / "trained")
    network = train(
        TrainSettings(data=str(pictures), backbone="small_cnn", input_size=32, epochs=1, batch_size=16),
        trained,
        device="cpu",
        progress=False,
    )
    told = hashgrain("features", tmp_path / "features", "--data", pictures, "--run", trained.path, "--device", "cpu")
    assert told.returncode == 0, told.stderr
    test = readers.load(pictures, "test", 32).images
    vectors = torch.from_numpy(np.load(tmp_path / "features" / "test.npy"))
    with torch.no_grad():
        assert torch.allclose(network.fine_head(vectors), network(to_input(test, torch.device("cpu")))[1], atol=1e-4)
    fitted = tmp_path / "fitted"
    assert hashgrain("train", fitted, "--data", tmp_path / "features", "--epochs", "1").returncode == 0
    refused = hashgrain("features", tmp_path / "again", "--data", pictures, "--run", fitted)
    assert (refused.returncode, "takes vectors, which are all the features" in refused.stderr) == (1, True)
    refused = hashgrain("features", tmp_path / "again", "--data", pictures, "--run", trained.path, "--input-size", "64")
    assert (refused.returncode, "give no others" in refused.stderr) == (2, True)
