"""`hashgrain evaluate` as a user types it, on a tiny exported model and drawn pictures."""

import json

import pytest

from command import hashgrain_here as hashgrain
from hashgrain.export import splits
from labelled_pictures import write_parquet


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_parquet(tmp_path_factory.mktemp("data"), {"train": 260, "test": 40})


def test_table_shows_what_the_json_holds(model, data):
    told = hashgrain("evaluate", "--model", model, "--data", data, "--json")
    assert told.returncode == 0, told.stderr
    figures = json.loads(told.stdout)
    plain = hashgrain("evaluate", "--model", model, "--data", data).stdout.splitlines()
    assert plain[0].startswith(f"P2: 40 queries of {data} (test) against 260 of {data} (train)")
    assert plain[0].startswith(figures["protocol"])
    for name, label in (
        ("fine", "fine code"),
        ("coarse", "coarse code"),
        ("combined", "fine + coarse distance"),
        ("float_cosine", "cosine of the fine logits *"),
        ("classifier", "predicted class"),
        ("chance", "chance"),
    ):
        row = figures["rankings"][name]
        columns = ("fine_map", "fine_precision", "coarse_map", "coarse_precision", "ndcg")
        line = next(line for line in plain if line.startswith(f"{label}  "))
        assert line.removeprefix(label).split() == [f"{row[column]:.4f}" for column in columns]
    recalls = {(r["key"], r["order"]): f"{r['recall']:.4f}" for r in figures["partition"]}
    line = next(line for line in plain if line.startswith("coarse + 16 fine bits, by margins"))
    assert line.split()[-1] == recalls["coarse + 16 fine bits", "margin"]


def test_p1_names_itself_and_its_seed(model, data, monkeypatch):
    monkeypatch.setattr(splits.split_p1, "__defaults__", (5, 12))
    told = hashgrain("evaluate", "--model", model, "--data", data, "--protocol", "p1", "--protocol-seed", "2", "--json")
    assert told.returncode == 0, told.stderr
    figures = json.loads(told.stdout)
    assert (figures["protocol_name"], figures["seed"]) == ("P1-280", 2)
    assert figures["protocol"].startswith("P1-280 (seed 2): 20 queries of")


def test_small_database_says_why_there_is_no_recall(model, data):
    told = hashgrain("evaluate", "--model", model, "--data", data, "--queries", "5", "--database", "100")
    assert told.returncode == 0, told.stderr
    assert "(a part of the protocol's 40 and 260)" in told.stdout
    assert "the database is too small" in told.stdout


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--protocol-seed", "3"), 2, "p2 draws nothing"),
        (("--protocol", "p3"), 2, "'p3' is not one of 'p1', 'p2'"),
        (("--protocol", "p1"), 1, "use protocol p2"),
    ],
)
def test_protocol_that_does_not_fit_is_refused(model, data, options, code, message):
    refused = hashgrain("evaluate", "--model", model, "--data", data, *options)
    assert (refused.returncode, message in refused.stderr) == (code, True), refused.stderr
