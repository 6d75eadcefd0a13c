"""Values made ahead in another thread: in order, not too many, and an end to it in every case."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from hashgrain.client.bulk import ahead
from hashgrain.client.bulk.ahead import Ahead


@pytest.fixture
def threads() -> Callable[[], set[threading.Thread]]:
    """Those of `Ahead` that were started by the test: others may be left by tests before it, in this process."""

    def alive() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name == "hashgrain-ahead"}

    before = alive()
    return lambda: alive() - before


def test_values_come_in_order_from_another_thread(threads: Callable[[], set[threading.Thread]]) -> None:
    def values() -> Iterator[tuple[int, int]]:
        for number in range(100):
            yield number, threading.get_ident()

    with Ahead(values(), 3) as made:
        found = list(made)
        assert list(made) == []  # the end stays the end
    assert [number for number, _ in found] == list(range(100))
    assert threading.get_ident() not in {thread for _, thread in found}
    assert not threads()


def test_no_more_is_made_than_asked_for() -> None:
    begun = threading.Semaphore(0)

    def values() -> Iterator[int]:
        for number in range(100):
            begun.release()
            yield number

    with Ahead(values(), 2) as made:
        for _ in range(3):  # two wait, the third waits for a place
            assert begun.acquire(timeout=5)
        assert not begun.acquire(timeout=0.05)
        assert next(made) == 0
        assert begun.acquire(timeout=5)


def test_an_error_comes_after_the_values_before_it() -> None:
    def values() -> Iterator[int]:
        yield 1
        yield 2
        raise ZeroDivisionError

    with Ahead(values(), 1) as made:
        assert [next(made), next(made)] == [1, 2]
        with pytest.raises(ZeroDivisionError):
            next(made)


def test_who_takes_no_more_ends_the_making(threads: Callable[[], set[threading.Thread]]) -> None:
    ended = threading.Event()

    def values() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            ended.set()

    with Ahead(values(), 1) as made:
        next(made)
    assert ended.is_set()
    assert not threads()


def test_a_source_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "PATIENCE_S", 0.2)
    hang = threading.Event()

    def values() -> Iterator[int]:
        hang.wait()
        yield 1

    with Ahead(values(), 1) as inner, Ahead(inner, 1):
        pass
    assert list(inner) == []
    hang.set()
