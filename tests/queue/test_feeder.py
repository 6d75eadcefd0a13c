"""Handing out goes on where a dead process left it: every picture once, whatever has come or gone since."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from hashgrain.client.bulk.receipt import Receipt
from hashgrain.client.sources.open_source import Part, named_parts
from hashgrain.codes.errors import DataError
from hashgrain.queue.feeder import Feeder
from hashgrain.queue.job import Chunk, Job, JobQueue
from hashgrain.queue.work import name_of, pieces, references
from pictures import arrays, write_tree

PICTURES = 10
SIZE = 2


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_tree(tmp_path / "photos", arrays(PICTURES))
    return tmp_path / "photos"


@pytest.fixture
def parts(photos: Path) -> list[Part]:
    return named_parts((str(photos),))


@pytest.fixture
def queue(redis_url: str) -> Iterator[JobQueue]:
    with JobQueue(redis_url, Job("photos", "f", "photos@1", "[]")) as queue:
        yield queue


def die_after(queue: JobQueue, parts: list[Part], chunks: int, redis_url: str) -> list[str]:
    """Hand out so many chunks and be gone; returns the ids."""
    queue.lead(1000)
    position, names = 0, []
    for _, work in zip(range(chunks), pieces(references(parts), SIZE), strict=False):
        position += len(work.references)
        names += [name_of(reference) for reference in work.references]
        assert queue.hand_out(work, position, names[-1]) == "taken"
    redis.Redis.from_url(redis_url).delete("hgjob:{photos}:feeder")
    return names


def handed_out(queue: JobQueue) -> list[str]:
    """Take and settle everything; returns the ids."""
    names: list[str] = []
    while (taken := queue.take()) != "ended":
        if isinstance(taken, Chunk):
            names += [name_of(reference) for reference in taken.work.references]
            queue.settle(taken, Receipt(len(taken.work.references), 0, 0, (), 0, 0, 1.0, ()))
        else:
            time.sleep(0.005)
    return names


def all_names(parts: list[Part]) -> list[str]:
    return [name_of(reference) for reference in references(parts)]


def test_it_goes_on_where_the_last_one_was(queue: JobQueue, parts: list[Part], redis_url: str) -> None:
    die_after(queue, parts, 3, redis_url)
    with Feeder(queue, parts, SIZE, lease=10):
        assert handed_out(queue) == all_names(parts)
    report = queue.report()
    assert (report.handed_out, report.encoded) == (PICTURES // SIZE, PICTURES)


def test_nothing_is_left_out_where_an_earlier_picture_has_gone(
    queue: JobQueue, parts: list[Part], photos: Path, redis_url: str
) -> None:
    before = die_after(queue, parts, 3, redis_url)
    (photos / before[0]).unlink()
    with Feeder(queue, parts, SIZE, lease=10):
        assert handed_out(queue) == [*before, *all_names(parts)[len(before) - 1 :]]


def test_all_is_handed_out_again_and_counted_anew_where_its_place_has_gone(
    queue: JobQueue, parts: list[Part], photos: Path, redis_url: str
) -> None:
    before = die_after(queue, parts, 3, redis_url)
    chunk = queue.take()
    assert isinstance(chunk, Chunk)
    (photos / before[-1]).unlink()
    with Feeder(queue, parts, SIZE, lease=10):
        while queue.report().state == "feeding":
            time.sleep(0.005)
        assert not queue.settle(chunk, Receipt(2, 0, 0, (), 0, 0, 1.0, ())), "of before, so not counted"
        assert handed_out(queue) == all_names(parts)
    assert queue.report().encoded == PICTURES - 1


def test_only_one_of_many_hands_out(parts: list[Part], redis_url: str, queue: JobQueue) -> None:
    job = Job("photos", "f", "photos@1", "[]")
    with (
        JobQueue(redis_url, job) as second,
        Feeder(queue, parts, 1, lease=10),
        Feeder(second, parts, 1, lease=10),
    ):
        assert sorted(handed_out(queue)) == sorted(all_names(parts))


def test_a_collection_that_cannot_be_read_is_told(queue: JobQueue, photos: Path, parts: list[Part]) -> None:
    for path in photos.rglob("*.png"):
        path.unlink()
    with Feeder(queue, parts, SIZE, lease=10) as feeder, pytest.raises(DataError, match="holds no images"):  # noqa: PT012
        while True:
            feeder.raise_error()
            time.sleep(0.005)
    assert queue.lead(10)[0] == "leads", "and another may try at once"
