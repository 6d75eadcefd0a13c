"""Whether others ask the server for less than a batch at a time, as those do who search: bulk encoding can make way.

Triton does not count by priority, but it counts requests and their images. A request leaves room where it has fewer
images than the largest batch: a single picture nearly a whole batch, a full one none. What room this client's own bulk
requests did not leave is others', however far the server's counts are ahead of the answers that have arrived.
"""

from __future__ import annotations

from hashgrain.client.wire.in_flight import ModelStatistics

LOOK_S = 0.2
"""The statistics are asked for so often; that costs half a millisecond of CPU."""

HOLD_S = 5.0
"""So long after a small request another one is expected: for who asks once a second or more often, that holds."""


class SmallRequests:
    """Finds them in a server's statistics; it has no clock and no lock of its own.

    Args:
        batch: images of the largest request that the model takes.

    Attributes:
        lately: whether others sent small requests within HOLD_S before the last look.
    """

    def __init__(self, batch: int) -> None:
        self.lately = False
        self._batch = batch
        self._own_room = 0
        self._most_room = 0
        self._requests: int | None = None
        self._looked = self._seen = float("-inf")

    def answered(self, images: int) -> None:
        """A bulk request of this client's, with so many images, was answered."""
        self._own_room += self._batch - images

    def is_due(self, now: float) -> bool:
        """Whether it is time to `look`; `now` in seconds of any clock that runs on."""
        return now - self._looked >= LOOK_S

    def look(self, statistics: ModelStatistics | None, now: float) -> None:
        """Compare with the looks before; None where the server does not tell.

        More room by half a batch is what one small request leaves.
        """
        self._looked = now
        if statistics is None:
            return
        room = statistics.requests * self._batch - statistics.images - self._own_room
        if self._requests is None or statistics.requests < self._requests:  # the first look, or a new server's counts
            self._most_room = room
        if room - self._most_room >= self._batch // 2:
            self._seen = now
        self._most_room = max(room, self._most_room)
        self._requests = statistics.requests
        self.lately = now - self._seen < HOLD_S
