import json

import numpy as np
import pytest

from hashgrain.codes.errors import DataError, InvalidInput
from hashgrain.export import readers, splits
from hashgrain.export.protocols import load_task, training_pictures
from labelled_pictures import write_parquet
from pictures import arrays, file_bytes, write_tree


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_parquet(tmp_path_factory.mktemp("data"), {"train": 90, "test": 40})


@pytest.fixture
def small_p1(monkeypatch):
    """P1 with 5 queries and 12 training pictures of each class, which small data have."""
    monkeypatch.setattr(splits.split_p1, "__defaults__", (5, 12))


def rows_of(images):
    return {image.tobytes() for image in images}


def write_files(root, names):
    for name, picture in zip(names, arrays(len(names)), strict=True):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(file_bytes(picture))


def test_p2_puts_the_splits_in_their_roles(data):
    task = load_task("p2", data, 32)
    train, test = (readers.load(data, split, 32) for split in ("train", "test"))
    assert np.array_equal(task.queries.images, test.images)
    assert np.array_equal(task.database.images, train.images)
    assert task.training.tolist() == list(range(90))
    assert task.seed is None
    assert task.description == f"P2: 40 queries of {data} (test) against 90 of {data} (train)"
    assert np.array_equal(training_pictures("p2", data, 32).images, train.images)


def test_p1_divides_the_union(data, small_p1):
    task = load_task("p1", data, 32, seed=3)
    train, test = (readers.load(data, split, 32) for split in ("train", "test"))
    assert (task.name, task.seed) == ("P1-110", 3)
    assert np.bincount(task.queries.fine).tolist() == [5] * 4
    everything = rows_of(train.images) | rows_of(test.images)
    assert rows_of(task.queries.images) | rows_of(task.database.images) == everything
    assert not rows_of(task.queries.images) & rows_of(task.database.images)
    assert np.bincount(task.database.fine[task.training]).tolist() == [12] * 4
    assert "holds for networks trained with protocol p1, protocol_seed 3" in task.description


def test_p1_trains_on_the_pictures_that_its_evaluation_knows(data, small_p1):
    """Not one query is trained on, with the same seed; with another seed some are."""
    task = load_task("p1", data, 32, seed=3)
    training = training_pictures("p1", data, 32, seed=3)
    assert np.array_equal(training.images, task.database.images[task.training])
    assert np.array_equal(training.fine, task.database.fine[task.training])
    other = training_pictures("p1", data, 32, seed=4)
    assert rows_of(other.images) & rows_of(task.queries.images)


def test_part_of_a_protocol_is_named_as_such(data, small_p1):
    part = load_task("p1", data, 32, most_queries=7, most_items=50)
    whole = load_task("p1", data, 32)
    assert (len(part.queries), len(part.database)) == (7, 50)
    assert "(a part of the protocol's 20 and 110)" in part.description
    assert "part" not in whole.description
    assert part.split_sha256 == whole.split_sha256
    trained = rows_of(whole.database.images[whole.training])
    inside = [image.tobytes() in trained for image in part.database.images]
    assert np.flatnonzero(inside).tolist() == part.training.tolist()


def test_one_folder_for_both_splits_is_told_and_counted_once(tmp_path, small_p1):
    write_tree(tmp_path, arrays(40))
    assert load_task("p2", tmp_path, 32).description.endswith("the same pictures: each query is in the database")
    task = load_task("p1", tmp_path, 32)
    assert (len(task.queries), len(task.database)) == (10, 30)
    assert not rows_of(task.queries.images) & rows_of(task.database.images)


def test_splits_that_differ_in_classes_or_hierarchy_are_refused(tmp_path):
    names = [f"{split}/{name}/1.png" for split in ("train", "test") for name in ("cats", "dogs")]
    write_files(tmp_path, [*names, "test/birds/1.png"])
    with pytest.raises(DataError, match="differ in their 2 and 3 classes, among them 'birds'"):
        load_task("p2", tmp_path, 32)
    trees = [f"train/{above}/{name}/1.png" for above, name in (("pets", "cats"), ("strays", "dogs"))]
    write_files(tmp_path / "trees", [*trees, "test/pets/cats/1.png", "test/pets/dogs/1.png"])
    with pytest.raises(DataError, match="puts class 'dogs' under another superclass"):
        load_task("p2", tmp_path / "trees", 32)


def test_split_without_pictures_of_a_class_keeps_the_hierarchy(tmp_path):
    """A reader that knows a class's superclass only from its pictures must not make it another one."""
    data = write_parquet(tmp_path, {"train": 90, "test": 2})
    task = load_task("p2", data, 32)
    assert set(range(4)) - set(task.queries.fine.tolist())
    assert task.queries.parent.tolist() == task.database.parent.tolist() == [0, 0, 1, 1]


def test_hierarchy_file_reaches_both_splits(tmp_path, data):
    file = tmp_path / "tree.json"
    file.write_text(json.dumps({"dark": ["red_dark", "blue_dark"], "light": ["red_light", "blue_light"]}))
    task = load_task("p2", data, 32, file)
    assert task.queries.coarse_names == task.database.coarse_names == ("dark", "light")
    assert task.queries.parent.tolist() == [0, 1, 0, 1]


def test_unknown_protocol_and_too_few_pictures_are_refused(data):
    with pytest.raises(InvalidInput, match="no protocol 'p9'"):
        load_task("p9", data, 32)
    with pytest.raises(InvalidInput, match="use protocol p2"):
        training_pictures("p1", data, 32)
