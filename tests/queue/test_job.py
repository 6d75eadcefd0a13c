"""A job in Redis: every chunk is counted once, whoever dies; nothing is retried for ever; jobs are not mixed up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from hashgrain.client.bulk.receipt import Receipt
from hashgrain.client.sources.items import Item
from hashgrain.codes.errors import DataError, ImageRejected, InvalidInput, StoreUnavailable
from hashgrain.queue.job import Chunk, Job, JobQueue
from hashgrain.queue.keys import GROUP
from hashgrain.queue.work import Work

SILENCE = 1000.0
"""Longer than any test: where a worker is to fall silent, `fall_silent` says so to Redis."""

JOB = Job("photos", "f" * 64, "photos@1", '["/photos"]')

Opened = Callable[..., JobQueue]


@pytest.fixture
def opened(redis_url: str) -> Iterator[Opened]:
    with ExitStack() as stack:

        def open_(job: Job = JOB, **options: Any) -> JobQueue:
            return stack.enter_context(JobQueue(redis_url, job, **{"silence": SILENCE, **options}))

        yield open_


def piece(number: int) -> Work:
    return Work((Item(f"{number}.png", Path(f"/photos/{number}.png"), {"number": number}),))


def hand_out(queue: JobQueue, pieces: int) -> None:
    assert queue.lead(10)[0] == "leads"
    for number in range(1, pieces + 1):
        assert queue.hand_out(piece(number), number, f"{number}.png") == "taken"
    queue.hand_out(None, pieces, "")


def receipt(encoded: int = 1, rejected: tuple[ImageRejected, ...] = ()) -> Receipt:
    return Receipt(encoded, 0, 0, rejected, 0, 10, 1.0, ())


def fall_silent(redis_url: str, worker: JobQueue, chunk: Chunk) -> None:
    client = redis.Redis.from_url(redis_url)
    client.xclaim("hgjob:{photos}:chunks", GROUP, worker.worker, 0, [chunk.id], idle=2_000_000, justid=True)


def taken(queue: JobQueue) -> Chunk:
    chunk = queue.take()
    assert isinstance(chunk, Chunk)
    return chunk


def test_a_job_ends_when_all_is_handed_out_and_settled(opened: Opened) -> None:
    first, second = opened(), opened()
    hand_out(first, 2)
    one, two = taken(first), taken(second)
    assert [one.work, two.work] == [piece(1), piece(2)]
    assert first.settle(one, receipt())
    assert first.take() == "wait"
    assert second.settle(two, receipt(0, (ImageRejected("2.png", "is empty"),)))
    assert first.take() == second.take() == "ended"
    report = first.report()
    assert (report.state, report.handed_out, report.done) == ("ended", 2, 2)
    assert (report.encoded, report.rejected, report.bytes_read) == (1, 1, 20)
    assert list(second.rejected()) == [("2.png", "is empty")]


def test_nothing_is_left_in_the_stream_of_an_ended_job(opened: Opened, redis_url: str) -> None:
    queue = opened()
    hand_out(queue, 1)
    queue.settle(taken(queue), receipt())
    client = redis.Redis.from_url(redis_url)
    assert client.xlen("hgjob:{photos}:chunks") == 0
    assert sorted(client.keys()) == [b"hgjob:{photos}:chunks", b"hgjob:{photos}:job"]


def test_a_chunk_that_two_workers_have_done_counts_once(opened: Opened, redis_url: str) -> None:
    slow, fast = opened(), opened()
    hand_out(slow, 1)
    chunk = taken(slow)
    assert fast.take() == "wait"
    fall_silent(redis_url, slow, chunk)
    assert taken(fast) == chunk
    assert slow.settle(chunk, receipt())
    assert not fast.settle(chunk, receipt())
    assert fast.report().encoded == 1


def test_a_worker_that_beats_keeps_its_chunk(opened: Opened, redis_url: str) -> None:
    slow, other = opened(), opened()
    hand_out(slow, 1)
    chunk = taken(slow)
    for _ in range(5):  # more often than a chunk is tried
        fall_silent(redis_url, slow, chunk)
        slow.beat(chunk)
        assert other.take() == "wait"
    fall_silent(redis_url, slow, chunk)
    assert taken(other) == chunk, "beats do not count as tries"


def test_a_beat_does_not_take_back_what_another_has_taken_over(opened: Opened, redis_url: str) -> None:
    slow, other = opened(), opened()
    hand_out(slow, 1)
    chunk = taken(slow)
    fall_silent(redis_url, slow, chunk)
    assert taken(other) == chunk
    fall_silent(redis_url, other, chunk)
    slow.beat(chunk)
    slow.give_up(chunk, "is not its business any more")
    slow.give_back(chunk, blameless=True)
    assert not other.set_aside()
    assert taken(opened()) == chunk, "its time had run out, whatever the first worker said"


def test_a_chunk_whose_workers_die_is_set_aside_with_the_reason(opened: Opened, redis_url: str) -> None:
    queue, second = opened(tries=2), opened(tries=2)
    hand_out(queue, 2)
    poison = taken(queue)
    queue.settle(taken(queue), receipt())
    fall_silent(redis_url, queue, poison)
    assert taken(second) == poison
    fall_silent(redis_url, second, poison)
    assert queue.take() == "ended"
    (aside,) = queue.set_aside()
    assert (aside.work, aside.reason) == (
        "1.png",
        "2 workers, one after the other, failed, died or fell silent over it",
    )
    assert not queue.settle(poison, receipt()), "one that was only slow comes too late"
    report = queue.report()
    assert (report.done, report.aside, report.encoded) == (1, 1, 1)


def test_a_chunk_that_is_given_back_goes_to_another_at_once(opened: Opened) -> None:
    leaving = opened(tries=2)
    hand_out(leaving, 1)
    for _ in range(5):  # more than the tries: an outage is not the chunk's fault
        leaving.give_back(taken(leaving), blameless=True)
    leaving.give_back(taken(leaving), blameless=False)
    leaving.give_back(taken(leaving), blameless=False)
    assert leaving.take() == "ended"
    assert [aside.work for aside in leaving.set_aside()] == ["1.png"]


def test_handing_out_waits_where_too_much_is_open(opened: Opened) -> None:
    queue = opened(open_chunks=1)
    queue.lead(10)
    assert queue.hand_out(piece(1), 1, "1.png") == "taken"
    assert queue.hand_out(piece(2), 2, "2.png") == "full"
    queue.settle(taken(queue), receipt())
    assert queue.hand_out(piece(2), 2, "2.png") == "taken"


def test_a_chunk_is_handed_out_once_where_the_answer_was_lost(opened: Opened) -> None:
    queue = opened()
    queue.lead(10)
    assert queue.hand_out(piece(1), 1, "1.png") == queue.hand_out(piece(1), 1, "1.png") == "taken"
    assert queue.report().handed_out == 1


def test_one_hands_out_at_a_time_and_the_next_learns_where_it_was(opened: Opened, redis_url: str) -> None:
    first, second = opened(), opened()
    assert first.lead(10) == ("leads", 0, "")
    first.hand_out(piece(1), 1, "1.png")
    assert second.lead(10)[0] == "other"
    redis.Redis.from_url(redis_url).delete("hgjob:{photos}:feeder")  # as if its time had run out
    assert first.lead(10, stay=True)[0] == "other", "who has lost the lead does not know where the others are"
    assert second.lead(10) == ("leads", 1, "1.png")
    assert first.hand_out(piece(2), 2, "2.png") == "lost"


@pytest.mark.parametrize(
    ("field", "job"),
    [
        ("fingerprint", Job("photos", "e" * 64, "photos@1", '["/photos"]')),
        ("index", Job("photos", "f" * 64, "photos@2", '["/photos"]')),
        ("sources", Job("photos", "f" * 64, "photos@1", '["/pictures"]')),
    ],
)
def test_another_job_of_the_same_name_is_refused_until_the_first_has_ended(
    opened: Opened, field: str, job: Job
) -> None:
    queue = opened()
    with pytest.raises(InvalidInput, match=f"under way with another {field}.*--anew"):
        opened(job)
    hand_out(queue, 1)
    queue.settle(taken(queue), receipt())
    assert opened(job).report().handed_out == 0


def test_a_job_begun_anew_leaves_the_others_behind(opened: Opened) -> None:
    old = opened()
    hand_out(old, 2)
    chunk = taken(old)
    new = opened(anew=True)
    assert new.report().handed_out == 0
    for step in (old.take, lambda: old.settle(chunk, receipt()), old.report):
        with pytest.raises(DataError, match="begun anew, or Redis has lost it"):
            step()


def test_a_redis_that_has_lost_the_job_is_told(opened: Opened, redis_url: str) -> None:
    queue = opened()
    hand_out(queue, 1)
    redis.Redis.from_url(redis_url).flushall()
    with pytest.raises(DataError, match="run the same command again"):
        queue.take()


def test_a_redis_that_is_away_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"no Redis at.*queue of the job photos; run the same command again"):
        JobQueue(f"unix://{tmp_path}/none", JOB)


@pytest.mark.parametrize("name", ["", "a b", "a{b}", "x" * 129])
def test_names_that_no_job_can_have(opened: Opened, name: str) -> None:
    with pytest.raises(InvalidInput, match="a job's name is"):
        opened(Job(name, "f", "i", "s"))
