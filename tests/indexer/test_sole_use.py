"""One thread at a time, no longer than the deadline, and never a lock that a parent process held."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hashgrain.codes.errors import StoreUnavailable
from hashgrain.indexer.keeping.sole_use import SoleUse
from hashgrain.indexer.wire.deadline import Deadline


@contextmanager
def used_elsewhere(alone: SoleUse) -> Iterator[None]:
    """Another thread is inside."""
    inside, over = threading.Event(), threading.Event()

    def use() -> None:
        with alone:
            inside.set()
            over.wait()

    thread = threading.Thread(target=use)
    thread.start()
    inside.wait()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_nobody_is_inside_with_another() -> None:
    alone, counted = SoleUse("somewhere"), []

    def count() -> None:
        for _ in range(50):
            with alone:
                before = len(counted)
                time.sleep(0)
                counted.append(before)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted == list(range(200))


def test_a_search_waits_no_longer_than_its_deadline() -> None:
    alone = SoleUse("somewhere")
    with used_elsewhere(alone):
        with (
            Deadline(0.02).enforced(),
            pytest.raises(StoreUnavailable, match="somewhere gave no answer in time"),
            alone,
        ):
            pass
        assert not alone.enter_now()
    with Deadline(0.02).enforced(), alone:
        pass
    assert alone.enter_now()
    alone.leave()


def test_a_child_process_does_not_wait_for_a_thread_of_its_parent() -> None:
    alone = SoleUse("somewhere")
    with used_elsewhere(alone):
        child = os.fork()
        if child == 0:
            try:
                refused = not alone.enter_now()
                with Deadline(5).enforced(), alone:
                    os._exit(0 if refused else 1)
            finally:
                os._exit(2)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
