"""What is reckoned with of a filter follows what readings show: up at once, down slowly."""

from __future__ import annotations

import pytest

from hashgrain.indexer import Filter
from hashgrain.indexer.searching import matching
from hashgrain.indexer.searching.matching import Matching


def test_a_larger_share_counts_at_once_and_a_smaller_one_by_and_by() -> None:
    known, by = Matching(), Filter.of({"n": 1})
    assert (known.share(None), known.share(by)) == (1, 1)
    known.note(by, 0.01)
    assert known.share(by) == 0.01
    known.note(by, 0.5)
    assert known.share(by) == 0.5
    known.note(by, 0.1)
    assert 0.1 < known.share(by) < 0.5
    for _ in range(40):
        known.note(by, 0.1)
    assert known.share(by) == pytest.approx(0.1, rel=0.01)
    assert known.share(Filter.of({"n": 2})) == 1


def test_no_more_filters_are_kept_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "FILTERS", 10)
    known = Matching()
    for n in range(100):
        known.note(Filter.of({"n": n}), 0.5)
        assert len(known._shares) <= 10
        assert known.share(Filter.of({"n": n})) == 0.5
