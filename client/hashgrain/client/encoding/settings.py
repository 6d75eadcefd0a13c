"""What an encoder is told beside its address, checked; the same for `HashEncoder` and `AsyncHashEncoder`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from hashgrain.client.encoding.small_requests import SmallRequests
from hashgrain.client.wire.in_flight import InFlight
from hashgrain.client.wire.timeouts import Timeouts
from hashgrain.client.wire.transport import Served
from hashgrain.codes.contract import BULK, ONLINE
from hashgrain.codes.cores import usable_cores
from hashgrain.codes.errors import InvalidInput

DEFAULT_BATCH_SIZE = 128

Priority: TypeAlias = Literal["online", "bulk"]

_LEVELS: dict[str, int] = {"online": ONLINE, "bulk": BULK}


@dataclass(frozen=True)
class Settings:
    """See `HashEncoder` for each; None stands for the default.

    Raises:
        InvalidInput: a value makes no sense.
    """

    timeouts: Timeouts = field(default_factory=Timeouts)
    batch_size: int | None = None
    in_flight: int | None = None
    decode_threads: int | None = None
    priority: Priority | None = None
    make_way: bool = True

    def __post_init__(self) -> None:
        if self.priority is not None and self.priority not in _LEVELS:
            raise InvalidInput(f'priority is "online" or "bulk", got {self.priority!r}')
        for name in ("batch_size", "in_flight", "decode_threads"):
            number = getattr(self, name)
            if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
                raise InvalidInput(f"{name} must be a whole number of at least 1, got {number!r}")

    def level(self, usual: Priority) -> int:
        """`contract.ONLINE` or `contract.BULK`: the user's choice, or else what is usual."""
        return _LEVELS[self.priority or usual]

    def threads(self) -> int:
        """Threads that decode."""
        return self.decode_threads or min(8, usable_cores())

    def requests(self, first: int, most: int) -> InFlight:
        """Requests under way: as many as the user says, else what a transport gives as `first_in_flight` and `most`."""
        return InFlight(self.in_flight or first, self.in_flight or most)

    def small_requests(self, served: Served) -> SmallRequests | None:
        """For which bulk runs make way; None where they do not, or every request is as large as any."""
        if not self.make_way or self.in_flight is not None or served.max_batch_size < 2:
            return None
        return SmallRequests(served.max_batch_size)

    def batch(self, served: Served, source: str) -> int:
        """Images of one request to this server.

        Raises:
            InvalidInput: it takes no such batches.
        """
        limit = served.max_batch_size
        if self.batch_size is None:
            return min(limit or DEFAULT_BATCH_SIZE, DEFAULT_BATCH_SIZE)
        if limit and self.batch_size > limit:
            raise InvalidInput(
                f"batch_size {self.batch_size} is more than {source} takes, {limit}; lower it, or raise "
                "max_batch_size in the model's config.pbtxt"
            )
        return self.batch_size
