"""A search computes in no more threads than it may."""

from __future__ import annotations

import pytest

from hashgrain.codes.cores import usable_cores
from hashgrain.indexer.cores import compute_threads


def test_what_is_said_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert compute_threads() == 7


@pytest.mark.parametrize("said", [None, "", "0", "2,3", "many"])
def test_without_a_number_the_process_s_own_cores_count(monkeypatch: pytest.MonkeyPatch, said: str | None) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if said is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert compute_threads() == usable_cores()
