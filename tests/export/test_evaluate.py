"""The whole evaluation on a tiny exported model and drawn pictures, held to what its parts give."""

import json

import numpy as np
import pytest

from hashgrain.codes import hamming
from hashgrain.codes.errors import InvalidInput
from hashgrain.export.evaluate import evaluate
from hashgrain.export.onnx_session import OnnxEncoder
from hashgrain.export.protocols import load_task
from hashgrain.export.rankings import Depths
from labelled_pictures import write_parquet


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return load_task("p2", write_parquet(tmp_path_factory.mktemp("data"), {"train": 600, "test": 50}), 32)


@pytest.fixture(scope="module")
def result(model, task):
    return evaluate(OnnxEncoder(model), task, Depths(precision=5, ndcg=20), some_queries=20)


def test_figures_are_those_of_the_exported_codes(model, task, result):
    """Precision is counted anew here, with the mean over the tied group at the fifth place."""
    encoder = OnnxEncoder(model)
    queries, database = encoder.encode(task.queries.images), encoder.encode(task.database.images)
    distances = hamming(queries.fine, database.fine)
    expected = []
    for row, label in zip(distances, task.queries.fine, strict=True):
        limit = np.sort(row)[4]
        nearer, tied = row < limit, row == limit
        relevant = task.database.fine == label
        room = 5 - nearer.sum()
        expected.append(((relevant & nearer).sum() + room * (relevant & tied).sum() / tied.sum()) / 5)
    assert result.rankings.fine.fine_precision == pytest.approx(np.mean(expected))


def test_every_ranking_beats_chance_and_chance_is_the_share_of_relevant_pictures(task, result):
    rankings = result.rankings
    same = (task.queries.fine[:, None] == task.database.fine).mean()
    assert rankings.chance.fine_precision == pytest.approx(same)
    assert rankings.chance.coarse_precision > rankings.chance.fine_precision
    for name in ("fine", "coarse", "combined", "float_cosine", "classifier"):
        assert getattr(rankings, name).fine_map > rankings.chance.fine_map + 0.1, name
        assert getattr(rankings, name).ndcg > rankings.chance.ndcg + 0.1, name
    assert result.classifier_accuracy > 0.5


def test_headline_names_level_and_ranking(result):
    headline = result.headline()
    assert headline["fine_map"] == result.rankings.fine.fine_map
    assert headline["coarse_map"] == result.rankings.coarse.coarse_map
    assert headline["combined_fine_map"] == result.rankings.combined.fine_map
    assert headline["combined_coarse_map"] == result.rankings.combined.coarse_map
    assert headline["combined_ndcg"] == result.rankings.combined.ndcg
    assert headline["float_fine_map"] == result.rankings.float_cosine.fine_map


def test_json_is_whole(task, result):
    told = json.loads(json.dumps(result.as_dict()))
    assert told["fine_map"] == result.rankings.fine.fine_map
    assert told["protocol"] == task.description
    assert (told["protocol_name"], told["seed"], told["split_sha256"]) == ("P2", None, task.split_sha256)
    assert (told["queries"], told["database"], told["some_queries"]) == (50, 600, 20)
    assert told["depths"] == {"precision": 5, "ndcg": 20}
    assert set(told["rankings"]) == {"fine", "coarse", "combined", "float_cosine", "classifier", "chance"}
    assert {recall["share"] for recall in told["partition"]} == {0.02, 0.05}  # 1 % of 600 are fewer than 10
    assert {recall["order"] for recall in told["partition"]} == {"margin", "hamming"}


def test_pictures_of_another_size_are_refused(model, tmp_path):
    data = write_parquet(tmp_path, {"train": 4, "test": 2})
    with pytest.raises(InvalidInput, match=r"takes uint8 pictures of \(32, 32, 3\)"):
        evaluate(OnnxEncoder(model), load_task("p2", data, 16))
