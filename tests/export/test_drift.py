"""Two sets of codes side by side, on codes that the default model gives real pictures, and where numbers are known."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from command import hashgrain_here as hashgrain
from hashgrain.client.sinks.codes_file import CodesFile
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.images import decode
from hashgrain.export.chance import jensen_shannon, two_proportions
from hashgrain.export.drift import CodeSet, compare_codes
from hashgrain.export.metrics import within_nearest
from hashgrain.export.onnx_session import OnnxEncoder
from labelled_pictures import write_parquet
from tiny_model import write_tiny_repository

LAYOUT = CodeLayout(8, 32)
DEFAULT_MODEL = Path(__file__).resolve().parents[2] / "model_repository"


@pytest.fixture(scope="module")
def days(cifar100, tmp_path_factory):
    """Files of real codes: two days of anything, a day of five superclasses; ids are rows of the test split."""
    table = pq.read_table(next(cifar100.glob("test*.parquet")))
    coarse = table["coarse_label"].to_numpy()
    few = np.flatnonzero(np.isin(coarse, (1, 2, 4, 7, 11)) & (np.arange(len(coarse)) >= 500))[:250]
    rows = {"monday": np.arange(250), "tuesday": np.arange(250, 500), "flowers": few}
    encoder = OnnxEncoder(DEFAULT_MODEL)
    folder = tmp_path_factory.mktemp("days")
    column = next(name for name in ("img", "image") if name in table.column_names)
    for name, chosen in rows.items():
        files = [cell["bytes"] for cell in table[column].take(chosen).to_pylist()]
        codes = encoder.encode(np.stack([decode(file, encoder.input_size, "picture") for file in files]))
        with CodesFile(folder / f"{name}.parquet", encoder.layout, encoder.fingerprint) as sink:
            sink.write([int(row) for row in chosen], codes, [{} for _ in chosen])
    return folder


def test_two_days_of_one_collection_differ_by_chance_alone(days):
    told = hashgrain("evaluate", "--codes", days / "monday.parquet", "--against", days / "tuesday.parquet", "--json")
    assert told.returncode == 0, told.stderr
    shift = json.loads(told.stdout)["shift"]
    for tested in (shift["bits"], shift["buckets"]):
        assert tested["p"] > 0.05
        assert tested["found"] < tested["by_chance_95"]
    assert shift["moved"] == []


def test_a_day_of_other_pictures_is_noticed_and_the_table_says_what_the_json_says(days):
    command = ("evaluate", "--codes", days / "monday.parquet", "--against", days / "flowers.parquet")
    found = json.loads(hashgrain(*command, "--json").stdout)
    shift = found["shift"]
    assert shift["bits"]["p"] == shift["buckets"]["p"] == pytest.approx(1 / 201)
    assert shift["bits"]["found"] > 2 * shift["bits"]["by_chance_95"]
    assert all(abs(bit["z"]) > shift["limit"] for bit in shift["moved"])
    assert found["second"]["entropy_bits"] < found["first"]["entropy_bits"]
    lines = hashgrain(*command).stdout.splitlines()
    assert lines[0].startswith(f"A: {days / 'monday.parquet'}, 250 items, model {found['first']['fingerprint'][:12]}")
    row = next(line for line in lines if line.startswith("mean difference of the bits' ones"))
    assert row.split()[-4] == f"{shift['bits']['found']:.5f}"
    assert f"{len(shift['moved'])} bits moved beyond chance" in "\n".join(lines)
    assert lines[-1] == "neighbours: fewer than three ids are in both, nothing to compare"


def test_two_models_are_compared_by_the_neighbours_that_they_agree_on(tmp_path):
    data = write_parquet(tmp_path / "data", {"train": 8, "test": 60})
    for seed in (0, 1):
        write_tiny_repository(tmp_path / str(seed), seed=seed)
    same = hashgrain("evaluate", "--model", tmp_path / "0", "--against", tmp_path / "0", "--data", data, "--json")
    overlap = json.loads(same.stdout)["overlap"]
    assert (overlap["same_neighbours"], overlap["same_codes"], overlap["items"]) == (pytest.approx(1), 1, 60)
    told = hashgrain("evaluate", "--model", tmp_path / "0", "--against", tmp_path / "1", "--data", data, "--json")
    found = json.loads(told.stdout)
    assert (found["shift"], found["overlap"]["same_codes"]) == (None, None)
    assert found["overlap"]["by_chance"] == pytest.approx(10 / 59)
    assert found["overlap"]["by_chance"] + 0.1 < found["overlap"]["same_neighbours"] < 1


def codes(seed, count=200, ids=None, fingerprint="one"):
    rng = np.random.default_rng(seed)
    made = HashCodes.from_logits(*(rng.normal(size=(count, bits)).astype(np.float32) for bits in (8, 32)))
    return CodeSet(list(range(count)) if ids is None else ids, made, LAYOUT, fingerprint, f"set {seed}")


def test_unrelated_codes_agree_on_neighbours_as_often_as_chance():
    overlap = compare_codes(codes(1), codes(2, fingerprint="other")).overlap
    assert overlap.same_neighbours == pytest.approx(overlap.by_chance, abs=0.02)


def test_p_values_of_sets_from_one_source_are_spread_evenly():
    """Where nothing has moved, a comparison of twenty finds a p below .05, and none is always high."""
    p = [compare_codes(codes(2 * n, 80), codes(2 * n + 1, 80, range(80, 160))).shift.bits.p for n in range(40)]
    assert np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.25)
    assert np.mean(np.array(p) < 0.05) < 0.2


def test_codes_of_different_models_without_common_ids_cannot_be_compared():
    with pytest.raises(InvalidInput, match="codes of different models.*fewer than three ids in common"):
        compare_codes(codes(1), codes(2, ids=range(900, 1100), fingerprint="other"))


def test_statistics_are_the_textbook_values():
    z = two_proportions(np.array([0.5, 1.0]), 100, np.array([0.6, 1.0]), 300)
    assert z[0] == pytest.approx(0.1 / np.sqrt(0.575 * 0.425 * (1 / 100 + 1 / 300)))
    assert z[1] == 0  # a bit that is always set has not moved
    assert jensen_shannon(np.array([3, 0]), np.array([0, 7])) == pytest.approx(1)
    assert jensen_shannon(np.array([1, 3]), np.array([2, 6])) == pytest.approx(0)
    assert within_nearest(np.array([5, 1, 3, 3, 3]), 3).tolist() == [0, 1, *[pytest.approx(2 / 3)] * 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--codes", "{codes}"), "--codes is held --against another"),
        (("--against", "{codes}"), "missing --data"),
        (("--codes", "{codes}", "--against", "{codes}", "--queries", "3"), "hold codes already"),
        (("--against", "{codes}", "--held-out"), "it looks at no labels"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, options, message):
    (tmp_path / "codes.parquet").write_bytes(b"")
    refused = hashgrain("evaluate", *(option.format(codes=tmp_path / "codes.parquet") for option in options))
    assert (refused.returncode, message in refused.stderr) == (2, True), refused.stderr


def test_a_picture_file_is_no_file_of_codes(tmp_path):
    data = next(write_parquet(tmp_path, {"test": 3}).glob("*.parquet"))
    refused = hashgrain("evaluate", "--codes", data, "--against", data)
    assert (refused.returncode, "none of codes" in refused.stderr) == (1, True)
