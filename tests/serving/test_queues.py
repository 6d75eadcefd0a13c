"""The queues of hash_encoder on a real Triton: online before bulk, and a full one rejects instead of growing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hashgrain.client import HashEncoder, Timeouts
from hashgrain.client.address import parse_address
from hashgrain.client.transport import Transport, open_transport
from hashgrain.codes.contract import BULK, ENCODER_MODEL, ONLINE
from hashgrain.codes.errors import DeadlineExceeded, InvalidInput, ServerBusy
from hashgrain.export.serving_settings import QueuePolicy, ServingSettings
from hashgrain.runtime import servers
from hashgrain.runtime.state import TritonRecord
from pictures import arrays
from tiny_model import write_tiny_repository

PLACES = 2
"""Requests that wait at most, at either priority."""

EXECUTION_S = 0.1
"""How long the slowed model takes for one request."""

GRPC_AND_HTTP = pytest.mark.parametrize("scheme", ["grpc", "http"])

SLOW_MODEL = f"""
import time
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    '''Answers after a while; fine_code says how many requests were answered before.'''
    def initialize(self, args):
        self.answered = 0

    def execute(self, requests):
        answers = []
        for request in requests:
            rows = len(pb_utils.get_input_tensor_by_name(request, "image").as_numpy())
            time.sleep({EXECUTION_S})
            code = np.full((rows, 8), self.answered % 256, np.uint8)
            answers.append(pb_utils.InferenceResponse(
                [pb_utils.Tensor("fine_code", code), pb_utils.Tensor("coarse_code", code[:, :2])]))
            self.answered += 1
        return answers
"""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonRecord]:
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
        yield running.triton
    finally:
        servers.stop(folder / "home")


def address(slow: TritonRecord, scheme: str) -> str:
    return {"grpc": slow.address, "http": slow.http}[scheme]


@pytest.fixture
def transports(slow: TritonRecord) -> Iterator[dict[str, Transport]]:
    opened = {scheme: open_transport(parse_address(address(slow, scheme))) for scheme in ("grpc", "http")}
    for transport in opened.values():
        transport.connect(5)
    yield opened
    for transport in opened.values():
        transport.close()


class Filled:
    """While it lasts, so many requests of one priority are with the server: one runs, the others wait."""

    def __init__(self, transport: Transport, requests: int, priority: int) -> None:
        self.order: list[int] = []
        self._pool = ThreadPoolExecutor(requests)
        for _ in range(requests):
            self._pool.submit(self._ask, transport, priority)
            time.sleep(0.02)  # in order

    def _ask(self, transport: Transport, priority: int) -> None:
        self.order.append(int(transport.infer(arrays(1), ("fine_code",), 20, priority)["fine_code"][0, 0]))

    def __enter__(self) -> Filled:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()


@GRPC_AND_HTTP
def test_a_full_queue_rejects_at_once(transports: dict[str, Transport], scheme: str) -> None:
    transport = transports[scheme]
    full = pytest.raises(ServerBusy, match="has no room .*maximum queue size.*max_queue_size")
    with Filled(transport, 8, BULK) as filled, full:
        transport.infer(arrays(1), ("fine_code",), 20, BULK)
    assert 1 <= len(filled.order) < 8, "some must have been answered and some rejected"


@GRPC_AND_HTTP
def test_online_requests_go_before_bulk_ones_that_came_first(transports: dict[str, Transport], scheme: str) -> None:
    transport = transports[scheme]
    with Filled(transport, 3, BULK) as bulk, Filled(transport, 1, ONLINE) as online:
        pass
    assert len(bulk.order) == 3
    assert online.order[0] < max(bulk.order)


@GRPC_AND_HTTP
def test_a_request_waits_in_the_queue_no_longer_than_its_deadline(
    transports: dict[str, Transport], scheme: str
) -> None:
    """The server does not compute what nobody waits for any more."""
    transport = transports[scheme]
    answered = int(transport.infer(arrays(1), ("fine_code",), 20)["fine_code"][0, 0])
    with Filled(transport, 3, BULK), pytest.raises((DeadlineExceeded, ServerBusy)):
        transport.infer(arrays(1), ("fine_code",), 0.5 * EXECUTION_S, BULK)
    last = int(transport.infer(arrays(1), ("fine_code",), 20)["fine_code"][0, 0])
    assert last - answered == 3 + 1, "the late request was computed after all"


@GRPC_AND_HTTP
def test_a_client_comes_back_until_there_is_room(slow: TritonRecord, scheme: str) -> None:
    """Eight pictures at once, where three have a place: none is lost."""
    with HashEncoder(address(slow, scheme), in_flight=8) as encoder:
        assert len(encoder.encode(arrays(8))) == 8


def test_two_bulk_clients_come_down_to_what_a_queue_takes(slow: TritonRecord) -> None:
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
    slow: TritonRecord, transports: dict[str, Transport], scheme: str
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


def test_an_unknown_priority_is_refused(slow: TritonRecord) -> None:
    with pytest.raises(InvalidInput, match='priority is "online" or "bulk", got \'low\''):
        HashEncoder(slow.address, priority="low")  # type: ignore[arg-type]


@GRPC_AND_HTTP
def test_a_stream_is_bulk_and_single_pictures_are_online(slow: TritonRecord, scheme: str, monkeypatch) -> None:  # type: ignore[no-untyped-def]
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
