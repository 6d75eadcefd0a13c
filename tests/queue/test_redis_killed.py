"""Redis is killed in the midst of a shared job: everybody is told, and the same command goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from durable_server import DurableServer
from hashgrain.client import HashEncoder
from hashgrain.client.open_source import named_parts
from hashgrain.codes.errors import StoreUnavailable
from hashgrain.indexer import Index
from hashgrain.queue import Job, JobQueue, JobReport, Options, take_part
from pictures import arrays, write_tree
from plain_sink import AddTo

IMAGES, CHUNK = 60, 4


def test_the_job_goes_on_after_redis_was_killed(model: Path, tmp_path: Path) -> None:
    write_tree(tmp_path / "photos", arrays(IMAGES))
    parts = named_parts((str(tmp_path / "photos"),))
    server, done = DurableServer(tmp_path), 0
    server.start()

    def kill_halfway(images: int) -> None:
        nonlocal done
        done += images
        if done == IMAGES // 2 // CHUNK * CHUNK:
            server.kill()

    with HashEncoder(model) as encoder:
        job = Job("photos", encoder.fingerprint, "photos@1", "[]")

        def run(index: Index) -> JobReport:
            with JobQueue(server.url, job, silence=0.5) as queue:
                return take_part(queue, encoder, parts, AddTo(index), Options(CHUNK, progress=kill_halfway))

        with Index.create(server.url, "photos", encoder.layout, fingerprint=encoder.fingerprint) as index:
            with pytest.raises(StoreUnavailable, match=r"no Redis at.*run the same command again, and it goes on"):
                run(index)
            server.start()
            try:
                report = run(index)
                assert (report.state, report.encoded, report.aside) == ("ended", IMAGES, 0)
                assert done == IMAGES + CHUNK, "only the chunk that was under way is done twice"
                assert len(index) == IMAGES
            finally:
                server.kill()
