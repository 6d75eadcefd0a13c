from itertools import pairwise, permutations
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgrain.export.metrics import average_precision, bucket_statistics, normalised_dcg, precision_at

GRADED = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=6)
"""Items as (distance, grade)."""


def plain_average_precision(grades, least):
    """The textbook definition, for one order without ties; relevant is what has at least a grade."""
    hits = [n for n, grade in enumerate(grades, 1) if grade >= least]
    return sum(found / position for found, position in enumerate(hits, 1)) / len(hits) if hits else 0.0


def plain_precision(grades, least, k):
    return sum(grade >= least for grade in grades[:k]) / k


def plain_ndcg(grades, k):
    def dcg(order):
        return sum(gain / log2(position + 1) for position, gain in enumerate(order[:k], 1))

    ideal = dcg(sorted(grades, reverse=True))
    return dcg(grades) / ideal if ideal else 0.0


def averaged_over_orders(items, metric):
    """The mean over every order that sorts the distances."""
    orders = [o for o in permutations(range(len(items))) if all(items[a][0] <= items[b][0] for a, b in pairwise(o))]
    return np.mean([metric([items[n][1] for n in order]) for order in orders])


def counts_of(items):
    counts = np.zeros((1, 4, 3), np.int64)
    for distance, grade in items:
        counts[0, distance, grade] += 1
    return counts


@given(GRADED, st.integers(1, 2))
@settings(max_examples=60, deadline=None)
def test_average_precision_equals_the_mean_over_all_tied_orders(items, least):
    counts = counts_of(items)
    found = average_precision(counts.sum(2), counts[:, :, least:].sum(2))[0]
    assert found == pytest.approx(averaged_over_orders(items, lambda order: plain_average_precision(order, least)))


@given(GRADED, st.integers(1, 2), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_precision_equals_the_mean_over_all_tied_orders(items, least, k):
    counts = counts_of(items)
    found = precision_at(counts.sum(2), counts[:, :, least:].sum(2), k)[0]
    assert found == pytest.approx(averaged_over_orders(items, lambda order: plain_precision(order, least, k)))


@given(GRADED, st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_ndcg_equals_the_mean_over_all_tied_orders(items, k):
    found = normalised_dcg(counts_of(items), k)[0]
    assert found == pytest.approx(averaged_over_orders(items, lambda order: plain_ndcg(order, k)))


def test_ndcg_of_a_ranking_written_out():
    """Grades 1, 2, 0, 2 in this order, each at a distance of its own."""
    counts = counts_of([(0, 1), (1, 2), (2, 0), (3, 2)])
    found = 1 / log2(2) + 2 / log2(3)
    ideal = 2 / log2(2) + 2 / log2(3) + 1 / log2(4)
    assert normalised_dcg(counts, 3)[0] == pytest.approx(found / ideal)
    assert normalised_dcg(counts, 1)[0] == pytest.approx(0.5)


def test_best_order_has_an_ndcg_of_one_and_other_gains_are_taken():
    best = counts_of([(0, 2), (0, 2), (1, 1), (2, 0)])
    assert normalised_dcg(best, 3)[0] == pytest.approx(1.0)
    worst = counts_of([(0, 1), (1, 2)])
    assert normalised_dcg(worst, 1, gains=(0.0, 3.0, 4.0))[0] == pytest.approx(0.75)


def test_query_without_a_relevant_item_counts_as_zero():
    counts = counts_of([(0, 0), (1, 0)])
    assert average_precision(counts.sum(2), counts[:, :, 2])[0] == 0
    assert precision_at(counts.sum(2), counts[:, :, 2], 1)[0] == 0
    assert normalised_dcg(counts, 2)[0] == 0


def test_bucket_statistics_of_a_uniform_and_a_collapsed_code():
    uniform = bucket_statistics(np.arange(16, dtype=np.uint32))
    assert uniform == {"buckets": 16, "entropy_bits": 4.0, "largest_share": 1 / 16, "collision": 1 / 16}
    assert bucket_statistics(np.zeros(5, np.uint32))["entropy_bits"] == 0
