"""Redis is killed or cut off in the midst of a shared job: everybody is told, and the same command goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cut_network import Cut, CutNetwork
from durable_server import DurableServer
from hashgrain.client import HashEncoder
from hashgrain.client.sources.open_source import named_parts
from hashgrain.codes.errors import StoreUnavailable
from hashgrain.indexer import Index
from hashgrain.queue import Job, JobQueue, JobReport, Options, take_part
from pictures import arrays, write_tree
from plain_sink import AddTo

IMAGES, CHUNK = 60, 4


@dataclass(frozen=True)
class Fault:
    """What happens to Redis, how it is mended, and what the workers say.

    Attributes:
        url: the server's address for the workers.
    """

    url: str
    strike: Callable[[], object]
    mend: Callable[[], object]
    says: str


@pytest.fixture(params=["killed", *Cut])
def fault(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fault]:
    server = DurableServer(tmp_path)
    server.start()
    if request.param == "killed":
        yield Fault(server.url, server.kill, server.start, "no Redis at")
    else:
        says = "gave no answer in time" if request.param is Cut.SILENCE else "no Redis at"
        with CutNetwork(server.url.removeprefix("unix://")) as wire:
            url = f"redis://{wire.address}/0?socket_timeout=1"
            yield Fault(url, lambda: wire.cut(request.param), wire.heal, says)
    server.kill()


def test_the_job_goes_on_after_redis_was_gone(model: Path, tmp_path: Path, fault: Fault) -> None:
    write_tree(tmp_path / "photos", arrays(IMAGES))
    parts = named_parts((str(tmp_path / "photos"),))
    done = 0

    def strike_halfway(images: int) -> None:
        nonlocal done
        done += images
        if done == IMAGES // 2 // CHUNK * CHUNK:
            fault.strike()

    with HashEncoder(model) as encoder:
        job = Job("photos", encoder.fingerprint, "photos@1", "[]")

        def run() -> JobReport:
            """The same command, each time in connections of its own."""
            with JobQueue(fault.url, job, silence=0.5) as queue, Index.open(fault.url, "photos") as index:
                return take_part(queue, encoder, parts, AddTo(index), Options(CHUNK, progress=strike_halfway))

        Index.create(fault.url, "photos", encoder.layout, fingerprint=encoder.fingerprint).close()
        with pytest.raises(StoreUnavailable, match=rf"{fault.says}.*run the same command again, and it goes on"):
            run()
        fault.mend()
        report = run()
        assert (report.state, report.encoded, report.aside) == ("ended", IMAGES, 0)
        assert done == IMAGES + CHUNK, "only the chunk that was under way is done twice"
        with Index.open(fault.url, "photos") as index:
            assert len(index) == IMAGES
