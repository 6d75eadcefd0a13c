"""A thread that calls a method now and then, and is gone with the object."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from hashgrain.indexer.keeping import tending
from hashgrain.indexer.keeping.tending import Tending


class Garden:
    def __init__(self) -> None:
        self.visits = 0
        self.tending = Tending(self.visit)

    def visit(self) -> None:
        self.visits += 1


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No thread is left behind."""
    monkeypatch.setattr(tending, "TEND_S", 0.005)
    before = threading.active_count()
    yield
    assert eventually(lambda: threading.active_count() == before)


def eventually(condition: Callable[[], bool]) -> bool:
    for _ in range(1000):
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_it_begins_when_it_is_started_goes_on_in_one_thread_and_ends_when_it_is_stopped() -> None:
    garden, before = Garden(), threading.active_count()
    assert threading.active_count() == before
    for _ in range(3):
        garden.tending.start()
    assert threading.active_count() == before + 1
    assert eventually(lambda: garden.visits > 2)
    garden.tending.stop()
    garden.tending.stop()
    assert eventually(lambda: threading.active_count() == before)
    visits = garden.visits
    garden.tending.start()
    assert eventually(lambda: garden.visits > visits)
    garden.tending.stop()


def test_it_ends_with_the_object() -> None:
    garden, before = Garden(), threading.active_count()
    garden.tending.start()
    assert threading.active_count() == before + 1
    del garden
    gc.collect()
    assert eventually(lambda: threading.active_count() == before)


def test_a_child_process_has_a_thread_of_its_own() -> None:
    garden = Garden()
    garden.tending.start()
    child = os.fork()
    if child == 0:
        try:
            garden.visits = 0
            time.sleep(0.05)
            alone = garden.visits == 0
            garden.tending.start()
            os._exit(0 if alone and eventually(lambda: garden.visits > 2) else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    garden.tending.stop()
