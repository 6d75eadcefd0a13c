"""Only an unavailable or a busy server is asked again, never past the deadline."""

import asyncio
from collections.abc import Callable

import pytest

from hashgrain.client.wire import retry
from hashgrain.client.wire.retry import ATTEMPTS, retry_unavailable, retry_unavailable_async
from hashgrain.codes.errors import DeadlineExceeded, HashgrainError, InferenceFailed, ServerBusy, ServerUnavailable


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.0005)
    monkeypatch.setattr(retry, "LONGEST_PAUSE", 0.004)


def failing(error: HashgrainError, times: int) -> tuple[Callable[[float], str], list[float]]:
    """A call that fails some times before it succeeds, and the seconds that it was left with each time."""
    left: list[float] = []

    def call(seconds: float) -> str:
        left.append(seconds)
        if len(left) <= times:
            raise error
        return "answer"

    return call, left


def test_a_server_that_comes_back_is_found_again() -> None:
    call, left = failing(ServerUnavailable("gone"), ATTEMPTS - 1)
    assert retry_unavailable(call, 10) == "answer"
    assert left == sorted(left, reverse=True)
    assert left[0] <= 10


def test_a_server_that_stays_away_is_given_up() -> None:
    call, left = failing(ServerUnavailable("gone"), ATTEMPTS)
    with pytest.raises(ServerUnavailable, match="gone"):
        retry_unavailable(call, 10)
    assert len(left) == ATTEMPTS


@pytest.mark.parametrize("error", [DeadlineExceeded("late"), InferenceFailed("bad shape")])
def test_other_errors_are_raised_at_once(error: HashgrainError) -> None:
    call, left = failing(error, 1)
    with pytest.raises(type(error)):
        retry_unavailable(call, 10)
    assert len(left) == 1


def test_a_deadline_says_what_waited() -> None:
    call, _ = failing(DeadlineExceeded("no answer"), 1)
    with pytest.raises(DeadlineExceeded, match=r"^128 images waited .* of 10 s: no answer$"):
        retry_unavailable(call, 10, "128 images")


def test_who_awaits_is_retried_as_who_waits() -> None:
    call, left = failing(ServerBusy("full"), 2 * ATTEMPTS)

    async def awaited(seconds: float) -> str:
        return call(seconds)

    assert asyncio.run(retry_unavailable_async(awaited, 10)) == "answer"
    assert len(left) == 2 * ATTEMPTS + 1
    call, left = failing(ServerUnavailable("gone"), ATTEMPTS)
    with pytest.raises(ServerUnavailable, match="gone"):
        asyncio.run(retry_unavailable_async(awaited, 10))
    assert len(left) == ATTEMPTS


def test_no_attempt_begins_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_pause", lambda attempts: 60.0)
    call, left = failing(ServerUnavailable("gone"), 1)
    with pytest.raises(ServerUnavailable):
        retry_unavailable(call, 10)
    assert len(left) == 1


def test_a_busy_server_is_asked_more_often_than_one_that_is_not_there() -> None:
    call, left = failing(ServerBusy("full"), 3 * ATTEMPTS)
    assert retry_unavailable(call, 10) == "answer"
    assert len(left) == 3 * ATTEMPTS + 1


def test_a_queue_that_stays_full_is_given_up_at_the_deadline_and_says_what_waited() -> None:
    call, left = failing(ServerBusy("no room"), 10_000)
    with pytest.raises(DeadlineExceeded, match=r"128 images waited .* of 0\.05 s .* found none; .*no room") as late:
        retry_unavailable(call, 0.05, "128 images")
    assert len(left) > ATTEMPTS
    assert isinstance(late.value.__cause__, ServerBusy)


def test_pauses_grow_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.1)
    monkeypatch.setattr(retry, "LONGEST_PAUSE", 2.0)
    pauses = [retry._pause(attempt) for attempt in (1, 2, 3, 100)]
    for pause, middle in zip(pauses, (0.1, 0.2, 0.4, retry.LONGEST_PAUSE), strict=True):
        assert 0.5 * middle <= pause <= 1.5 * middle
