import numpy as np
import pytest

from hashgrain.codes.errors import InvalidInput
from hashgrain.export.baselines import (
    chance_figures,
    classifier_counts,
    classifier_figures,
    cosine_figures,
    nearest_centroid,
)
from hashgrain.export.rankings import Depths, Grading, RankingFigures, count_grades

PARENT = np.array([0, 0, 1, 1])
DEPTHS = Depths(precision=2, ndcg=3)


def test_cosine_ranks_by_angle_not_by_length():
    database = np.array([[1, 0], [9, 9], [0, 0.1]], np.float32)
    found = cosine_figures(
        np.array([[2, 0.1]], np.float32), database, Grading(np.array([1]), np.array([2, 1, 0]), PARENT), DEPTHS
    )
    assert found.fine_map == pytest.approx(1 / 2)
    assert found.coarse_map == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found.fine_precision == pytest.approx(1 / 2)
    assert found.ndcg == pytest.approx((2 / np.log2(3) + 1 / 2) / (2 + 1 / np.log2(3)))


def test_cosine_over_several_steps_is_the_mean_over_queries():
    rng = np.random.default_rng(0)
    queries, database = rng.normal(size=(40, 8)).astype(np.float32), rng.normal(size=(60, 8)).astype(np.float32)
    labels, base = rng.integers(0, 4, 40), rng.integers(0, 4, 60)
    whole = cosine_figures(queries, database, Grading(labels, base, PARENT), DEPTHS)
    alone = [
        cosine_figures(queries[n : n + 1], database, Grading(labels[n : n + 1], base, PARENT), DEPTHS)
        for n in range(40)
    ]
    assert whole.ndcg == pytest.approx(np.mean([figures.ndcg for figures in alone]))
    assert whole.fine_map == pytest.approx(np.mean([figures.fine_map for figures in alone]))


def test_classifier_ranks_like_a_two_hot_code():
    """Same predicted class first, then the same predicted superclass, then the rest; counted one by one here."""
    rng = np.random.default_rng(1)
    predicted, predicted_base = rng.integers(0, 4, 15), rng.integers(0, 4, 50)
    grading = Grading(rng.integers(0, 4, 15), rng.integers(0, 4, 50), PARENT)
    code = np.hstack([np.eye(4, dtype=int), np.eye(2, dtype=int)[PARENT]])
    distances = (code[predicted][:, None] != code[predicted_base]).sum(2) // 2
    expected = count_grades(distances.astype(np.uint16), grading.rows(slice(None)), 3, 3)
    assert np.array_equal(classifier_counts(predicted, predicted_base, grading), expected)


def test_perfect_classifier_gives_perfect_retrieval_and_a_constant_one_chance():
    labels, base = np.array([0, 1, 2, 3]), np.repeat(np.arange(4), 5)
    grading = Grading(labels, base, PARENT)
    assert classifier_figures(labels, base, grading, DEPTHS) == RankingFigures(1.0, 1.0, 1.0, 1.0, 1.0)
    counts = classifier_counts(labels * 0, base * 0, grading)
    chance = chance_figures(counts, DEPTHS)
    assert classifier_figures(labels * 0, base * 0, grading, DEPTHS) == chance
    assert (chance.fine_precision, chance.coarse_precision) == (pytest.approx(1 / 4), pytest.approx(1 / 2))


def test_nearest_centroid_classifies_by_direction_and_never_predicts_a_class_without_pictures():
    labelled = np.array([[1, 0], [8, 1], [0, 1], [1, 9]], np.float32)
    features = np.array([[5, 1], [0.1, 0.5], [-1, -1]], np.float32)
    found = nearest_centroid(features, labelled, np.array([0, 0, 2, 2]), 4)
    assert found[:2].tolist() == [0, 2]
    assert found[2] in (0, 2)  # far from both, yet classes 1 and 3 have no picture
    with pytest.raises(InvalidInput, match="4 labelled features but 3 labels"):
        nearest_centroid(features, labelled, np.array([0, 0, 2]), 4)
