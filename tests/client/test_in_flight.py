"""The number of requests under way, against a server that is computed instead of run: no clock, no chance."""

from __future__ import annotations

import pytest

from hashgrain.client.wire.in_flight import HIGH, PROBE_ROUNDS, ROUND_S, InFlight, ModelStatistics

COMPUTE_S = 0.01


class Server:
    """So many instances that each compute a request in COMPUTE_S, with clients that always have one more to send.

    With n requests under way in all, the cycle of each takes at least the way there and back and its computation, and
    at least as long as the instances need for n; the difference it waits in the queue.
    """

    def __init__(self, instances: int = 1, way_s: float = 0.0, tells: bool = True) -> None:
        self._instances = instances
        self.way_s = way_s
        self._tells = tells
        self._times = ModelStatistics(0, 0)
        self._now = 0.0

    def cycle(self, under_way: int) -> float:
        return max(self.way_s + COMPUTE_S, under_way * COMPUTE_S / self._instances)

    def waited(self, under_way: int) -> float:
        """For how many times its computation a request waits."""
        return (self.cycle(under_way) - self.way_s - COMPUTE_S) / COMPUTE_S

    def share(self, under_way: int) -> float:
        """Of the most that the server can do."""
        return under_way * COMPUTE_S / self._instances / self.cycle(under_way)

    def round(self, *clients: InFlight, reached: bool = True) -> None:
        """Let the clients send for a while, and then adapt."""
        under_way = sum(client.limit for client in clients)
        cycle = self.cycle(under_way)
        answered = int(ROUND_S / cycle) * under_way
        self._times = ModelStatistics(
            self._times.queue_ns + int(answered * self.waited(under_way) * COMPUTE_S * 1e9),
            self._times.compute_ns + int(answered * COMPUTE_S * 1e9),
        )
        self._now += 2 * ROUND_S
        for client in clients:
            for _ in range(max(int(ROUND_S / cycle), 1) * client.limit):
                client.answered(128, cycle)
            if reached:
                client.reached()
            assert client.is_due(self._now)
        for client in clients:
            client.adapt(self._times if self._tells else None, self._now)


@pytest.mark.parametrize("instances", [1, 2, 4])
@pytest.mark.parametrize("way_s", [0, 0.005, 0.03])
def test_one_client_fills_the_server_and_does_not_overfill_it(instances: int, way_s: float) -> None:
    server, client = Server(instances, way_s), InFlight(4, 64)
    for _ in range(40):
        server.round(client)
    assert server.share(client.limit) == 1
    assert server.waited(client.limit) <= HIGH


def test_a_long_way_is_filled_within_a_few_rounds() -> None:
    server, client = Server(way_s=0.3), InFlight(4, 64)
    for _ in range(6):
        server.round(client)
    assert server.share(client.limit) == 1


@pytest.mark.parametrize("before", [0, 20])
def test_two_clients_share_a_queue_that_stays_short(before: int) -> None:
    server, first, second = Server(), InFlight(4, 64), InFlight(4, 64)
    for _ in range(before):
        server.round(first)
    for _ in range(40):
        server.round(first, second)
    assert server.share(first.limit + second.limit) == 1
    assert server.waited(first.limit + second.limit) <= HIGH
    assert min(first.limit, second.limit) >= 2


def test_a_number_that_is_not_reached_is_not_raised() -> None:
    server, client = Server(way_s=1), InFlight(4, 64)
    for _ in range(10):
        server.round(client, reached=False)
    assert client.limit == 4


def test_a_number_that_is_given_stays() -> None:
    client = InFlight(7, 7)
    for _ in range(20):
        client.answered(1, 9.0)
        client.rejected()
    assert not client.is_due(1e9)
    assert client.limit == 7


def test_rejections_shrink_it_once_in_a_round_and_never_below_one() -> None:
    client, limits = InFlight(16, 64), []
    for now in range(8):
        for _ in range(20):
            client.rejected()
        client.adapt(ModelStatistics(0, now), now)
        limits.append(client.limit)
    assert limits == [8, 4, 2, 1, 1, 1, 1, 1]


def test_there_is_no_decision_before_the_last_one_can_show() -> None:
    client = InFlight(4, 64)
    client.adapt(None, 10.0)
    for _ in range(3):
        client.answered(128, 1.0)
    assert not client.is_due(100.0)
    client.answered(128, 1.0)
    assert not client.is_due(10.0 + 0.9 * ROUND_S)
    assert client.is_due(10.0 + ROUND_S)


@pytest.mark.parametrize("odd", [ModelStatistics(0, 0), ModelStatistics(10**12, 0), ModelStatistics(0, 10**12)])
def test_a_server_that_begins_to_count_anew_changes_nothing(odd: ModelStatistics) -> None:
    client = InFlight(4, 64)
    client.adapt(ModelStatistics(10**10, 10**10), 1.0)
    client.reached()
    client.adapt(odd, 2.0)
    assert client.limit == 4


@pytest.mark.parametrize("way_s", [0, 0.05])
def test_without_statistics_round_trips_tell_as_much_to_a_client_alone(way_s: float) -> None:
    server, client = Server(way_s=way_s, tells=False), InFlight(1, 64)
    limits = []
    for _ in range(PROBE_ROUNDS - 5):
        server.round(client)
        limits.append(client.limit)
    assert server.share(limits[-1]) == 1
    assert server.waited(limits[-1]) * COMPUTE_S <= HIGH * server.cycle(1)


def test_without_statistics_the_shortest_round_trip_is_measured_anew() -> None:
    server, client = Server(tells=False), InFlight(1, 64)
    for _ in range(10):
        server.round(client)
    assert client.limit < 8
    server.way_s = 0.2
    alone = 0
    for _ in range(2 * PROBE_ROUNDS):
        server.round(client)
        alone += client.limit == 1
    assert server.share(client.limit) > 0.9
    assert alone < PROBE_ROUNDS + 5
