"""`Timeouts`: how long the encoder waits."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from hashgrain.codes.errors import InvalidInput


@dataclass(frozen=True)
class Timeouts:
    """Deadlines in seconds, finite always: a client that waits for ever hides a dead server.

    Attributes:
        connect: for each question asked on connecting (ready? which model? which contract?).
        request: for one batch, its retries included.

    Raises:
        InvalidInput: a value is not a finite number above zero.
    """

    connect: float = 5.0
    request: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            seconds = getattr(self, field.name)
            if isinstance(seconds, bool) or not isinstance(seconds, int | float):
                raise InvalidInput(f"the {field.name} timeout is a number of seconds, got {type(seconds).__name__}")
            if not (math.isfinite(seconds) and seconds > 0):
                raise InvalidInput(
                    f"the {field.name} timeout must be a finite number of seconds above 0, got {seconds}; "
                    "give a large one to wait long"
                )
