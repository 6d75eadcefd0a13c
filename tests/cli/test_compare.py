"""`hashgrain compare` as a user types it, on drawn pictures and a backbone without published weights."""

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from command import hashgrain_here as hashgrain
from hashgrain.export import splits
from hashgrain.export.compare import DEPTHS, _curve, compare
from hashgrain.export.features import FeatureTask
from labelled_pictures import write_parquet


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_parquet(tmp_path_factory.mktemp("data"), {"train": 700, "test": 100})


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch):
    monkeypatch.setattr(splits.split_p1, "__defaults__", (5, 64))


def options(data, *more):
    return ("compare", "--data", data, "--backbone", "small_cnn", "--input-size", "32", "--epochs", "20", *more)


def test_table_json_and_page_tell_one_story(data, tmp_path):
    features, page = tmp_path / "features.npz", tmp_path / "page.html"
    grid = ("--methods", "default,csq", "--bits", "8,16", "--seeds", "0,1", "--features", features)
    told = hashgrain(*options(data, *grid, "--json"))
    assert told.returncode == 0, told.stderr
    runs = json.loads(told.stdout)
    assert [(r["method"], r["bits"], r["seed"]) for r in runs] == [
        (method, bits, seed) for bits in (8, 16) for method in ("default", "csq") for seed in (0, 1)
    ]
    assert min(r["mean_precision"] for r in runs) > 0.5  # chance is .25
    assert features.exists()
    plain = hashgrain(*options(data, *grid, "--page", page))
    assert plain.returncode == 0, plain.stderr
    values = [r["mean_precision"] for r in runs if (r["method"], r["bits"]) == ("csq", 16)]
    cell = f"{np.mean(values):.3f} ({(max(values) - min(values)) / 2:.3f})"
    assert cell in next(line for line in plain.stdout.splitlines() if line.startswith("csq"))
    html = page.read_text()
    assert cell in html
    charts = [f"<svg{part.split('</svg>')[0]}</svg>" for part in html.split("<svg")[1:]]
    assert len(charts) == 4
    for chart in charts:
        ElementTree.fromstring(chart)
    assert all(name in charts[3] for name in ("red_dark", "blue_light"))
    assert sum(chart.count("<polyline") for chart in charts) == 6


def test_features_of_something_else_are_refused(data, tmp_path):
    features = tmp_path / "features.npz"
    small = ("--methods", "dpn", "--bits", "8", "--seeds", "0", "--features", features)
    assert hashgrain(*options(data, *small)).returncode == 0
    refused = hashgrain(*options(data, *small, "--protocol-seed", "1"))
    assert (refused.returncode, "name another file" in refused.stderr) == (1, True)
    features.write_bytes(features.read_bytes()[:200])
    refused = hashgrain(*options(data, *small))
    assert (refused.returncode, "remove it" in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (("--methods", "magic"), 1, "no method 'magic': choose from"),
        (("--methods", "dpn", "--bits", "12"), 1, "a multiple of 8, got 12"),
        (("--bits", "many"), 2, "no list of numbers"),
    ],
)
def test_grid_that_makes_no_sense_is_refused_before_the_data_are_read(tmp_path, more, code, message):
    refused = hashgrain(*options(tmp_path / "nothing", *more))
    assert (refused.returncode, message in refused.stderr) == (code, True), refused.stderr


def test_curves_enter_a_tied_group_evenly():
    everything, relevant = np.array([[10, 0, 90, 900]]), np.array([[10, 0, 45, 45]])
    precision, recall = _curve(everything, relevant)
    at = {depth: number for number, depth in enumerate(DEPTHS)}
    assert precision[at[0.005]] == pytest.approx(1.0)
    assert recall[at[0.01]] == pytest.approx(0.1)
    assert recall[at[0.05]] == pytest.approx((10 + 40 * 0.5) / 100)
    assert recall[at[1.0]] == pytest.approx(1.0)
    assert precision[at[1.0]] == pytest.approx(0.1)


def test_separable_features_give_perfect_codes():
    labels = np.arange(400) % 4
    features = np.eye(4, dtype=np.float32)[labels]
    task = FeatureTask(features[:40], features, labels[:40], labels, np.arange(400), np.array(list("abcd")), "corners")
    for outcome in compare(task, ("default", "dpn"), (16,), (0,), epochs=40):
        assert outcome.mean_precision == pytest.approx(1.0)
        assert outcome.entropy == pytest.approx(2.0)
