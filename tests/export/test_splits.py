import numpy as np
import pyarrow.parquet as pq
import pytest

from data_folder import find_data
from hashgrain.codes.errors import InvalidInput
from hashgrain.export.splits import require_known, split_p1, split_p2

NAMES = tuple("abcdefghij")
LABELS = np.arange(6400) % 10


def test_p1_draws_by_class_and_keeps_the_queries_out_of_the_database():
    split = split_p1(LABELS, NAMES, seed=0)
    assert np.bincount(LABELS[split.queries]).tolist() == [100] * 10
    assert np.bincount(LABELS[split.training]).tolist() == [500] * 10
    assert np.array_equal(np.union1d(split.queries, split.database), np.arange(6400))
    assert len(split.queries) + len(split.database) == 6400
    assert np.isin(split.training, split.database).all()
    for rows in (split.queries, split.database, split.training):
        assert (np.diff(rows) > 0).all()


@pytest.mark.parametrize(
    ("seed", "digest"),
    [
        (0, "c0bd93653a9a0f8498911c673cf03d938a36c12c65839fc6190d3813276f0180"),
        (1, "1f400a6642305a9b3b9ca1a732453105ec7ed9f804f2d2e9eb11761d3e2548ca"),
    ],
)
def test_p1_is_pinned_by_its_seed(seed, digest):
    """Published figures name a seed: the same pictures must be drawn for it for ever."""
    assert split_p1(LABELS, NAMES, seed).digest() == digest


def test_p1_of_cifar10_is_pinned():
    folder = find_data("cifar10")
    labels = np.concatenate(
        [
            pq.read_table(next(folder.glob(f"{split}-*.parquet")), columns=["label"])["label"].to_numpy()
            for split in ("train", "test")
        ]
    )
    split = split_p1(labels, NAMES, seed=0)
    assert (len(split.queries), len(split.database), len(split.training)) == (1000, 59_000, 5000)
    assert split.digest() == "c244f005ba1ec44b7e8292a5a8bcedb9a23fbace2818ce7e20724231f45f1f0d"


def test_p1_needs_enough_pictures_of_each_class():
    with pytest.raises(InvalidInput, match="but class 'c' has 599 pictures, not 600; use protocol p2"):
        split_p1(np.repeat([0, 1, 2], [600, 700, 599]), ("a", "b", "c"), seed=0)


def test_p2_queries_the_train_split_with_the_test_split():
    split = split_p2(train=5, test=3)
    assert split.queries.tolist() == [5, 6, 7]
    assert split.database.tolist() == split.training.tolist() == [0, 1, 2, 3, 4]


def test_unknown_protocol_is_refused():
    with pytest.raises(InvalidInput, match=r"no protocol 'p3': choose from \['p1', 'p2'\]"):
        require_known("p3")
