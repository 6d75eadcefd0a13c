"""`hashgrain index dedup`: what it prints, and how it fails."""

from __future__ import annotations

import json

import numpy as np
import pytest

from called_here import Run, called_here
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.indexer import Index


@pytest.fixture
def run(redis_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command against the test's Redis, where of the index `photos` 1, 2 and 3 are a chain, and "ä" is alone."""
    monkeypatch.setenv("HASHGRAIN_REDIS", redis_url)
    fine = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [3, 0, 0, 0], [255, 255, 0, 0]], np.uint8)
    with Index.create(redis_url, "photos", CodeLayout(8, 32)) as index:
        index.add([1, 2, 3, "ä"], HashCodes(np.zeros((4, 1), np.uint8), fine))
    return called_here(capsys)


def test_groups_are_printed(run: Run) -> None:
    assert run("index", "dedup", "photos", "--radius", 1) == (
        0,
        "group 1: 3 items\n        0 bits  1\n        1 bits  2\n        2 bits  3\n",
        "1 groups of 3 items; one of each kept, 2 could go\n",
    )


def test_pairs_are_printed(run: Run) -> None:
    code, out, error = run("index", "dedup", "photos", "--radius", 1, "--pairs")
    assert (code, sorted(out.splitlines()), error) == (0, ["1\t1\t2", "1\t2\t3"], "2 pairs\n")


def test_json_is_a_group_or_a_pair_a_line(run: Run) -> None:
    out = run("index", "dedup", "photos", "--radius", 20, "--json")[1]
    assert [json.loads(line) for line in out.splitlines()] == [
        {"size": 4, "ids": [1, 2, 3, "ä"], "distances": [0, 1, 2, 16]}
    ]
    out = run("index", "dedup", "photos", "--radius", 1, "--pairs", "--json", "--rank", "fine")[1]
    lines = [json.loads(line) for line in out.splitlines()]
    assert sorted(lines, key=str) == [{"ids": [1, 2], "distance": 1}, {"ids": [2, 3], "distance": 1}]


def test_no_duplicates_print_nothing(run: Run) -> None:
    assert run("index", "dedup", "photos", "--radius", 0)[:2] == (0, "")


def test_a_radius_that_cannot_be_asked_for(run: Run) -> None:
    code, out, error = run("index", "dedup", "photos", "--radius", 40)
    assert (code, out) == (1, "")
    assert "less than the 40 bits of the total distance, got 40" in error
    assert run("index", "dedup", "photos")[0] == 2
    assert run("index", "dedup", "nothing", "--radius", 1)[0] == 1
