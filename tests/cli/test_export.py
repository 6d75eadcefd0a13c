"""export as a user types it: a run in single precision, and a run or a model in lower precision."""

import json

import onnx
import pytest

from command import hashgrain_here as hashgrain
from hashgrain.codes.pbtxt import read_encoder_contracts
from tiny_model import tiny_model

FEW_FLIPS = ("--flip-limit", "0.1")  # three epochs on 160 pictures leave logits near zero


def test_export_writes_model_config_and_certificate(repository):
    folder = repository / "hash_encoder"
    config = (folder / "config.pbtxt").read_text()
    certificate = json.loads((folder / "certificate.json").read_text())
    metadata = {p.key: p.value for p in onnx.load(folder / "1" / "model.onnx").metadata_props}
    assert "max_batch_size: 32" in config
    assert metadata["hashgrain.fingerprint"] == certificate["fingerprint"]
    assert f'"{certificate["fingerprint"]}"' in config
    assert certificate["pictures"] == 40
    assert certificate["fine"]["differing_share"] <= certificate["limit"]
    assert sorted(path.name for path in repository.iterdir()) == ["hash_encoder"]  # nothing left of the export


def test_export_beyond_the_limit_leaves_the_repository_as_it_was(run, repository, data):
    before = (repository / "hash_encoder" / "config.pbtxt").read_bytes()
    refused = hashgrain("export", run, "--repository", repository, "--limit", "-1")
    assert refused.returncode == 1
    assert "bits differ between PyTorch and ONNX Runtime on 40 pictures" in refused.stderr
    assert (repository / "hash_encoder" / "config.pbtxt").read_bytes() == before
    assert sorted(path.name for path in repository.iterdir()) == ["hash_encoder"]


def test_export_is_for_the_node_that_the_profile_names(repository, tmp_path):
    """The same network under another configuration, and back again to the letter."""
    before = (repository / "hash_encoder" / "config.pbtxt").read_text()
    assert "export --profile cpu" in before
    told = hashgrain("export", repository, "--repository", tmp_path, "--profile", "tensorrt", "--json")
    assert told.returncode == 0, told.stderr
    text = (tmp_path / "hash_encoder" / "config.pbtxt").read_text()
    assert "export --profile tensorrt" in text
    assert f'"{json.loads(told.stdout)["fingerprint"]}"' in text
    assert sorted(path.name for path in (tmp_path / "hash_encoder").iterdir()) == [
        "1", "certificate.json", "config.pbtxt",
    ]  # fmt: skip
    for place in (tmp_path, tmp_path / "hash_encoder"):  # in its own place, named either way
        assert hashgrain("export", place, "--repository", tmp_path, "--max-batch-size", "32").returncode == 0
        assert (tmp_path / "hash_encoder" / "config.pbtxt").read_text() == before


def test_a_second_version_stands_beside_the_first_until_that_is_left_out(run, repository, tmp_path):
    assert hashgrain("export", repository, "--repository", tmp_path).returncode == 0
    config = tmp_path / "hash_encoder" / "config.pbtxt"
    second = hashgrain("export", run, "--repository", tmp_path, "--version", "2", "--full-precision", "--json")
    assert second.returncode == 0, second.stderr
    contracts = read_encoder_contracts(config.read_text(), "config.pbtxt")
    assert "version_policy { specific { versions: [ 1, 2 ] } }" in config.read_text()
    assert contracts[2].fingerprint == json.loads(second.stdout)["fingerprint"] != contracts[1].fingerprint
    assert hashgrain("export", tmp_path, "--repository", tmp_path, "--serve", "2").returncode == 0
    assert read_encoder_contracts(config.read_text(), "config.pbtxt") == {2: contracts[2]}
    gone = hashgrain("export", tmp_path, "--repository", tmp_path, "--serve", "1")
    assert (gone.returncode, "serves versions 2; no model of version 1" in gone.stderr) == (1, True)


@pytest.fixture(scope="module")
def lowered(repository, data, tmp_path_factory):
    """The exported model once more, in 8 bits, and what the command told of it."""
    folder = tmp_path_factory.mktemp("lowered")
    told = hashgrain(
        "export", repository, "--precision", "int8", "--data", data, "--repository", folder, *FEW_FLIPS,
        "--float-layers", "1", "--calibrate", "64", "--json",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return folder / "hash_encoder", json.loads(told.stdout)


def test_model_in_lower_precision_is_another_model(lowered, repository):
    folder, told = lowered
    original = json.loads((repository / "hash_encoder" / "certificate.json").read_text())["fingerprint"]
    metadata = {p.key: p.value for p in onnx.load(folder / "1" / "model.onnx").metadata_props}
    assert metadata["hashgrain.fingerprint"] == told["fingerprint"] != original
    assert f'"{told["fingerprint"]}"' in (folder / "config.pbtxt").read_text()
    assert told["model_bytes"] < (repository / "hash_encoder" / "1" / "model.onnx").stat().st_size


def test_certificate_says_what_lower_precision_costs_and_gains(lowered, repository, data):
    certificate = json.loads((lowered[0] / "certificate.json").read_text())
    assert certificate == lowered[1]["certificate"]
    assert certificate["precision"] == "int8"
    assert certificate["calibration"].startswith("64 of ")
    assert (certificate["pictures"], certificate["limit"]) == (40, 0.1)
    assert certificate["retrieval"]["protocol"].startswith("P2: 40 queries of")
    figures = json.loads(hashgrain("evaluate", "--model", repository, "--data", data, "--json").stdout)
    assert certificate["retrieval"]["reference"]["fine"] == pytest.approx(figures["fine_map"])
    figures = json.loads(hashgrain("evaluate", "--model", lowered[0], "--data", data, "--json").stdout)
    assert certificate["retrieval"]["converted"]["both"] == pytest.approx(figures["combined_coarse_map"])
    assert all(speed["ratio"] == speed["converted"] / speed["reference"] for speed in certificate["speed"])


@pytest.mark.long
def test_run_is_exported_in_lower_precision_in_one_step(run, tmp_path):
    told = hashgrain("export", run, "--precision", "fp16", "--repository", tmp_path / "models", *FEW_FLIPS)
    assert told.returncode == 0, told.stderr
    assert "fp16 against" in told.stdout
    assert "mAP of classes by the fine code" in told.stdout
    certificate = json.loads((tmp_path / "models" / "hash_encoder" / "certificate.json").read_text())
    assert certificate["export"]["fingerprint"] == certificate["reference"] != certificate["fingerprint"]


@pytest.mark.long
def test_model_is_converted_on_pictures_without_labels(repository, data, tmp_path):
    told = hashgrain(
        "export",
        repository,
        "--precision",
        "fp16",
        "--data",
        data,
        "--unlabelled",
        "--repository",
        tmp_path,
        *FEW_FLIPS,
    )
    assert told.returncode == 0, told.stderr
    assert "mAP" not in told.stdout
    assert json.loads((tmp_path / "hash_encoder" / "certificate.json").read_text())["retrieval"] is None


def test_flips_beyond_the_limit_leave_the_repository_as_it_was(repository, lowered, data, tmp_path):
    refused = hashgrain(
        "export", repository, "--precision", "int8", "--float-layers", "0", "--data", data, "--repository", tmp_path,
        "--flip-limit", "-1",
    )  # fmt: skip
    assert refused.returncode == 1
    assert "bits flip in int8 on 40 pictures, the limit is -100.000%" in refused.stderr
    assert "--flip-limit" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_model_is_never_replaced_by_its_own_conversion(repository, data):
    before = (repository / "hash_encoder" / "1" / "model.onnx").read_bytes()
    refused = hashgrain("export", repository, "--precision", "fp16", "--data", data, "--repository", repository)
    assert (refused.returncode, "name another --repository" in refused.stderr) == (1, True)
    assert (repository / "hash_encoder" / "1" / "model.onnx").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--data", "elsewhere"), "--data is for a run, or a model in lower precision; this one keeps its codes"),
        (("--version", "2"), "--version is for a run, or a model in lower precision"),
        (("--precision", "int8", "--serve", "1"), "others are written by --version"),
        (("--precision", "int8"), "missing --data"),
        (("--flip-limit", "0.1"), "--flip-limit is for --precision fp16 or int8"),
        (("--precision", "fp16", "--full-precision"), "--full-precision is for a run"),
    ],
)
def test_options_that_would_change_nothing_are_refused(repository, options, message, tmp_path):
    refused = hashgrain("export", repository, "--repository", tmp_path, *options)
    assert list(tmp_path.iterdir()) == []
    assert (refused.returncode, message in refused.stderr) == (2, True), refused.stderr


def test_what_cannot_be_converted_says_why(lowered, data, tmp_path):
    options = ("--precision", "int8", "--data", data, "--repository", tmp_path / "models")
    again = hashgrain("export", lowered[0], *options)
    assert (again.returncode, "is quantised already" in again.stderr) == (1, True)
    onnx.save(tiny_model()[0], tmp_path / "model.onnx")
    nothing = hashgrain("export", tmp_path, *options)
    assert (nothing.returncode, "0 weighted nodes before its heads" in nothing.stderr) == (1, True)
    (tmp_path / "empty").mkdir()
    neither = hashgrain("export", tmp_path / "empty", *options)
    assert (neither.returncode, "is no run of `hashgrain train`" in neither.stderr) == (1, True)


def test_an_onnx_file_alone_has_no_configuration_to_change(repository, tmp_path):
    refused = hashgrain("export", repository / "hash_encoder" / "1" / "model.onnx", "--repository", tmp_path)
    assert (refused.returncode, "is exported already; give --precision" in refused.stderr) == (2, True)


@pytest.mark.long
def test_a_model_in_lower_precision_may_stand_beside_the_one_it_was(repository, data, tmp_path):
    assert hashgrain("export", repository, "--repository", tmp_path).returncode == 0
    told = hashgrain(
        "export", tmp_path, "--precision", "fp16", "--data", data, "--repository", tmp_path, "--version", "2",
        *FEW_FLIPS, "--json",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    contracts = read_encoder_contracts((tmp_path / "hash_encoder" / "config.pbtxt").read_text(), "config.pbtxt")
    assert sorted(contracts) == [1, 2]
    assert contracts[2].fingerprint == json.loads(told.stdout)["fingerprint"] != contracts[1].fingerprint
