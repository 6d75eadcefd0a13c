"""Outlasting a server that goes away and comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from hashgrain.client.wire.address import Address
from hashgrain.client.wire.transport import open_transport
from hashgrain.codes import EncoderContract
from hashgrain.codes.errors import ContractViolation, DeadlineExceeded, ServerBusy, ServerUnavailable

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0

_T = TypeVar("_T")


def outlast(
    call: Callable[[], _T], require_back: Callable[[], object], seconds: float, over: threading.Event | None = None
) -> _T:
    """Run `call`; where the server is gone, wait until it is back, and run it again.

    A server that gives no answer in time may be gone, too: a network that is cut seldom says so. Then it is asked once
    more, as soon as it answers at all; one whose queue was full to the end is there, and is not.

    Args:
        call: raises ServerUnavailable where the server is gone, and DeadlineExceeded where it is silent.
        require_back: raises ServerUnavailable or DeadlineExceeded as long as it is.
        seconds: how long to wait at most; 0 to run `call` once.
        over: set when nobody waits for the answer any more.

    Raises:
        ServerUnavailable: the server stayed away.
        DeadlineExceeded: it answers, but not `call`.
        EncoderError: anything else of `call` or `require_back`.
    """
    deadline = time.monotonic() + seconds
    over = over or threading.Event()
    silent = False
    while True:
        try:
            return call()
        except ServerUnavailable as exc:
            _wait(require_back, exc, deadline, seconds, over)
        except DeadlineExceeded as exc:
            if silent or isinstance(exc.__cause__, ServerBusy):
                raise
            silent = True
            _wait(require_back, exc, deadline, seconds, over)


def require_same_model(address: Address, contract: EncoderContract, seconds: float) -> None:
    """Ask a server, over a connection of its own, since that of the encoder may be about to break.

    Args:
        address: of the server.
        contract: of the model that it served before.
        seconds: for each question.

    Raises:
        ServerUnavailable, DeadlineExceeded: it is not back.
        ContractViolation: it serves another model now.
    """
    transport = open_transport(address)
    try:
        found = transport.connect(seconds).contract
    finally:
        transport.close()
    if found != contract:
        raise ContractViolation(
            f"{address} went away and came back with another model: {found.fingerprint[:12]} instead of "
            f"{contract.fingerprint[:12]}; serve the one that the work was begun with, or begin anew"
        )


def _wait(
    require_back: Callable[[], object],
    gone: ServerUnavailable | DeadlineExceeded,
    deadline: float,
    seconds: float,
    over: threading.Event,
) -> None:
    pause = FIRST_PAUSE
    while time.monotonic() + pause < deadline:
        if over.wait(pause):
            raise gone
        pause = min(2 * pause, LONGEST_PAUSE)
        try:
            require_back()
            return
        except (ServerUnavailable, DeadlineExceeded):
            continue
    if seconds:
        raise ServerUnavailable(f"waited {seconds:.3g} s for the server to come back: {gone}") from gone
    raise gone
