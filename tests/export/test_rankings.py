import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgrain.codes import HashCodes, hamming
from hashgrain.codes.errors import InvalidInput
from hashgrain.export.rankings import Depths, Grading, hamming_counts, ranking_figures

PARENT = np.array([0, 0, 1, 1, 1])


def random_task(seed, queries=19, items=300):
    """Random codes of 10 and 32 bits, with random labels."""
    rng = np.random.default_rng(seed)
    codes = [
        HashCodes.from_logits(rng.normal(size=(count, 10)), rng.normal(size=(count, 32))) for count in (queries, items)
    ]
    return *codes, Grading(rng.integers(0, 5, queries), rng.integers(0, 5, items), PARENT)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_counts_are_those_of_one_item_at_a_time(seed):
    queries, database, grading = random_task(seed, queries=3, items=12)
    found = hamming_counts(queries, database, grading)
    expected = {name: np.zeros_like(getattr(found, name)) for name in ("fine", "coarse", "combined")}
    fine, coarse = hamming(queries.fine, database.fine), hamming(queries.coarse, database.coarse)
    for q, query_class in enumerate(grading.queries):
        for n, item_class in enumerate(grading.database):
            grade = 2 if query_class == item_class else int(PARENT[query_class] == PARENT[item_class])
            expected["fine"][q, fine[q, n], grade] += 1
            expected["coarse"][q, coarse[q, n], grade] += 1
            expected["combined"][q, fine[q, n] + coarse[q, n], grade] += 1
    for name, counts in expected.items():
        assert np.array_equal(getattr(found, name), counts), name


def test_figures_do_not_depend_on_the_order_of_the_database():
    queries, database, grading = random_task(0)
    order = np.argsort(grading.database, kind="stable")  # by class, where an unstable sort would gain most
    sorted_grading = Grading(grading.queries, grading.database[order], PARENT)
    first = hamming_counts(queries, database, grading)
    second = hamming_counts(queries, database[order], sorted_grading)
    assert np.array_equal(first.combined, second.combined)


def test_figures_without_ties_are_the_textbook_values():
    zeros = np.zeros((1, 8), np.float32) - 1
    bits = np.array([[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 1]], np.float32)
    fine = np.hstack([np.full((4, 28), -1, np.float32), 2 * bits - 1])
    database = HashCodes.from_logits(np.repeat(zeros, 4, axis=0), fine)
    query = HashCodes.from_logits(zeros, -np.ones((1, 32), np.float32))
    counts = hamming_counts(query, database, Grading(np.array([0]), np.array([0, 2, 0, 1]), PARENT))
    figures = ranking_figures(counts.fine, Depths(precision=3, ndcg=4))
    assert figures.fine_map == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert figures.coarse_map == pytest.approx((1 / 1 + 2 / 3 + 3 / 4) / 3)
    assert figures.fine_precision == pytest.approx(2 / 3)
    assert figures.coarse_precision == pytest.approx(2 / 3)
    assert figures.ndcg == pytest.approx((2 + 2 / 2 + 1 / np.log2(5)) / (2 + 2 / np.log2(3) + 1 / 2))
    assert ranking_figures(counts.combined, Depths(3, 4)) == figures  # the coarse codes are equal


def test_codes_labels_and_depths_that_do_not_fit_are_refused():
    queries, database, grading = random_task(1)
    with pytest.raises(InvalidInput, match="18 query codes but 19 labels"):
        hamming_counts(queries[:18], database, grading)
    with pytest.raises(InvalidInput, match="the database side is empty"):
        Grading(grading.queries, np.empty(0, np.int64), PARENT)
    with pytest.raises(InvalidInput, match="query labels run from 0 to 7, but superclasses are given for 5 classes"):
        Grading(np.array([0, 7]), grading.database, PARENT)
    with pytest.raises(InvalidInput, match="at least 1, got precision 0 and NDCG 100"):
        Depths(precision=0)
