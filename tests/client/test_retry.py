"""Only an unavailable server is asked again, a few times, never past the deadline."""

from collections.abc import Callable

import pytest

from hashgrain.client import retry
from hashgrain.client.retry import ATTEMPTS, retry_unavailable
from hashgrain.codes.errors import DeadlineExceeded, HashgrainError, InferenceFailed, ServerUnavailable


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.001)


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


def test_no_attempt_begins_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE", 60.0)
    call, left = failing(ServerUnavailable("gone"), 1)
    with pytest.raises(ServerUnavailable):
        retry_unavailable(call, 10)
    assert len(left) == 1
