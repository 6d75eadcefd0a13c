"""Data with one level of labels get a coarse level of their own."""

import numpy as np
import pytest

from hashgrain.export.dataset import LabelledImages
from hashgrain.export.learned_groups import grouped, with_coarse_level
from hashgrain.export.settings import TrainSettings

PLACES = np.array([[9, 0], [0, 9], [9, 1], [1, 9], [0, 8], [8, 0]], np.float32)


def vectors(two_levels=False):
    """Six classes at PLACES, which lie in two corners."""
    fine = np.arange(60) % 6
    rng = np.random.default_rng(0)
    rows = (PLACES[fine] + rng.normal(0, 0.1, (60, 2))).astype(np.float32)
    names = tuple("abcdef")
    parent = np.arange(6) // 2 if two_levels else np.arange(6)
    return LabelledImages(rows, fine, parent, names, ("x", "y", "z") if two_levels else names, "vectors")


def settings(**given):
    return TrainSettings(data="none", vector_width=2, **given)


def test_classes_that_lie_together_are_put_together():
    data, learned = with_coarse_level(settings(), vectors())
    assert learned == {"a, c, f": ["a", "c", "f"], "b, d, e": ["b", "d", "e"]}
    assert data.coarse_names == tuple(learned)
    assert data.parent.tolist() == [0, 1, 0, 1, 1, 0]


def test_data_with_two_levels_and_classes_that_are_to_stay_alone_are_left_as_they_are():
    for data, chosen in ((vectors(two_levels=True), {}), (vectors(), {"coarse_groups": 6})):
        assert with_coarse_level(settings(**chosen), data) == (data, None)


@pytest.mark.parametrize(("classes", "count"), [(20, 5), (7, 3), (9, 1), (5, 5)])
def test_no_group_leads_and_none_is_empty(classes, count):
    """A crowd and a few far away: left to itself, the crowd would be one group."""
    rng = np.random.default_rng(1)
    means = rng.normal(0, np.where(np.arange(classes) < classes - count + 1, 0.01, 5)[:, None], (classes, 4))
    sizes = np.bincount(grouped(means.astype(np.float32), count))
    assert len(sizes) == count
    assert sizes.min() >= 1
    assert sizes.max() <= max(2, int(np.ceil(2 * classes / count)))
