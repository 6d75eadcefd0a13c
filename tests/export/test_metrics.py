from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgrain.codes import hamming
from hashgrain.codes.errors import InvalidInput
from hashgrain.export.metrics import (
    average_precision,
    bucket_statistics,
    cosine_mean_average_precision,
    mean_average_precision,
)


def plain_average_precision(relevant):
    """The textbook definition, for one order without ties."""
    hits = [n for n, is_relevant in enumerate(relevant, 1) if is_relevant]
    return sum(found / position for found, position in enumerate(hits, 1)) / len(hits) if hits else 0.0


def averaged_over_orders(distances, relevant):
    """The mean over every order that sorts the distances."""
    orders = [
        o for o in permutations(range(len(distances))) if all(distances[a] <= distances[b] for a, b in pairwise(o))
    ]
    return np.mean([plain_average_precision([relevant[n] for n in order]) for order in orders])


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_closed_form_equals_the_mean_over_all_tied_orders(items):
    distances, relevant = zip(*items, strict=True)
    everything = np.bincount(distances, minlength=4)[None]
    hits = np.bincount([d for d, r in items if r], minlength=4)[None]
    assert average_precision(everything, hits)[0] == pytest.approx(averaged_over_orders(distances, relevant))


def test_map_does_not_depend_on_the_order_of_the_database():
    rng = np.random.default_rng(0)
    queries, database = rng.integers(0, 256, (9, 2), np.uint8), rng.integers(0, 256, (300, 2), np.uint8)
    labels, base = rng.integers(0, 3, 9), np.sort(rng.integers(0, 3, 300))
    order = rng.permutation(300)
    first = mean_average_precision(queries, database, labels, base)
    assert mean_average_precision(queries, database[order], labels, base[order]) == pytest.approx(first, abs=1e-12)
    assert mean_average_precision(queries, database, labels, base, chunk=2) == pytest.approx(first, abs=1e-12)


def test_map_without_ties_is_the_textbook_value():
    database = np.array([[0b00000000], [0b00000001], [0b00000011], [0b00000111]], np.uint8)
    query = np.zeros((1, 1), np.uint8)
    assert list(hamming(query, database)[0]) == [0, 1, 2, 3]
    found = mean_average_precision(query, database, np.array([1]), np.array([1, 0, 1, 0]))
    assert found == pytest.approx((1 / 1 + 2 / 3) / 2)


def test_query_without_a_relevant_picture_counts_as_zero():
    codes = np.zeros((2, 1), np.uint8)
    assert mean_average_precision(codes, codes, np.array([5, 1]), np.array([1, 1])) == pytest.approx(0.5)


def test_cosine_map_ranks_by_angle():
    database = np.array([[1, 0], [1, 1], [0, 1]], np.float32)
    found = cosine_mean_average_precision(
        np.array([[2, 0.1]], np.float32), database, np.array([1]), np.array([0, 1, 1])
    )
    assert found == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_bucket_statistics_of_a_uniform_and_a_collapsed_code():
    uniform = bucket_statistics(np.arange(16, dtype=np.uint32))
    assert uniform == {"buckets": 16, "entropy_bits": 4.0, "largest_share": 1 / 16, "collision": 1 / 16}
    assert bucket_statistics(np.zeros(5, np.uint32))["entropy_bits"] == 0


def test_codes_and_labels_must_agree():
    codes = np.zeros((2, 1), np.uint8)
    with pytest.raises(InvalidInput, match="2 query codes but 3 labels"):
        mean_average_precision(codes, codes, np.zeros(3, np.int64), np.zeros(2, np.int64))
