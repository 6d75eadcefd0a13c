"""Trying again: only what may succeed the next time, a few times, never past the deadline.

Encoding the same images twice does no harm, so a request may be sent again after a connection broke midway. All other
errors would come back the same and are raised at once.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from hashgrain.codes.errors import ServerUnavailable

ATTEMPTS = 4
FIRST_PAUSE = 0.1

_T = TypeVar("_T")


def retry_unavailable(call: Callable[[float], _T], seconds: float) -> _T:
    """Run `call`, again after ServerUnavailable; see `retry`.

    Raises:
        ServerUnavailable: the last attempt's.
    """
    return retry(call, seconds, lambda error: isinstance(error, ServerUnavailable))


def retry(call: Callable[[float], _T], seconds: float, passes: Callable[[Exception], bool]) -> _T:
    """Run `call`, again after errors that pass; the pauses double, with jitter so that clients do not fall in step.

    Args:
        call: gets the seconds that are left.
        seconds: the deadline for all attempts together.
        passes: whether an error may be gone the next time.

    Raises:
        Exception: the last attempt's.
    """
    deadline = time.monotonic() + seconds
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return call(deadline - time.monotonic())
        except Exception as exc:
            pause = FIRST_PAUSE * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
            if not passes(exc) or attempt == ATTEMPTS or time.monotonic() + pause >= deadline:
                raise
            time.sleep(pause)
    raise AssertionError("the loop above returns or raises")
