"""One process' share: chunks become codes in the index, what cannot be done is told, and an outage blames no chunk."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hashgrain.client import HashEncoder
from hashgrain.client.encoding.decoding import Named
from hashgrain.client.encoding.encoded import Encoded
from hashgrain.client.sources.items import ItemId
from hashgrain.client.sources.open_source import Part, named_parts
from hashgrain.codes import HashCodes
from hashgrain.codes.errors import HashgrainError, InferenceFailed, ServerUnavailable, SourceUnavailable
from hashgrain.queue import Job, JobQueue, JobReport, Options, take_part
from pictures import arrays, file_bytes, write_tree
from tar_files import write_tar

SILENCE_S = 3.0
"""After which a chunk is taken over; a worker shows itself four times as often, on a busy machine less."""


class Rows:
    """A sink like an index: what comes twice is there once."""

    target = "photos@1"

    def __init__(self) -> None:
        self.ids: list[ItemId] = []

    def write(self, ids: list[ItemId], codes: HashCodes, payloads: list[dict[str, Any]]) -> None:
        self.ids += ids


class Failing(HashEncoder):
    """Fails on every picture of a name."""

    error: HashgrainError

    def encode_batches(self, batches: Iterable[list[Named]], **options: Any) -> Iterator[Encoded]:
        def looked_at() -> Iterator[list[Named]]:
            for batch in batches:
                if any("003" in name for name, _ in batch):
                    raise self.error
                yield batch

        return super().encode_batches(looked_at(), **options)


@pytest.fixture
def parts(tmp_path: Path) -> list[Part]:
    write_tree(tmp_path / "photos", arrays(6))
    return named_parts((str(tmp_path / "photos"),))


def run(
    redis_url: str, encoder: HashEncoder, parts: list[Part], sink: Rows, chunk: int = 2
) -> tuple[JobReport, list[str]]:
    with JobQueue(redis_url, Job("photos", encoder.fingerprint, "photos@1", "[]"), tries=2) as queue:
        report = take_part(queue, encoder, parts, sink, Options(chunk=chunk, patience=0))
        return report, [f"{aside.work}: {aside.reason}" for aside in queue.set_aside()]


def test_everything_is_done_and_progress_is_told(model: Path, parts: list[Part], redis_url: str) -> None:
    sink, done = Rows(), []
    with (
        HashEncoder(model) as encoder,
        JobQueue(redis_url, Job("photos", encoder.fingerprint, "photos@1", "[]")) as queue,
    ):
        report = take_part(queue, encoder, parts, sink, Options(chunk=4, progress=done.append))
    assert (report.state, report.encoded, report.handed_out, report.done) == ("ended", 6, 2, 2)
    assert len(sink.ids) == len(set(sink.ids)) == sum(done) == 6


def test_a_damaged_archive_is_set_aside_and_the_rest_is_done(model: Path, tmp_path: Path, redis_url: str) -> None:
    files = {f"{name}.png": file_bytes(picture) for name, picture in zip("abc", arrays(3), strict=True)}
    write_tar(tmp_path / "whole.tar", files)
    cut = write_tar(tmp_path / "cut.tar", files)
    cut.write_bytes(cut.read_bytes()[:700])
    sink = Rows()
    with HashEncoder(model) as encoder:
        report, aside = run(redis_url, encoder, named_parts((str(tmp_path / "*.tar"),)), sink)
    assert [name for name in sink.ids if "whole" in str(name)] == [f"{tmp_path}/whole/{name}" for name in files]
    assert (report.done, report.aside, report.encoded) == (1, 1, 3)
    assert len(aside) == 1
    assert aside[0].startswith(f"{cut}: {cut} is damaged after 0 pictures")


def test_a_chunk_that_fails_every_worker_is_set_aside_in_the_end(
    model: Path, parts: list[Part], redis_url: str
) -> None:
    sink = Rows()
    with Failing(model) as encoder:
        encoder.error = InferenceFailed("a picture that the model cannot stand")
        for _ in range(2):
            with pytest.raises(InferenceFailed):
                run(redis_url, encoder, parts, sink, chunk=1)
        report, aside = run(redis_url, encoder, parts, sink, chunk=1)
    assert (report.encoded, report.aside) == (5, 1)
    assert aside == ["cats/003.png: 2 workers, one after the other, failed, died or fell silent over it"]


def test_a_server_that_is_away_blames_no_chunk(model: Path, parts: list[Part], redis_url: str) -> None:
    sink = Rows()
    with Failing(model) as encoder:
        encoder.error = ServerUnavailable("no server")
        for _ in range(4):
            with pytest.raises(ServerUnavailable):
                run(redis_url, encoder, parts, sink, chunk=1)
    with HashEncoder(model) as encoder:
        report, aside = run(redis_url, encoder, parts, sink, chunk=1)
    assert (report.encoded, aside) == (6, [])
    assert set(sink.ids) == {f"{'cats' if n % 2 else 'dogs'}/{n:03}.png" for n in range(6)}


def test_an_archive_whose_service_is_away_is_not_blamed(model: Path, tmp_path: Path, redis_url: str) -> None:
    """However often: it stays in the job, for when the service is back."""
    parts = [Part("http://127.0.0.1:1/a.tar")]
    with HashEncoder(model) as encoder:
        for _ in range(4):
            with pytest.raises(SourceUnavailable, match=r"127.0.0.1:1/a.tar cannot be read"):
                run(redis_url, encoder, parts, Rows())
        with JobQueue(redis_url, Job("photos", encoder.fingerprint, "photos@1", "[]")) as queue:
            assert (queue.report().aside, queue.report().done) == (0, 0)


def test_a_long_chunk_stays_with_its_worker(model: Path, parts: list[Part], redis_url: str) -> None:
    seen: list[object] = []
    with HashEncoder(model) as encoder:
        job = Job("photos", encoder.fingerprint, "photos@1", "[]")
        with JobQueue(redis_url, job, silence=SILENCE_S) as queue, JobQueue(redis_url, job, silence=SILENCE_S) as other:

            def dawdle(images: int) -> None:
                time.sleep(1.2 * SILENCE_S)
                seen.append(other.take())

            report = take_part(queue, encoder, parts, Rows(), Options(chunk=6, progress=dawdle))
    assert seen == ["wait"]
    assert report.encoded == 6
