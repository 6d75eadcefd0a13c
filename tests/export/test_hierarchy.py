"""Hierarchies of any depth, from the file to the grades."""

import json
from pathlib import Path

import numpy as np
import pytest

from hashgrain.codes.errors import DataError
from hashgrain.export import readers
from hashgrain.export.hierarchy import Tree, read_hierarchy
from hashgrain.export.metrics import normalised_dcg
from hashgrain.export.rankings import Depths, Grading, ranking_figures
from labelled_pictures import write_parquet

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = ("cat", "dog", "fox", "bus", "oak")
TREE = {"animal": {"pet": ["cat", "dog"], "wild": ["fox"]}, "thing": ["bus"], "plant": [{"tree": ["oak"]}]}


def read(tmp_path, tree, names=NAMES, level=0):
    file = tmp_path / "tree.json"
    file.write_text(json.dumps(tree))
    return read_hierarchy(file, names, "the data", level)


def test_levels_run_from_the_root_and_a_high_class_stands_for_itself_below(tmp_path):
    tree, names = read(tmp_path, TREE)
    assert tree.levels.tolist() == [[0, 0], [0, 0], [0, 1], [1, 2], [2, 3]]
    assert (tree.coarse_level, names) == (2, ("pet", "wild", "bus", "tree"))
    above, names = read(tmp_path, TREE, level=1)
    assert above.parent.tolist() == [0, 0, 0, 1, 2]
    assert names == ("animal", "thing", "plant")


def test_kinship_is_the_depth_of_the_lowest_common_ancestor(tmp_path):
    tree, _ = read(tmp_path, TREE)
    assert tree.kinship().tolist() == [
        [3, 2, 1, 0, 0],
        [2, 3, 1, 0, 0],
        [1, 1, 3, 0, 0],
        [0, 0, 0, 3, 0],
        [0, 0, 0, 0, 3],
    ]


def test_the_example_puts_every_class_of_cifar100_under_its_own_superclass():
    names = tuple(json.loads((ROOT / "tests" / "golden" / "cifar100_unseen_v1.json").read_text())["classes"])
    tree, superclasses = read_hierarchy(ROOT / "docs" / "hierarchies" / "cifar100.json", names, "CIFAR-100")
    assert tree.levels.shape == (100, 2)
    assert len(set(superclasses)) == 20
    assert np.bincount(tree.parent).tolist() == [5] * 20
    assert np.bincount(tree.levels[:, 0]).tolist() == [45, 5, 15, 25, 10]


def test_groups_of_one_name_in_two_places_are_told_apart_by_their_paths(tmp_path):
    tree, names = read(tmp_path, {"a": {"small": ["cat"]}, "b": {"small": ["dog"]}}, ("cat", "dog"))
    assert tree.parent.tolist() == [0, 1]
    assert names == ("a / small", "b / small")


@pytest.mark.parametrize(
    ("tree", "level", "message"),
    [
        ({"a": {"b": ["cat", "wolf"]}}, 0, "'wolf' under 'a / b', but the data has no such class"),
        ({"a": {"b": ["cat"]}, "c": ["cat"]}, 0, "'cat' under both 'a / b' and 'c'"),
        ({"a": {"b": ["cat"]}}, 0, "names no superclass for 4 classes"),
        ({"a": {"b": "cat"}}, 0, "must hold one JSON object"),
        (TREE, 3, "has 2 levels above the classes, there is no coarse level 3"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, tree, level, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, tree, level=level)


def test_a_level_without_a_file_is_refused(tmp_path):
    source = write_parquet(tmp_path, {"train": 9})
    with pytest.raises(DataError, match="no hierarchy is given"):
        readers.load(source, "train", 16, None, 1)


def test_gains_are_depths_and_the_coarse_level_decides_who_counts_as_of_the_superclass():
    levels = np.array([[0, 0], [0, 0], [0, 1], [1, 2]])
    order = np.array([2, 0, 1, 3])  # the classes of the ranking's items, nearest first; class 0 asks
    for coarse_level, wanted in ((1, (1 + 1 + 1) / 3), (2, (1 / 2 + 2 / 3) / 2)):
        tree = Tree(levels, coarse_level)
        grading = Grading(np.array([0]), order, tree.parent, tree)
        counts = (grading.rows(slice(None))[:, :, None] == np.arange(grading.grades)).astype(np.int64)
        figures = ranking_figures(counts, Depths(2, 4), grading.coarse_grade)
        assert figures.coarse_map == pytest.approx(wanted)
        assert figures.fine_map == pytest.approx(1 / 2)
        gained = 1 + 3 / np.log2(3) + 2 / 2
        assert figures.ndcg == pytest.approx(gained / (3 + 2 / np.log2(3) + 1 / 2))
        assert normalised_dcg(counts, 4)[0] == pytest.approx(figures.ndcg)
