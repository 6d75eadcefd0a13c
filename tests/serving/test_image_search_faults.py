"""image_search when it is busy, and when Redis is away: every caller is answered, and the server goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
from tritonclient.utils import InferenceServerException

from hashgrain.client import HashEncoder
from hashgrain.codes.errors import EmbeddedServerError
from hashgrain.export.serving_settings import ServingSettings
from hashgrain.indexer import Index
from hashgrain.runtime import servers
from hashgrain.runtime.redis_server import stop_redis
from image_search_client import RefusedError, by_client, by_json
from pictures import arrays, file_bytes
from process_state import suspend
from tiny_model import add_image_search, write_tiny_repository

COUNT = 24


@dataclass(frozen=True)
class Busy:
    """Servers of which image_search has one instance, which waits for requests to come together."""

    running: servers.RunningServers
    repository: Path

    @property
    def http(self) -> str:
        assert self.running.triton is not None
        return self.running.triton.http

    @property
    def grpc(self) -> str:
        return self.running.triton_address


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Busy]:
    folder = tmp_path_factory.mktemp("busy")
    write_tiny_repository(folder / "models", settings=ServingSettings(max_batch_size=4))
    config = add_image_search(folder / "models") / "config.pbtxt"
    text = config.read_text()
    for before, after in (
        ("count: 2", "count: 1"),
        ("max_queue_delay_microseconds: 0", "max_queue_delay_microseconds: 300000 preferred_batch_size: [ 24 ]"),
        ('"redis_read_s" value: { string_value: "5"', '"redis_read_s" value: { string_value: "0.5"'),
    ):
        assert before in text
        text = text.replace(before, after)
    config.write_text(text)
    home = folder / "home"
    try:
        running = servers.start(servers.StartSettings(home=home, model_repository=folder / "models"))
        with (
            HashEncoder(running.triton_address) as encoder,
            Index.create(running.redis_address, "photos", encoder.layout, fingerprint=encoder.fingerprint) as index,
        ):
            index.add([f"item {number}" for number in range(COUNT)], encoder.encode(arrays(COUNT)))
        yield Busy(running, folder / "models")
    finally:
        servers.stop(home)


def executions(busy: Busy) -> int:
    with triton_grpc.InferenceServerClient(busy.grpc.removeprefix("grpc://")) as client:
        rows = client.get_inference_statistics("image_search", client_timeout=10)
    return int(rows.model_stats[0].execution_count)


def test_requests_that_come_together_are_answered_each_for_itself(busy: Busy) -> None:
    """More pictures than hash_encoder takes at once (4) are encoded together; three requests are wrong."""
    before = executions(busy)

    def ask(number: int) -> str:
        picture = np.array([[file_bytes(arrays(COUNT)[number])]], object)
        parameters = {"k": 1}
        if number == 5:
            picture[0, 0] = b"no picture"
        elif number == 9:
            parameters = {"k": -1}
        elif number == 13:
            parameters["index"] = "nowhere"  # type: ignore[assignment]
        try:
            return bytes(by_client(busy.grpc, {"image_bytes": picture}, parameters)["ids"][0, 0]).decode()
        except InferenceServerException as error:
            return str(error.message())

    with ThreadPoolExecutor(COUNT) as pool:
        answers = list(pool.map(ask, range(COUNT)))
    wrong = {5: "image 0: not an image", 9: "k must be an integer", 13: "no index 'nowhere'"}
    for number, answer in enumerate(answers):
        if number in wrong:
            assert answer.startswith(wrong[number])
        else:
            assert answer == f"item {number}"
    assert executions(busy) - before < COUNT / 2, "the requests never came together, so this test showed nothing"


def test_redis_may_go_and_come_back(busy: Busy) -> None:
    """An index that is open already, and one that is opened while Redis is away."""
    ask = {"image": arrays(1)}
    assert by_json(busy.http, ask, {"k": 1})["ids"].tolist() == [["item 0"]]
    stop_redis(busy.running.redis)
    for parameters in ({"k": 1}, {"k": 1, "index": "other"}):
        with pytest.raises(RefusedError, match="no Redis at redis://127.0.0.1.*hashgrain up") as refused:
            by_json(busy.http, ask, parameters)
        assert refused.value.status == 503
    with pytest.raises(RefusedError, match="no Redis at redis://127.0.0.1") as refused:
        by_json(busy.http, ask, {"k": 1}, model="pixel_search")
    assert refused.value.status == 503
    assert probe(busy) == 503
    again = servers.start(servers.StartSettings(home=busy.running.home))
    assert again.started == ("redis",)
    assert probe(busy) == 200
    for model in ("image_search", "pixel_search"):
        assert by_json(busy.http, ask, {"k": 1}, model=model)["ids"].tolist() == [["item 0"]]


def probe(busy: Busy) -> int:
    """The state of image_search by the cheapest request there is, as its README shows it: HTTP's status."""
    try:
        by_json(busy.http, {"image": np.zeros((1, 1, 1, 3), np.uint8)}, {"k": 1}, outputs=("exact",))
    except RefusedError as error:
        return error.status
    return 200


def test_many_that_wait_for_a_redis_that_hangs_are_told_together(busy: Busy) -> None:
    """Of those that came together one waits for the timeout of .5 s; the others do not wait after it in turn."""
    found = servers.running(busy.running.home)
    assert found is not None
    before = executions(busy)
    suspend(found.redis.process.pid)
    try:
        with ThreadPoolExecutor(COUNT) as pool:
            statuses = list(pool.map(lambda _: probe(busy), range(COUNT)))
        logged = executions(busy) - before
    finally:
        os.kill(found.redis.process.pid, signal.SIGCONT)
    assert statuses == [503] * COUNT
    assert logged < COUNT / 2, "the requests never came together, so this test showed nothing"
    assert probe(busy) == 200


def test_a_redis_that_hangs_is_told_after_the_timeout(busy: Busy) -> None:
    found = servers.running(busy.running.home)
    assert found is not None
    suspend(found.redis.process.pid)
    try:
        with pytest.raises(RefusedError, match="gave no answer in time") as refused:
            by_json(busy.http, {"image": arrays(1)})
    finally:
        os.kill(found.redis.process.pid, signal.SIGCONT)
    assert refused.value.status == 503
    assert by_json(busy.http, {"image": arrays(1)}, {"k": 1})["ids"].tolist() == [["item 0"]]


def test_without_an_encoder_the_server_says_what_is_missing(tmp_path: Path) -> None:
    """It would refuse every request; a server that never starts is noticed sooner."""
    add_image_search(tmp_path / "models")
    with pytest.raises(EmbeddedServerError, match=r"image_search needs the model hash_encoder beside it"):
        servers.start(servers.StartSettings(home=tmp_path / "home", model_repository=tmp_path / "models"))
