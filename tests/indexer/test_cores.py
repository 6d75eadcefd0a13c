"""A search uses no more cores than it may."""

from __future__ import annotations

import os

import pytest

from hashgrain.indexer.cores import usable_cores


def test_what_is_said_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert usable_cores() == 7


@pytest.mark.parametrize("said", [None, "", "0", "2,3", "many"])
def test_without_a_number_the_process_s_own_cores_count(monkeypatch: pytest.MonkeyPatch, said: str | None) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if said is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
