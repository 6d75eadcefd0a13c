"""train, refit and evaluate as a user types them, on drawn pictures."""

import json

import pytest

from command import hashgrain_here as hashgrain


def test_evaluate_names_its_protocol_and_finds_the_colours(repository, data):
    told = hashgrain("evaluate", "--model", repository, "--data", data, "--json")
    assert told.returncode == 0, told.stderr
    figures = json.loads(told.stdout)
    assert figures["protocol"].startswith("P2: 40 queries of")
    assert "against 160 of" in figures["protocol"]
    assert figures["fine_map"] > 0.5  # chance is .25
    assert figures["coarse_map"] > 0.6  # chance is .5
    plain = hashgrain("evaluate", "--model", repository, "--data", data, "--queries", "10")
    assert "P2: 10 queries of" in plain.stdout


def test_run_is_measured_without_an_export(run, repository, data):
    """Its codes are the exported model's but for bits that the certificate allows to differ."""
    told = hashgrain("evaluate", "--run", run, "--device", "cpu", "--data", data, "--json")
    assert told.returncode == 0, told.stderr
    figures = json.loads(told.stdout)
    exported = json.loads(hashgrain("evaluate", "--model", repository, "--data", data, "--json").stdout)
    assert figures["fine_map"] == pytest.approx(exported["fine_map"], abs=0.01)
    assert figures["fingerprint"].startswith("weights ")


def test_evaluate_measures_one_thing(run, repository, data):
    both = hashgrain("evaluate", "--run", run, "--model", repository, "--data", data)
    assert (both.returncode, "give one" in both.stderr) == (2, True)
    nowhere = hashgrain("evaluate", "--model", repository, "--device", "cpu", "--data", data)
    assert (nowhere.returncode, "--device and --held-out need a --run" in nowhere.stderr) == (2, True)
    missing = hashgrain("evaluate", "--run", run)
    assert (missing.returncode, "missing --data" in missing.stderr) == (2, True)


def test_held_out_pictures_query_those_that_were_trained_on(run, data, tmp_path):
    nothing = hashgrain("evaluate", "--run", run, "--held-out")
    assert (nothing.returncode, "train one with --validation" in nothing.stderr) == (1, True)
    settings = json.loads((run / "settings.json").read_text()) | {"validation": 0.25, "epochs": 1}
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(settings))
    assert hashgrain("train", tmp_path / "part", "--settings", file).returncode == 0
    told = hashgrain("evaluate", "--run", tmp_path / "part", "--held-out", "--json")
    figures = json.loads(told.stdout)
    assert figures["queries"] + figures["database"] == 160
    assert figures["queries"] == pytest.approx(40, abs=2)
    assert "held out and trained on" in figures["protocol"]


def test_refitted_run_can_be_exported(run, tmp_path):
    fitted = hashgrain("refit", run, tmp_path / "fitted", "--fine-bits", "64", "--free-bits", "2", "--epochs", "3")
    assert fitted.returncode == 0, fitted.stderr
    assert f"hashgrain export {tmp_path / 'fitted'}" in fitted.stdout
    exported = hashgrain("export", tmp_path / "fitted", "--repository", tmp_path / "models", "--json")
    assert exported.returncode == 0, exported.stderr
    refused = hashgrain("refit", run, tmp_path / "fitted")
    assert (refused.returncode, "holds a run already" in refused.stderr) == (1, True)


def test_finished_run_is_kept(run, data):
    again = hashgrain("train", run, "--resume")
    assert (again.returncode, "has ended already" in again.stdout) == (0, True)
    other = hashgrain("train", run, "--data", data)
    assert (other.returncode, "holds a run already" in other.stderr) == (1, True)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((), 2, "missing --data"),
        (("--data", "nowhere"), 1, "no data at nowhere"),
        (("--data", "x", "--fine-bits", "60"), 2, "a multiple of 8, got 60"),
        (("--data", "x", "--no-such-setting", "1"), 2, "No such option"),
        (("--resume",), 1, "holds no run"),
        (("--resume", "--epochs", "9"), 2, "takes the settings from the run"),
    ],
)
def test_train_that_cannot_start_says_why(tmp_path, options, code, message):
    refused = hashgrain("train", tmp_path / "run", *options)
    assert (refused.returncode, message in refused.stderr) == (code, True), refused.stderr


def test_refused_training_leaves_no_run_behind(tmp_path, data):
    assert hashgrain("train", tmp_path / "run", "--data", "nowhere").returncode == 1
    assert not (tmp_path / "run").exists()


def test_export_of_an_unfinished_run_and_evaluate_without_a_model(tmp_path, data):
    (tmp_path / "settings.json").write_text(json.dumps({"data": str(data)}))
    refused = hashgrain("export", tmp_path)
    assert (refused.returncode, "`hashgrain train --resume`" in refused.stderr) == (1, True)
    refused = hashgrain("evaluate", "--model", tmp_path, "--data", data)
    assert (refused.returncode, "holds no model" in refused.stderr) == (1, True)
