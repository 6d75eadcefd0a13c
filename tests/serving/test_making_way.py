"""Bulk encoding makes way on a real Triton: one request under way while others send single pictures, then all again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from embedded_servers import EmbeddedServers
from hashgrain.client import HashEncoder
from hashgrain.client.encoding.decoding import Named
from hashgrain.client.wire.address import parse_address
from hashgrain.client.wire.transport import Transport, open_transport
from hashgrain.codes.contract import BULK, ONLINE
from pictures import arrays

WAIT_S = 30.0
HOLD_S = 0.5


class Watched:
    """A bulk run by a thread of its own, as long as this lasts, and how many of its requests are under way."""

    def __init__(self, encoder: HashEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
        self._encoder = encoder
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._encode)
        self._busy = self.most = 0
        transport = encoder._pipeline._transport
        infer = transport.infer

        def counted(images: NDArray[Any], outputs: tuple[str, ...], seconds: float, priority: int = ONLINE) -> Any:
            with self._lock:
                self._busy += 1
                self.most = max(self.most, self._busy)
            try:
                time.sleep(0.005)  # the tiny model would be done before another request can come
                return infer(images, outputs, seconds, priority)
            finally:
                with self._lock:
                    self._busy -= 1

        monkeypatch.setattr(transport, "infer", counted)

    def wait_until(self, most: int, at_least: bool = False) -> None:
        """Until for a moment so many requests, or more, were under way at most."""
        until = time.monotonic() + WAIT_S
        while True:
            self.most = 0
            time.sleep(0.1)
            if self.most == most or (at_least and self.most > most):
                return
            assert time.monotonic() < until, f"{self.most} are under way, not {most}"

    def _encode(self) -> None:
        def pictures() -> Iterator[Named]:
            picture = arrays(1)[0]
            while not self._over.is_set():
                yield "picture", picture

        for _ in self._encoder.encode_stream(pictures()):
            pass

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(WAIT_S)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hashgrain.client.encoding.small_requests.LOOK_S", 0.02)
    monkeypatch.setattr("hashgrain.client.encoding.small_requests.HOLD_S", HOLD_S)


def ask(transport: Transport, seconds: float) -> None:
    """For the codes of a picture, over and over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        transport.infer(arrays(1), ("fine_code",), WAIT_S, ONLINE)
        time.sleep(0.02)


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_one_bulk_request_is_under_way_while_another_asks_for_single_pictures(
    triton: EmbeddedServers, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = {"grpc": triton.grpc, "http": triton.http}[scheme]
    with ExitStack() as stack:
        encoder = stack.enter_context(HashEncoder(address))
        other = open_transport(parse_address(address))
        stack.callback(other.close)
        other.connect(WAIT_S)
        bulk = stack.enter_context(Watched(encoder, monkeypatch))
        bulk.wait_until(2, at_least=True)
        asking = threading.Thread(target=ask, args=(other, 4 * HOLD_S))
        asking.start()
        bulk.wait_until(1)
        asking.join()
        bulk.wait_until(2, at_least=True)


@pytest.mark.parametrize("settings", [{"make_way": False}, {"in_flight": 4}])
def test_it_does_not_where_it_is_told(
    triton: EmbeddedServers, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        encoder = stack.enter_context(HashEncoder(triton.grpc, **settings))
        other = open_transport(parse_address(triton.grpc))
        stack.callback(other.close)
        other.connect(WAIT_S)
        bulk = stack.enter_context(Watched(encoder, monkeypatch))
        bulk.wait_until(2, at_least=True)
        ask(other, HOLD_S)
        bulk.wait_until(2, at_least=True)


def test_statistics_count_requests_and_images(triton: EmbeddedServers) -> None:
    with ExitStack() as stack:
        transports = [open_transport(parse_address(address)) for address in (triton.grpc, triton.http)]
        for transport in transports:
            stack.callback(transport.close)
            transport.connect(WAIT_S)
        before = transports[0].statistics(WAIT_S)
        for images in (1, 3):
            transports[0].infer(np.ascontiguousarray(arrays(images)), ("fine_code",), WAIT_S, BULK)
        after = [transport.statistics(WAIT_S) for transport in transports]
    assert before is not None
    for counted in after:
        assert counted is not None
        assert (counted.requests - before.requests, counted.images - before.images) == (2, 4)
