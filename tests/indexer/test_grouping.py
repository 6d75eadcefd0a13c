"""A collection divided into buckets: every item once, no bucket too large, radii that hold, and centroids of use."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.hamming import hamming, popcount
from hashgrain.codes.packing import unpack_bits
from hashgrain.indexer.adding import grouping
from hashgrain.indexer.adding.clustering import nearest_words
from hashgrain.indexer.adding.grouping import Grouping, group_items
from hashgrain.indexer.loops.nearest import nearest_in_groups
from hashgrain.indexer.loops.words import STEP, as_columns, as_words
from random_codes import random_codes

LAYOUT = CodeLayout(16, 64)


def grouped(codes: HashCodes, layout: CodeLayout, bucket_items: int) -> Grouping:
    return group_items(codes.fine, codes.coarse, layout, bucket_items)


@settings(deadline=None)  # the first example waits for the compiler
@given(
    layout=st.sampled_from([CodeLayout(8, 32), CodeLayout(13, 40), LAYOUT, CodeLayout(24, 256)]),
    items=st.integers(1, 700),
    distinct=st.integers(1, 700),
    bucket_items=st.sampled_from([1, 2, 7, 64, 512]),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_item_lies_in_one_bucket_within_its_radii(
    layout: CodeLayout, items: int, distinct: int, bucket_items: int, seed: int
) -> None:
    """Whatever the codes are, crowds of equal ones included; the centroids are the majorities of their buckets."""
    codes = random_codes(distinct, layout, seed)[np.random.default_rng(seed).integers(0, distinct, items)]
    groups = grouped(codes, layout, bucket_items)
    assert sorted(groups.order.tolist()) == list(range(items))
    assert groups.bounds[[0, -1]].tolist() == [0, items]
    assert len(groups.bounds) == len(groups) + 1
    sizes = np.diff(groups.bounds)
    assert sizes.min() >= 1
    assert sizes.max() <= bucket_items
    for bucket in range(len(groups)):
        mine = codes[groups.order[groups.bounds[bucket] : groups.bounds[bucket + 1]]]
        for members, centroid, bits, radius in (
            (mine.fine, groups.fine[bucket], layout.fine_bits, groups.fine_radius[bucket]),
            (mine.coarse, groups.packed_coarse[bucket], layout.coarse_bits, groups.coarse_radius[bucket]),
        ):
            assert radius == hamming(centroid[None], members).max(), "the least radius that holds"
            majority = 2 * unpack_bits(members, bits).sum(axis=0, dtype=int) > len(members)
            assert unpack_bits(centroid[None], bits)[0].tolist() == majority.tolist()


def test_few_items_are_one_bucket() -> None:
    """As many as a bucket may hold are not divided."""
    codes = random_codes(100, LAYOUT)
    assert len(grouped(codes, LAYOUT, 100)) == 1
    assert len(grouped(codes, LAYOUT, 99)) > 1


def test_equal_collections_are_divided_alike() -> None:
    """The sample is drawn from a fixed seed, and threads make no difference."""
    codes = random_codes(5000, LAYOUT)
    one, other = grouped(codes, LAYOUT, 40), grouped(codes, LAYOUT, 40)
    assert [array.tolist() for array in vars(one).values()] == [array.tolist() for array in vars(other).values()]


def test_clusters_far_from_each_other_share_no_bucket() -> None:
    """Three crowds, tighter than they are apart: what is near lies together."""
    codes = random_codes(3000, LAYOUT, flips=0.02, centres=3)
    away = hamming(codes.fine, codes.fine[:1])[:, 0].astype(int) + hamming(codes.coarse, codes.coarse[:1])[:, 0]
    groups = grouped(codes, LAYOUT, 200)
    near = away[groups.order] < 16
    for low, high in zip(groups.bounds[:-1], groups.bounds[1:], strict=True):
        assert near[low:high].all() or not near[low:high].any()


def test_buckets_are_neither_very_many_nor_very_small() -> None:
    """On the mean they are more than a third full, so a search does not read a key for a handful of items."""
    codes = random_codes(20_000, LAYOUT, centres=50, flips=0.15)
    assert len(codes) / len(grouped(codes, LAYOUT, 64)) > 64 / 3


@pytest.mark.parametrize("layout", [CodeLayout(8, 32), LAYOUT, CodeLayout(24, 256)], ids=str)
@pytest.mark.parametrize("centroids", [1, 63, 64, 65, 1500])
def test_the_nearest_in_all_groups_is_the_nearest_of_all(layout: CodeLayout, centroids: int) -> None:
    """Groups of any size, the last one shorter: where all are gone through nothing can be missed."""
    codes = as_words(*_packed(random_codes(300, layout, 1)))
    centres = as_words(*_packed(random_codes(centroids, layout, 2)))
    groups = np.append(np.arange(0, centroids, STEP), centroids)
    number = np.empty(300, np.int64)
    nearest_in_groups(codes, as_columns(centres), as_columns(centres[groups[:-1]]), groups, 10_000, number)
    assert number.tolist() == nearest_words(codes, centres)[0].tolist()


def test_only_groups_whose_pivots_are_nearest_are_gone_through() -> None:
    """With one group to read, each code gets the nearest of the group with the nearest pivot, the first of equals."""
    codes = as_words(*_packed(random_codes(200, LAYOUT, 1)))
    centres = as_words(*_packed(random_codes(5 * STEP, LAYOUT, 2, centres=5)))
    groups = np.arange(0, 6 * STEP, STEP)
    pivots = centres[groups[:-1]]
    number = np.empty(200, np.int64)
    nearest_in_groups(codes, as_columns(centres), as_columns(pivots), groups, 1, number)
    group = nearest_words(codes, pivots)[0]
    within = [
        int(nearest_words(codes[n : n + 1], centres[STEP * g : STEP * (g + 1)])[0][0]) for n, g in enumerate(group)
    ]
    assert number.tolist() == (STEP * group + within).tolist()


def test_few_centroids_are_missed_and_then_not_by_much() -> None:
    """Among thousands of centroids, in the groups that are gone through."""
    words = as_words(*_packed(random_codes(40_000, LAYOUT, centres=200, flips=0.12)))
    centres = grouping._centroids(words, 16)
    assert len(centres) > 2 * STEP * grouping.GROUPS_READ
    found, nearest = grouping._numbers(words, centres), nearest_words(words, centres)[1]
    reached = popcount(words ^ centres[found]).sum(axis=1, dtype=int)
    assert (reached == nearest).mean() > 0.9
    assert (reached - nearest).mean() < 0.3


def _packed(codes: HashCodes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return codes.fine, codes.coarse
