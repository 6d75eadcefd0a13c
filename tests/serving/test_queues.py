"""The queues of hash_encoder on a real Triton: online before bulk, and a full one rejects instead of growing."""

from __future__ import annotations

import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from hashgrain.client import HashEncoder, Timeouts
from hashgrain.client.wire.address import parse_address
from hashgrain.client.wire.transport import Transport, open_transport
from hashgrain.codes.contract import BULK, ENCODER_MODEL, ONLINE
from hashgrain.codes.errors import DeadlineExceeded, InvalidInput, ServerBusy
from hashgrain.export.serving_settings import QueuePolicy, ServingSettings
from hashgrain.runtime import servers
from hashgrain.runtime.state import TritonRecord
from pictures import arrays
from tiny_model import write_tiny_repository

PLACES = 2
"""Requests that wait at most, at either priority."""

EXECUTION_S = 0.05
"""How long the slowed model takes for one request."""

HELD_S = 60.0
"""How long to wait for what is sure to come; and how long the model at most waits while a test holds it."""

GRPC_AND_HTTP = pytest.mark.parametrize("scheme", ["grpc", "http"])

SLOW_MODEL = f"""
import pathlib, time
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    '''Answers after a while, and not while the file `hold` is there; fine_code says how many it answered before.'''
    def initialize(self, args):
        self.answered = 0
        self.hold = pathlib.Path(args["model_repository"], "hold")

    def execute(self, requests):
        answers = []
        for request in requests:
            rows = len(pb_utils.get_input_tensor_by_name(request, "image").as_numpy())
            time.sleep({EXECUTION_S})
            until = time.monotonic() + {HELD_S}
            while self.hold.exists() and time.monotonic() < until:
                time.sleep(0.002)
            code = np.full((rows, 8), self.answered % 256, np.uint8)
            answers.append(pb_utils.InferenceResponse(
                [pb_utils.Tensor("fine_code", code), pb_utils.Tensor("coarse_code", code[:, :2])]))
            self.answered += 1
        return answers
"""


@dataclass(frozen=True)
class Slow(TritonRecord):
    """A Triton with the slowed model."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """The model answers nothing for so long."""
        hold = Path(self.model_repository, ENCODER_MODEL, "hold")
        hold.touch()
        try:
            yield
        finally:
            hold.unlink()

    def wait_for_queue(self, length: int) -> None:
        """Until so many requests wait behind the one that the model has in hand."""
        until = time.monotonic() + HELD_S
        while (found := self._pending()) != length:
            assert time.monotonic() < until, f"{found} requests wait, not {length}"
            time.sleep(0.005)

    def _pending(self) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=HELD_S) as answer:
            lines = answer.read().decode().splitlines()
        (line,) = (
            line for line in lines if line.startswith(f'nv_inference_pending_request_count{{model="{ENCODER_MODEL}"')
        )
        return int(float(line.rpartition(" ")[2]))


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slow]:
    """A Triton that runs one picture at a time, slowly, behind queues of two places."""
    folder = tmp_path_factory.mktemp("slow")
    policy = QueuePolicy(PLACES, 30)
    write_tiny_repository(folder / "models", settings=ServingSettings(max_batch_size=1, online=policy, bulk=policy))
    model = folder / "models" / ENCODER_MODEL
    config = (model / "config.pbtxt").read_text()
    assert 'backend: "onnxruntime"' in config
    (model / "config.pbtxt").write_text(config.replace('backend: "onnxruntime"', 'backend: "python"'))
    (model / "1" / "model.py").write_text(SLOW_MODEL)
    try:
        running = servers.start(servers.StartSettings(home=folder / "home", model_repository=folder / "models"))
        assert running.triton is not None, running.no_triton
        yield Slow(**{field.name: getattr(running.triton, field.name) for field in fields(TritonRecord)})
    finally:
        servers.stop(folder / "home")


def address(slow: Slow, scheme: str) -> str:
    return {"grpc": slow.address, "http": slow.http}[scheme]


@pytest.fixture
def transports(slow: Slow) -> Iterator[dict[str, Transport]]:
    opened = {scheme: open_transport(parse_address(address(slow, scheme))) for scheme in ("grpc", "http")}
    for transport in opened.values():
        transport.connect(5)
    yield opened
    for transport in opened.values():
        transport.close()


class Asked:
    """Requests that are with the server, each asked for by a thread; `answers` waits for all."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._pool = ThreadPoolExecutor(8)
        self._asked: list[Future[int]] = []

    def ask(self, priority: int) -> None:
        """One more."""
        self._asked.append(self._pool.submit(ask, self._transport, priority))

    def rejections(self, count: int) -> list[str]:
        """The words of so many that found the queue full, as soon as there are as many."""
        until = time.monotonic() + HELD_S
        while len(done := [future for future in self._asked if future.done()]) < count:
            assert time.monotonic() < until, f"{len(done)} were rejected, not {count}"
            time.sleep(0.005)
        return [str(future.exception()) for future in done]

    def answers(self) -> list[int | None]:
        """For each how many were answered before it; None where it was rejected."""
        errors = [future.exception() for future in self._asked]
        assert all(error is None or isinstance(error, ServerBusy) for error in errors), errors
        return [None if error else future.result() for future, error in zip(self._asked, errors, strict=True)]


def ask(transport: Transport, priority: int) -> int:
    """How many requests were answered before this one."""
    return int(transport.infer(arrays(1), ("fine_code",), HELD_S, priority)["fine_code"][0, 0])


@GRPC_AND_HTTP
def test_a_full_queue_rejects_at_once(slow: Slow, transports: dict[str, Transport], scheme: str) -> None:
    """One is computed, Triton may have another in hand, two have a place."""
    asked = Asked(transports[scheme])
    with slow.held():
        for _ in range(8):
            asked.ask(BULK)
        rejected = asked.rejections(8 - 2 - PLACES)
    assert all(re.search("has no room .*maximum queue size.*max_queue_size", words) for words in rejected), rejected
    assert asked.answers().count(None) < 8


@GRPC_AND_HTTP
def test_online_requests_go_before_bulk_ones_that_came_first(
    slow: Slow, transports: dict[str, Transport], scheme: str
) -> None:
    asked = Asked(transports[scheme])
    with slow.held():
        for waiting in (0, 1, 2):
            asked.ask(BULK)
            slow.wait_for_queue(waiting)
        asked.ask(ONLINE)
        slow.wait_for_queue(3)
    *bulk, online = asked.answers()
    assert online is not None
    assert online < max(answered for answered in bulk if answered is not None)
    assert None not in bulk


@GRPC_AND_HTTP
def test_a_request_waits_in_the_queue_no_longer_than_its_deadline(
    slow: Slow, transports: dict[str, Transport], scheme: str
) -> None:
    """The server does not compute what nobody waits for any more."""
    transport, asked = transports[scheme], Asked(transports[scheme])
    answered = ask(transport, ONLINE)
    with slow.held():
        for waiting in (0, 1):
            asked.ask(BULK)
            slow.wait_for_queue(waiting)
        with pytest.raises((DeadlineExceeded, ServerBusy)):
            transport.infer(arrays(1), ("fine_code",), 0.1, BULK)
    assert asked.answers() == [answered + 1, answered + 2]
    assert ask(transport, ONLINE) == answered + 3, "the late request was computed after all"


@GRPC_AND_HTTP
def test_a_client_comes_back_until_there_is_room(slow: Slow, scheme: str) -> None:
    """Eight pictures at once, where three have a place: none is lost."""
    with HashEncoder(address(slow, scheme), in_flight=8) as encoder:
        assert len(encoder.encode(arrays(8))) == 8


def test_two_bulk_clients_come_down_to_what_a_queue_takes(slow: Slow) -> None:
    """One runs and two have a place: eight requests under way would be rejected time and again.

    How soon they come down is a matter of what else the machine does.
    """
    named = [("picture", arrays(1)[0])] * 12
    with (
        HashEncoder(slow.address) as first,
        HashEncoder(slow.address) as second,
        ThreadPoolExecutor(2) as pool,
    ):
        assert (first.in_flight, second.in_flight) == (4, 4)
        for _ in range(10):
            found = list(pool.map(lambda encoder: list(encoder.encode_stream(named)), (first, second)))
            assert [sum(len(part.codes) for part in parts) for parts in found] == [12, 12]
            if first.in_flight + second.in_flight <= 5:
                break
        assert first.in_flight + second.in_flight <= 5


@GRPC_AND_HTTP
def test_a_client_gives_up_at_its_deadline_and_says_what_was_waiting(
    slow: Slow, transports: dict[str, Transport], scheme: str
) -> None:
    stop = threading.Event()

    def keep_full() -> None:
        while not stop.is_set():
            try:
                transports[scheme].infer(arrays(1), ("fine_code",), 20, ONLINE)
            except ServerBusy:
                time.sleep(0.005)

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(keep_full)
        try:
            time.sleep(0.1)
            late = pytest.raises(DeadlineExceeded, match=r"1 images waited .* of 1 s|no answer from .* within")
            with HashEncoder(address(slow, scheme), timeouts=Timeouts(request=1)) as encoder, late as told:
                encoder.encode([*arrays(6)])
        finally:
            stop.set()
    assert told.value.__cause__ is not None


def test_an_unknown_priority_is_refused(slow: Slow) -> None:
    with pytest.raises(InvalidInput, match='priority is "online" or "bulk", got \'low\''):
        HashEncoder(slow.address, priority="low")  # type: ignore[arg-type]


@GRPC_AND_HTTP
def test_a_stream_is_bulk_and_single_pictures_are_online(slow: Slow, scheme: str, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    sent: list[int] = []
    kind = type(open_transport(parse_address(address(slow, scheme))))
    infer = kind.infer

    def watched(self, images, outputs, seconds, priority=ONLINE):  # type: ignore[no-untyped-def]
        sent.append(priority)
        return infer(self, images, outputs, seconds, priority)

    monkeypatch.setattr(kind, "infer", watched)
    with HashEncoder(address(slow, scheme)) as encoder:
        encoder.encode(arrays(1))
        encoder.encode([*arrays(1)])
        list(encoder.encode_stream([("a", arrays(1)[0])]))
    with HashEncoder(address(slow, scheme), priority="bulk") as encoder:
        encoder.encode(arrays(1))
    assert sent == [ONLINE, ONLINE, BULK, BULK]
