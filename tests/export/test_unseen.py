"""Three quarters of the classes are learned, the last quarter asks."""

import json
from pathlib import Path

import numpy as np
import pytest

from command import hashgrain_here as hashgrain
from hashgrain.export.unseen import unseen_classes
from labelled_vectors import write_vectors


def test_the_draw_follows_from_the_seed_alone():
    names = tuple(f"class {n}" for n in range(100))
    assert len(unseen_classes(names, 0)) == 25
    assert unseen_classes(names, 0)[:4].tolist() == FIRST
    turned = tuple(reversed(names))
    assert {turned[n] for n in unseen_classes(turned, 0)} == {names[n] for n in unseen_classes(names, 0)}
    assert unseen_classes(names, 1).tolist() != unseen_classes(names, 0).tolist()


GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "cifar100_unseen_v1.json"

FIRST = [0, 2, 6, 7]
"""Made again by: for n in range(100): echo -n "0:class $n" | sha256sum; sorted; the first 25 lines."""


def test_the_classes_kept_from_training_on_cifar100_are_those_of_the_published_figures():
    golden = json.loads(GOLDEN.read_text())
    names = tuple(golden["classes"])
    for seed, unseen in golden["unseen"].items():
        assert [names[n] for n in unseen_classes(names, int(seed))] == unseen


def test_every_ranking_of_every_group_is_told(tmp_path):
    data = write_vectors(tmp_path / "data")
    options = ("--data", data, "--seeds", "0,1", "--fine-bits", "32", "--coarse-bits", "8", "--epochs", "30")
    told = hashgrain("unseen", *options, "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert len(found) == 2 * 3 * 7
    value = {(row["seed"], row["group"], row["ranking"]): row["figures"]["fine_map"] for row in found}
    for seed in (0, 1):
        assert value[seed, "seen", "fine code"] > 0.8
        assert value[seed, "unseen", "fine code"] > value[seed, "unseen", "chance"] + 0.1
        assert value[seed, "unseen", "chance"] > value[seed, "unseen among all", "chance"] + 0.2
    asked = {row["group"]: (row["queries"], row["items"]) for row in found if row["seed"] == 0}
    labels = [np.load(data / f"{split}.labels.npy")[:, 0] for split in ("test", "train")]
    assert asked["seen"][0] + asked["unseen"][0] == len(labels[0])
    assert asked["unseen among all"] == (asked["unseen"][0], len(labels[1]))
    plain = hashgrain("unseen", *options).stdout.splitlines()
    mean = np.mean([value[seed, "unseen", "fine code"] for seed in (0, 1)])
    start = next(n for n, line in enumerate(plain) if line.startswith("unseen: "))
    assert f"{mean:.3f} (" in next(line for line in plain[start:] if line.startswith("fine code  "))


def test_pictures_are_refused(tmp_path):
    refused = hashgrain("unseen", "--data", tmp_path)
    assert (refused.returncode, "no vectors at" in refused.stderr) == (1, True)


@pytest.mark.parametrize("option", [("--seeds", "one")])
def test_seeds_are_numbers(tmp_path, option):
    refused = hashgrain("unseen", "--data", tmp_path, *option)
    assert (refused.returncode, "no list of numbers" in refused.stderr) == (2, True)
