import numpy as np
import pytest

from hashgrain.export.targets import coarse_targets, fine_targets, minimum_distance, tree_targets


def distances(targets):
    return (targets.shape[1] - targets @ targets.T) / 2


def test_siblings_stand_nearer_than_strangers():
    parent = np.repeat(np.arange(20), 5)
    targets = fine_targets(parent, 64, seed=0)
    apart = distances(targets)
    siblings = (parent[:, None] == parent) & ~np.eye(100, dtype=bool)
    assert apart[siblings].max() < apart[parent[:, None] != parent].min()


@pytest.mark.parametrize("bits", [32, 48, 64, 128, 256])
@pytest.mark.parametrize(("superclasses", "children"), [(1, 1), (2, 40), (10, 1), (20, 5), (70, 3)])
def test_fine_targets_are_distinct_signs_at_every_length(bits, superclasses, children):
    targets = fine_targets(np.repeat(np.arange(superclasses), children), bits, seed=3)
    assert targets.shape == (superclasses * children, bits)
    assert set(np.unique(targets)) <= {-1.0, 1.0}
    assert minimum_distance(targets) >= 1


def test_coarse_targets_keep_their_distance():
    # 6 / 9 are known to exist for 20 codes of 16 / 24 bits
    assert minimum_distance(coarse_targets(20, 16, seed=0)) >= 6
    assert minimum_distance(coarse_targets(20, 24, seed=0)) >= 9


def test_targets_follow_from_the_seed():
    parent = np.repeat(np.arange(4), 2)
    assert np.array_equal(fine_targets(parent, 64, 1), fine_targets(parent, 64, 1))
    assert not np.array_equal(fine_targets(parent, 64, 1), fine_targets(parent, 64, 2))


def three_levels(families, cousins, children):
    """The two levels above families * cousins * children classes."""
    group = np.arange(families * cousins).repeat(children)
    return np.stack([group // cousins, group], axis=1)


def by_kinship(levels, targets):
    """Distances between strangers, ..., siblings."""
    kinship = (levels[:, None] == levels[None]).sum(2)
    np.fill_diagonal(kinship, -1)
    return [distances(targets)[kinship == depth] for depth in range(levels.shape[1] + 1)]


@pytest.mark.parametrize("bits", [64, 128])
@pytest.mark.parametrize("shape", [(4, 3, 4), (5, 4, 5), (10, 2, 5), (2, 5, 10)])
def test_the_nearer_two_classes_are_kin_the_nearer_are_their_codes(shape, bits):
    """Siblings without exception; cousins are nearer than strangers on the whole."""
    levels = three_levels(*shape)
    strangers, cousins, siblings = by_kinship(levels, tree_targets(levels, bits, seed=0))
    assert siblings.max() < cousins.min()
    assert cousins.mean() + bits / 10 < strangers.mean()
    assert (cousins < strangers.mean()).mean() > 0.9


def test_levels_above_cost_the_classes_nothing():
    """Siblings stand as far apart as with one level above them, and nobody is nearer."""
    levels = three_levels(5, 4, 5)
    _, _, siblings = by_kinship(levels, tree_targets(levels, 64, seed=0))
    _, once = by_kinship(levels[:, 1:], fine_targets(levels[:, 1], 64, seed=0))
    assert siblings.min() == siblings.max() == once.min()


def test_five_levels_stand_in_their_order_on_average():
    group = np.arange(81).repeat(3)
    levels = np.stack([group // 27, group // 9, group // 3, group], axis=1)
    means = [pairs.mean() for pairs in by_kinship(levels, tree_targets(levels, 64, seed=0))]
    assert means == sorted(set(means), reverse=True)


def test_one_level_above_the_classes_keeps_the_targets_it_has_always_had():
    parent = np.repeat(np.arange(20), 5)
    assert np.array_equal(tree_targets(parent[:, None], 64, 7), fine_targets(parent, 64, 7))


def test_many_siblings_keep_codes_of_their_own():
    assert minimum_distance(tree_targets(three_levels(2, 3, 9), 64, seed=1)) >= 2
