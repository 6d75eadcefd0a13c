"""Recall, and the curves of recall against the share compared, held against plain loops."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.partitions import at_share, faiss_ivf_curve, index_curve, split_key_curve
from benchmarks.plot import Series, log_plot
from benchmarks.recall import K, kth_distances, tie_aware_recall
from benchmarks.recall_curve import table
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer import Index
from random_codes import random_codes

LAYOUT = CodeLayout(16, 64)


def plain_distance(left: np.ndarray, right: np.ndarray) -> int:
    return sum(int(a ^ b).bit_count() for a, b in zip(left, right, strict=True))


def plain_recall(queries: HashCodes, items: HashCodes, answers: list[list[int]], k: int) -> float:
    """Of k answered rows of `items`, those no farther than the true k-th, one at a time."""
    right = 0
    for query, rows in zip(queries.fine, answers, strict=True):
        limit = sorted(plain_distance(query, item) for item in items.fine)[k - 1]
        right += sum(plain_distance(query, items.fine[row]) <= limit for row in rows[:k])
    return right / (k * len(queries))


@pytest.mark.parametrize("k", [1, 4, 10])
def test_recall_equals_its_plain_twin(k: int) -> None:
    items, queries = random_codes(150, LAYOUT, 1, centres=5), random_codes(20, LAYOUT, 2, centres=5)
    rng = np.random.default_rng(k)
    answers = [rng.permutation(150)[: rng.integers(0, k + 3)].tolist() for _ in range(20)]
    found = [
        np.array([plain_distance(query, items.fine[row]) for row in rows], np.int64)
        for query, rows in zip(queries.fine, answers, strict=True)
    ]
    kth = kth_distances(queries, [items[:90], items[90:95], items[95:]], k)
    assert tie_aware_recall(found, kth, k) == pytest.approx(plain_recall(queries, items, answers, k), abs=1e-12)


def test_recall_counts_ties_as_right_and_missing_answers_as_wrong() -> None:
    kth = np.array([5, 5])
    assert tie_aware_recall([np.array([1, 5, 5]), np.array([5])], kth, 3) == pytest.approx(4 / 6)
    assert tie_aware_recall([np.array([6]), np.array([], np.int64)], kth, 1) == 0


def test_kth_distance_of_too_few_items_is_refused() -> None:
    codes = random_codes(4, LAYOUT)
    with pytest.raises(InvalidInput, match="recall at 5 needs 5 items or more, got 4"):
        kth_distances(codes, [codes], 5)


def test_curves_reach_recall_one_where_all_is_compared(redis_url: str) -> None:
    items, queries = random_codes(800, LAYOUT, 1, logits=True), random_codes(30, LAYOUT, 2, logits=True)
    kth = kth_distances(queries, [items], K)
    shares = [0.01, 0.1, 1.0]
    with Index.create(redis_url, "curve", LAYOUT, bucket_items=8) as index:
        index.add(range(len(items)), items)
        probed = index_curve(index, queries, kth, shares)
    split = split_key_curve(items, queries, kth, shares)
    for curve in (probed, split):
        compared, recall = zip(*curve, strict=True)
        assert (compared[-1], recall[-1]) == (1.0, 1.0)
        assert list(recall) == sorted(recall)
        assert recall[0] < 1
        assert all(share >= asked for share, asked in zip(compared, shares, strict=True))


def test_keys_with_fine_bits_are_probed_by_the_margins_of_the_bits_that_differ() -> None:
    """Three items in three buckets; the query's own is empty, and the cheapest bit to turn is a fine one."""
    logits = np.full((3, 16), 2.0, np.float32), np.full((3, 64), 3.0, np.float32)
    logits[0][0, 4] = logits[0][1, 5] = logits[1][2, 6] = -1
    logits[1][:2, 20:] = -1  # the two others are far
    items = HashCodes.from_logits(*logits)
    query = HashCodes.from_logits(np.full((1, 16), 2.0, np.float32), np.full((1, 64), 0.5, np.float32))
    kth = np.array([1])
    (share, recall), *_ = split_key_curve(items, query, kth, [0.3])
    assert (share, recall) == (pytest.approx(1 / 3), pytest.approx(0.1))


def test_faiss_curve_compares_more_with_more_probes() -> None:
    items, queries = random_codes(2000, LAYOUT, 1, centres=40), random_codes(30, LAYOUT, 2, centres=40)
    curve = faiss_ivf_curve(items, queries, kth_distances(queries, [items], K), 32)
    shares = [share for share, _ in curve]
    assert len(curve) == 6  # 1, 2, 3, 4, 6 and 8 of 32 lists
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < 1


def test_recall_between_two_points_lies_between_theirs() -> None:
    curve = [(0.01, 0.5), (0.04, 0.9)]
    assert at_share(curve, 0.02) == pytest.approx(0.7)
    assert at_share(curve, 0.01) == 0.5
    assert at_share(curve, 0.009) is None
    assert at_share(curve, 0.05) is None


def test_table_says_how_far_the_target_is() -> None:
    ivf = [(0.001, 0.8), (0.2, 1.0)]
    curves = {
        "hashgrain, loaded in bulk": [(0.015, 0.5), (0.2, 1.0)],
        "hashgrain, grown by splits": ivf,
        "key of 16 coarse + 16 fine bits, margins (computed)": [(0.001, 0.9), (0.2, 1.0)],
        "Faiss": ivf,
    }
    lines = table(curves, "what it is").splitlines()
    assert "what it is" in lines[0]
    verdicts = [line for line in lines if "target" in line]
    assert "at 2 of 5 its buckets hold more; else missed by up to 0.3" in verdicts[0]
    assert verdicts[1].endswith("met")
    assert verdicts[2].endswith("met")


def test_plot_is_svg_with_every_name_escaped() -> None:
    drawn = log_plot(
        [Series("a < b", [(0.01, 0.6), (0.1, 0.9)], "#000"), Series("c", [(0.02, 0.7)], "#111", dashed=True)],
        title="t & u", subtitle="s", x_label="x", y_label="y", x_range=(0.01, 0.1), x_ticks=[0.01, 0.1],
        y_range=(0.5, 1.0),
    )  # fmt: skip
    root = ElementTree.fromstring(drawn)
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a < b", "c", "t & u", "1 %", "10 %", "0.5", "1.0"} <= set(words)
