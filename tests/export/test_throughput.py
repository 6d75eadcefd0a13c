"""Speed is a median over rounds in turn; the first round does not count."""

import pytest

from hashgrain.export import throughput
from hashgrain.export.throughput import pictures_per_second


def test_medians_of_encoders_that_take_turns(monkeypatch):
    now, order = [0.0], []
    seconds = {
        "a": iter([99, 2, 1, 50]),
        "b": iter([99, 4, 4, 4]),
    }  # a first call that loads, a round that was disturbed

    def encode(name):
        order.append(name)
        now[0] += next(seconds[name])

    monkeypatch.setattr(throughput.time, "perf_counter", lambda: now[0])
    rates = pictures_per_second({name: lambda name=name: encode(name) for name in seconds}, pictures=8, rounds=3)
    assert rates == {"a": pytest.approx(4), "b": pytest.approx(2)}
    assert order == ["a", "b"] * 4
