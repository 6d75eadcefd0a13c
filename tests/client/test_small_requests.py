"""Small requests of others, in statistics that are written down instead of asked for: no clock, no chance."""

from __future__ import annotations

import pytest

from hashgrain.client.encoding.small_requests import HOLD_S, LOOK_S, SmallRequests
from hashgrain.client.wire.in_flight import ModelStatistics

BATCH = 16


class Server:
    """What it counts, and a client that looks at it as soon as it is due."""

    def __init__(self) -> None:
        self.found = SmallRequests(BATCH)
        self.now = 0.0
        self._requests = self._images = 0

    def answer(self, *images: int) -> None:
        """Requests with so many images each."""
        self._requests += len(images)
        self._images += sum(images)

    def restart(self) -> None:
        """It counts from 0."""
        self._requests = self._images = 0

    def look(self) -> bool:
        self.now += 1.01 * LOOK_S
        assert self.found.is_due(self.now)
        self.found.look(ModelStatistics(0, 0, self._requests, self._images), self.now)
        return self.found.lately


@pytest.mark.parametrize("images", [(1,), (BATCH // 2,), (3, 3, 3)])
def test_small_requests_are_found_at_once_and_for_a_while(images: tuple[int, ...]) -> None:
    server = Server()
    server.answer(1, 1, 1)
    assert not server.look(), "they were before this client"
    server.answer(*images)
    assert server.look()
    began = server.now
    while server.now + 1.1 * LOOK_S < began + HOLD_S:
        server.answer(BATCH)
        assert server.look()
    server.look()
    assert not server.look()
    server.answer(1)
    assert server.look()


def test_full_batches_are_none_whoever_sent_them() -> None:
    """Nor are those that the server has counted and whose answers have not arrived."""
    server = Server()
    for own in (0, 3, 1, 5):
        server.answer(*[BATCH] * 4)
        for _ in range(own):
            server.found.answered(BATCH)
        assert not server.look()


def test_own_ones_are_none() -> None:
    server = Server()
    server.look()
    for images in (1, 5, BATCH, 2):
        server.answer(images)
        server.found.answered(images)
        assert not server.look()


def test_a_batch_of_anothers_that_lacks_a_few_pictures_is_none() -> None:
    server = Server()
    server.look()
    for _ in range(20):
        server.answer(BATCH - 1, BATCH, BATCH - 3)
        assert not server.look()


def test_a_server_that_begins_to_count_anew_changes_nothing() -> None:
    server = Server()
    server.answer(*[1] * 100)
    server.look()
    server.restart()
    server.answer(1, 2)
    assert not server.look()
    server.answer(1)
    assert server.look()


def test_a_server_that_does_not_tell_is_not_asked_again_at_once() -> None:
    found = SmallRequests(BATCH)
    found.look(None, 10.0)
    assert not found.lately
    assert not found.is_due(10.0 + 0.9 * LOOK_S)
    assert found.is_due(10.0 + 1.1 * LOOK_S)
