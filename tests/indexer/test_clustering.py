"""Centroids: the compiled loops give what NumPy gives by hand, and every split keeps its promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.hamming import hamming
from hashgrain.codes.packing import unpack_bits
from hashgrain.indexer.adding import clustering
from hashgrain.indexer.adding.clustering import FARTHER, Halves, nearest_centroids, two_majority, within_radii
from hashgrain.indexer.stored.keys import NARROW
from hashgrain.indexer.stored.partition import Partition, pack_entries
from random_codes import random_codes

LAYOUTS = [CodeLayout(8, 32), CodeLayout(13, 40), CodeLayout(16, 64), CodeLayout(24, 128), CodeLayout(16, 256)]


def buckets_around(centroids: HashCodes, layout: CodeLayout) -> Partition:
    """Empty buckets."""
    none = np.zeros(len(centroids), np.int64)
    entries = pack_entries(centroids.fine, centroids.coarse, none, none, np.full(len(centroids), NARROW, np.uint8))
    return Partition.parse(b"0", entries, layout, "a partition")


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("centroids", [1, 7, 1025, 3000])
def test_nearest_centroids_are_those_of_numpy(layout: CodeLayout, centroids: int) -> None:
    """All lengths, and more centroids than one block holds; ties go to the lowest number."""
    codes, partition = random_codes(60, layout, seed=1), random_codes(centroids, layout, seed=2)
    number, fine, near = nearest_centroids(codes.fine, codes.coarse, buckets_around(partition, layout))
    fine_away = hamming(codes.fine, partition.fine).astype(np.int64)
    coarse_away = hamming(codes.coarse, partition.coarse).astype(np.int64)
    expected = (fine_away + coarse_away).argmin(axis=1)
    assert number.tolist() == expected.tolist()
    assert fine.tolist() == fine_away[np.arange(60), expected].tolist()
    assert near.tolist() == coarse_away[np.arange(60), expected].tolist()


def test_many_items_are_divided_among_threads_without_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """More pairs than one thread gets: every item has the answer that it has alone."""
    monkeypatch.setattr(clustering, "_WORTH_THREADS", 1_000_000)
    layout = CodeLayout(16, 64)
    codes, partition = random_codes(3001, layout, seed=3), random_codes(1000, layout, seed=4)
    buckets = buckets_around(partition, layout)
    at_once = nearest_centroids(codes.fine, codes.coarse, buckets)
    apart = [
        nearest_centroids(codes.fine[n : n + 500], codes.coarse[n : n + 500], buckets) for n in range(0, 3001, 500)
    ]
    for whole, parts in zip(at_once, zip(*apart, strict=True), strict=True):
        assert whole.tolist() == np.concatenate(parts).tolist()


def test_of_equally_near_centroids_the_lowest_number_is_taken() -> None:
    """Also across blocks."""
    fine, coarse = np.zeros((1, 8), np.uint8), np.zeros((1, 2), np.uint8)
    centroids = np.full((2100, 8), 255, np.uint8)
    centroids[[1500, 2000]] = 0
    buckets = buckets_around(HashCodes(np.zeros((2100, 2), np.uint8), centroids), CodeLayout(16, 64))
    number, _, _ = nearest_centroids(fine, coarse, buckets)
    assert number.tolist() == [1500]
    for first, expected in ((1500, 1500), (1501, 2000), (2001, 1500)):
        assert nearest_centroids(fine, coarse, buckets, first)[0].tolist() == [expected]


def test_no_items_have_no_centroids() -> None:
    """An empty batch is answered by empty arrays."""
    layout = CodeLayout(16, 64)
    nothing = nearest_centroids(
        np.empty((0, 8), np.uint8), np.empty((0, 2), np.uint8), buckets_around(random_codes(3, layout), layout)
    )
    assert [len(array) for array in nothing] == [0, 0, 0]


@pytest.mark.parametrize("pairs", [1, 1 << 20])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_items_beyond_the_radii_go_to_the_nearest_bucket_that_holds_them(
    layout: CodeLayout, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As item by item and bucket by bucket; ties go to the first bucket from a number on."""
    monkeypatch.setattr(clustering, "_PAIRS", pairs)
    codes, centroids = random_codes(200, layout, seed=1, centres=9), random_codes(40, layout, seed=2, centres=9)
    rng, first = np.random.default_rng(3), 17
    buckets = replace(
        buckets_around(centroids, layout),
        fine_radius=rng.integers(layout.fine_bits // 2, size=40),
        coarse_radius=rng.integers(layout.coarse_bits // 2, size=40),
    )
    nearest = nearest_centroids(codes.fine, codes.coarse, buckets, first)
    number, far, near = within_radii(codes.fine, codes.coarse, buckets, first, *nearest)
    fine_away = hamming(codes.fine, centroids.fine).astype(int)
    coarse_away = hamming(codes.coarse, centroids.coarse).astype(int)
    away, moved = fine_away + coarse_away, 0
    for item, best in enumerate(nearest[0].tolist()):
        fits = [
            n
            for n in range(40)
            if fine_away[item, n] <= buckets.fine_radius[n]
            and coarse_away[item, n] <= buckets.coarse_radius[n]
            and away[item, n] <= away[item, best] + FARTHER
        ]
        expected = best if best in fits or not fits else min(fits, key=lambda n: (away[item, n], (n - first) % 40))
        assert (number[item], far[item], near[item]) == (
            expected,
            fine_away[item, expected],
            coarse_away[item, expected],
        )
        moved += expected != best
    assert 10 < moved < 190


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_two_clusters_are_told_apart(layout: CodeLayout) -> None:
    """Items a few bits away from one of two far codes: the halves are the clusters, the centroids those codes."""
    rng = np.random.default_rng(5)
    ends = rng.random((2, layout.fine_bits + layout.coarse_bits)) < 0.5
    ends[1] = ~ends[0]
    cluster = rng.integers(0, 2, 300)
    bits = ends[cluster] ^ (rng.random((300, ends.shape[1])) < 0.1)
    fine, coarse = np.packbits(bits[:, : layout.fine_bits], axis=1), np.packbits(bits[:, layout.fine_bits :], axis=1)
    halves = two_majority(fine, coarse, layout)
    assert halves.first.tolist() in ((cluster == 0).tolist(), (cluster == 1).tolist())
    if halves.first[0] != (cluster[0] == 0):
        ends = ends[::-1]
    assert (unpack_bits(halves.fine, layout.fine_bits) == ends[:, : layout.fine_bits]).all()
    assert (unpack_bits(halves.packed_coarse, layout.coarse_bits) == ends[:, layout.fine_bits :]).all()


@settings(deadline=None)  # the first example waits for the compiler
@given(
    layout=st.sampled_from(LAYOUTS),
    items=st.integers(2, 80),
    distinct=st.integers(1, 80),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_split_is_balanced_deterministic_and_by_the_centroids(
    layout: CodeLayout, items: int, distinct: int, seed: int
) -> None:
    """Whatever the codes are: an eighth at least in each half, no item of one half belongs more to the other's."""
    kinds = random_codes(distinct, layout, seed=seed)
    codes = kinds[np.random.default_rng(seed).integers(0, distinct, items)]
    halves = two_majority(codes.fine, codes.coarse, layout)
    size = int(halves.first.sum())
    least = max(1, items // 8)
    assert least <= size <= items - least
    again = two_majority(codes.fine, codes.coarse, layout)
    assert [array.tolist() for array in vars(halves).values()] == [array.tolist() for array in vars(again).values()]
    difference = _away(halves, 0, codes.fine, codes.coarse) - _away(halves, 1, codes.fine, codes.coarse)
    assert difference[halves.first].max() <= difference[~halves.first].min()
    if least < size < items - least:
        assert difference[halves.first].max() <= 0 <= difference[~halves.first].min()


def test_equal_items_are_divided_equally_and_in_order() -> None:
    """Nothing tells them apart: the first half of them, and the second, around one and the same centroid."""
    layout = CodeLayout(16, 64)
    codes = random_codes(1, layout, seed=6)[np.zeros(501, np.int64)]
    halves = two_majority(codes.fine, codes.coarse, layout)
    assert halves.first.tolist() == [True] * 250 + [False] * 251
    assert halves.fine.tolist() == codes.fine[:2].tolist()
    assert halves.packed_coarse.tolist() == codes.coarse[:2].tolist()


def test_few_outliers_take_an_eighth_with_them() -> None:
    """Where the nearest centroid would leave a half almost empty, it is filled up by the nearest to it."""
    layout = CodeLayout(16, 64)
    fine, coarse = np.zeros((400, 8), np.uint8), np.zeros((400, 2), np.uint8)
    fine[399], coarse[399] = 255, 255
    halves = two_majority(fine, coarse, layout)
    assert min(int(halves.first.sum()), int((~halves.first).sum())) >= 50


def _away(halves: Halves, half: int, fine: NDArray[np.uint8], coarse: NDArray[np.uint8]) -> NDArray[np.int64]:
    centroid = slice(half, half + 1)
    total = hamming(fine, halves.fine[centroid])[:, 0] + hamming(coarse, halves.packed_coarse[centroid])[:, 0]
    return total.astype(np.int64)
