"""A server that goes away is waited for, as long as it was said, and must be the same when it is back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hashgrain.client import HashEncoder
from hashgrain.client.wire import outage
from hashgrain.client.wire.address import parse_address
from hashgrain.client.wire.outage import outlast, require_same_model
from hashgrain.codes.errors import (
    ContractViolation,
    DeadlineExceeded,
    HashgrainError,
    InferenceFailed,
    ServerBusy,
    ServerUnavailable,
)
from tiny_model import write_tiny_repository


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(outage, "LONGEST_PAUSE", 0.002)


class Server:
    """Raises what it is given, call by call, and then answers."""

    def __init__(self, *errors: HashgrainError) -> None:
        self._errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return "answer"


def test_the_call_is_made_again_once_the_server_is_back() -> None:
    call = Server(ServerUnavailable("gone"), ServerUnavailable("not quite there"))
    back = Server(ServerUnavailable("gone"), DeadlineExceeded("starting"), ServerUnavailable("gone"))
    assert outlast(call, back, 60) == "answer"
    assert (call.calls, back.calls) == (3, 5)


def test_a_server_that_stays_away_is_given_up() -> None:
    gone = [ServerUnavailable("gone")] * 10_000
    with pytest.raises(ServerUnavailable, match=r"waited 0\.05 s for the server to come back: gone"):
        outlast(Server(*gone), Server(*gone), 0.05)


def test_nobody_waits_on_when_the_run_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "FIRST_PAUSE", 60.0)
    over, back = threading.Event(), Server()
    over.set()
    with pytest.raises(ServerUnavailable, match="^gone$"):
        outlast(Server(ServerUnavailable("gone")), back, 600, over)
    assert back.calls == 0


def test_without_patience_nothing_is_tried_again() -> None:
    call, back = Server(ServerUnavailable("gone")), Server()
    with pytest.raises(ServerUnavailable, match="^gone$"):
        outlast(call, back, 0)
    assert (call.calls, back.calls) == (1, 0)


def test_another_server_in_its_place_ends_the_work() -> None:
    with pytest.raises(ContractViolation, match="another model"):
        outlast(Server(ServerUnavailable("gone")), Server(ContractViolation("another model")), 60)


def test_a_server_that_comes_back_with_another_model_is_refused(model: Path, tmp_path: Path) -> None:
    with HashEncoder(model) as encoder:
        contract = encoder.contract
    require_same_model(parse_address(model), contract, 5)
    write_tiny_repository(tmp_path, seed=1)
    with pytest.raises(ContractViolation, match="went away and came back with another model"):
        require_same_model(parse_address(tmp_path), contract, 5)


def test_a_server_that_was_silent_is_asked_once_more_when_it_answers() -> None:
    call = Server(DeadlineExceeded("silent"))
    back = Server(DeadlineExceeded("silent"), ServerUnavailable("starting"))
    assert outlast(call, back, 60) == "answer"
    assert (call.calls, back.calls) == (2, 3)


def test_a_server_that_answers_others_in_time_and_this_call_never_is_not_waited_for() -> None:
    call = Server(DeadlineExceeded("late"), ServerUnavailable("gone"), DeadlineExceeded("late again"))
    with pytest.raises(DeadlineExceeded, match="^late again$"):
        outlast(call, Server(), 60)
    assert call.calls == 3


def test_a_server_whose_queue_was_full_to_the_deadline_is_there_and_not_waited_for() -> None:
    full = DeadlineExceeded("found no place")
    full.__cause__ = ServerBusy("full")
    back = Server()
    with pytest.raises(DeadlineExceeded, match="no place"):
        outlast(Server(full), back, 60)
    assert back.calls == 0


def test_other_errors_are_raised_at_once() -> None:
    call = Server(InferenceFailed("bad shape"))
    with pytest.raises(InferenceFailed):
        outlast(call, Server(), 60)
    assert call.calls == 1
