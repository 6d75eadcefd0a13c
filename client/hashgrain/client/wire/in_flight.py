"""How many requests are worth having under way at a server: `InFlight` finds out while they run.

The rule is that of TCP Vegas (Brakmo, O'Malley and Peterson, SIGCOMM 1994): more as long as requests hardly wait,
fewer where they wait long. Vegas has to guess the waiting from round trips; Triton adds up how long requests wait for a
model, all clients' together, and how long they are computed. In the beginning the number doubles, as in TCP's slow
start; later it grows by one and shrinks by a factor, by which clients of one server come near equal shares (Chiu and
Jain, Computer Networks 17, 1989). As in Netflix's concurrency-limits (https://github.com/Netflix/concurrency-limits), a
number that is not reached is not raised.
"""

from __future__ import annotations

from dataclasses import dataclass

LOW, HIGH = 2.5, 5.0
"""Between these nothing changes: for so many times its own computation a request waits on average.

Whatever the number of instances and the size of requests: Triton has one execution under way and forms the next one in
advance from what is there. Requests that wait for both, and for no more, may still fill up a third, since Triton joins
small ones up to the model's largest batch; beyond that, more of them only wait longer. HIGH is far enough from LOW that
two clients need not fall back to one request each.
"""

SHRINK, SHRINK_REJECTED = 0.7, 0.5

ROUND_S = 0.5
"""A decision at most so often, and never before as many requests have ended as may be under way: until then nobody
can see what the last one did."""

PROBE_ROUNDS = 60
"""Without statistics: so many decisions after each other rest on the same shortest round trips."""


@dataclass(frozen=True)
class ModelStatistics:
    """What a server has added up over all requests to the model since it was loaded.

    Attributes:
        queue_ns: nanoseconds that they waited.
        compute_ns: nanoseconds that they were computed, copying in and out included.
        requests, images: how many were answered, and how many images they had.
    """

    queue_ns: int
    compute_ns: int
    requests: int = 0
    images: int = 0


class InFlight:
    """The number of requests that may be under way, and what it follows from; it has no clock and no lock of its own.

    Args:
        first: the number to begin with.
        most: the largest that may come of it; equal to `first`, it stays as it is.
    """

    def __init__(self, first: int, most: int) -> None:
        self.limit = first
        self.most = most
        self._fixed = first == most
        self._doubling = True
        self._times: ModelStatistics | None = None
        self._shortest: dict[int, float] = {}
        self._rounds_on_shortest = 0
        self._before_probe = 0
        self._round_began = float("-inf")
        self._reached = self._rejected = False
        self._heard = self._answers = 0
        self._stretched = 0.0

    def reached(self) -> None:
        """A request has to wait for another of this client's to end."""
        self._reached = True

    def answered(self, rows: int, seconds: float) -> None:
        """A request with so many images was answered so long after it was sent."""
        self._heard += 1
        self._shortest[rows] = min(seconds, self._shortest.get(rows, seconds))
        self._stretched += seconds / max(self._shortest[rows], 1e-9)
        self._answers += 1

    def rejected(self) -> None:
        """A request found the server's queue full; the first in a round shrinks the number at once."""
        self._heard += 1
        if not self._rejected:
            self._shrink(SHRINK_REJECTED)
        self._rejected = True

    def is_due(self, now: float) -> bool:
        """Whether it is time to `adapt`; `now` in seconds of any clock that runs on."""
        return not self._fixed and self._heard >= self.limit and now - self._round_began >= ROUND_S

    def adapt(self, times: ModelStatistics | None, now: float) -> None:
        """Choose the number for the round that begins.

        Args:
            times: what the server says; None where it does not, then round trips are compared with the shortest.
            now: see `is_due`.
        """
        waited = self._waited(times)
        if waited is not None and not self._rejected:
            self._follow(waited)
        if times is None:
            self._probe()
        self._round_began = now
        self._begin_round()

    def _begin_round(self) -> None:
        self._reached = self._rejected = False
        self._heard = self._answers = 0
        self._stretched = 0.0

    def _waited(self, times: ModelStatistics | None) -> float | None:
        """For how many times its own computation a request waited in this round; None where nobody knows."""
        if times is None:
            return self._stretched / self._answers - 1 if self._answers else None
        before, self._times = self._times, times
        if before is None:
            return None
        queue, compute = times.queue_ns - before.queue_ns, times.compute_ns - before.compute_ns
        if queue < 0 or compute <= 0:  # it was restarted, or another server answered in its place
            return None
        return queue / compute

    def _follow(self, waited: float) -> None:
        if waited >= LOW:
            self._doubling = False
        if waited > HIGH:
            self._shrink(SHRINK)
        elif waited < LOW and self._reached:
            self.limit = min(self.limit * 2 if self._doubling else self.limit + 1, self.most)

    def _shrink(self, factor: float) -> None:
        self._doubling = False
        if not self._fixed:
            self.limit = max(int(self.limit * factor), 1)

    def _probe(self) -> None:
        """From time to time, for one round, a single request, to see how short a round trip is now.

        As BBR does it (Cardwell et al., ACM Queue 14, 2016): without it the number could never follow a way that has
        become longer, nor notice that the shortest round trip was measured behind another client's requests.
        """
        if self._before_probe:
            self.limit, self._before_probe, self._rounds_on_shortest = self._before_probe, 0, 0
            return
        self._rounds_on_shortest += 1
        if self._rounds_on_shortest == PROBE_ROUNDS:
            self._before_probe, self.limit = self.limit, 1
            self._shortest.clear()
