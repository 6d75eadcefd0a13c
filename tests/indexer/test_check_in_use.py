"""`check_index` beside writers: no false alarms, and repairs that lose nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import redis

import hashgrain.indexer.adding.writing as writing_module
import hashgrain.indexer.check.examination as examination_module
from damaged_index import CODES, LAYOUT, NAME, UNKNOWN, Stored, build, hash_bytes, record, require_equal, wide_bucket
from hashgrain.codes import HashCodes
from hashgrain.codes.errors import StoreUnavailable
from hashgrain.indexer import Index, check_index
from hashgrain.indexer.check.examination import Examination
from random_codes import random_codes

pytestmark = pytest.mark.usefixtures("small_groups")


def test_writes_between_any_two_commands_give_no_false_alarm(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command and pipeline of the check is preceded by a write that moves, adds, deletes and divides buckets."""
    index, twin, _ = build(redis_url, shards=2)
    writes: list[int] = []
    writing = False

    def write() -> None:
        nonlocal writing
        if writing:
            return
        writing = True
        step = len(writes)
        writes.append(step)
        ids = [n if n % 2 else f"new-{n}" for n in ((7 * step + m) % 150 for m in range(12))]
        for one in (index, twin):
            one.add(ids, random_codes(12, LAYOUT, step), [{"n": step}] * 12)
            one.delete(ids[::3])
        writing = False

    def written_first(method: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            write()
            return method(*arguments, **options)

        return wrapped

    with index:
        with monkeypatch.context() as patch:
            patch.setattr(redis.Redis, "execute_command", written_first(redis.Redis.execute_command))
            patch.setattr(redis.client.Pipeline, "execute", written_first(redis.client.Pipeline.execute))
            for repair in (False, True):
                assert check_index(redis_url, NAME, repair).findings == ()
        assert len(writes) > 100
        require_equal(index, twin)


@pytest.mark.parametrize("repair", [False, True])
def test_a_busy_index_gives_no_false_alarms(redis_url: str, monkeypatch: pytest.MonkeyPatch, repair: bool) -> None:
    """Two writers replace, delete and add all the time in threads of their own."""
    monkeypatch.setattr(writing_module, "BATCH_ITEMS", 20)
    stop, steps = threading.Event(), [0, 0]

    def write(which: int) -> None:
        with Index.open(redis_url, NAME) as own:
            while not stop.is_set():
                steps[which] += 1
                seed = 2 * steps[which] + which
                ids = [n if n % 2 else f"photo-{n}" for n in ((seed * 7 + m) % 390 for m in range(40))]
                own.add(ids, random_codes(40, LAYOUT, seed), [{"n": seed}] * 40)
                own.delete(ids[: seed % 15])

    with Index.create(redis_url, NAME, LAYOUT, shards=2, bucket_items=8):
        writers = [threading.Thread(target=write, args=(which,)) for which in range(2)]
        for writer in writers:
            writer.start()
        try:
            beside = 0
            for _ in range(60):
                began = sum(steps)
                report = check_index(redis_url, NAME, repair=repair)
                assert report.findings == ()
                beside += sum(steps) > began
                if beside == 3:
                    break
            assert beside == 3, "they must have written meanwhile"
        finally:
            stop.set()
            for writer in writers:
                writer.join()
    assert check_index(redis_url, NAME).findings == ()


def test_repairs_beside_writers_lose_nothing_that_was_acknowledged(redis_url: str) -> None:
    """Damage is done and mended again and again while a writer replaces the same items."""
    index, twin, stored = build(redis_url)
    stop, mended = threading.Event(), set()

    def write() -> None:
        with Index.open(redis_url, NAME) as own:
            seed = 0
            while not stop.is_set():
                seed += 1
                own.add(range(1000, 1030), random_codes(30, LAYOUT, seed, flips=0.04))

    with index:
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for n in range(10):
                bucket = wide_bucket(stored)
                stored.client.append(stored.keys.bucket(bucket), record(stored, bucket, UNKNOWN + n))
                stored.client.hincrby(stored.keys.meta, "live", 3)
                report = check_index(redis_url, NAME, repair=True)
                assert report.clean
                mended |= {finding.kind for finding in report.findings}
        finally:
            stop.set()
            writer.join()
        assert mended >= {"orphan-record", "live-count"}
        index.delete(range(1000, 1030))
        require_equal(index, twin)
    assert check_index(redis_url, NAME).findings == ()


@pytest.mark.parametrize("times", [3, 10**6])
def test_a_repair_that_a_writer_forestalled_is_thought_over(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Just before a bucket is rewritten, an item is added to it; it must not be lost, however often that happens."""
    monkeypatch.setattr(examination_module, "ATTEMPTS", 5)
    index, twin, stored = build(redis_url)
    bucket, added = wide_bucket(stored), list[int]()
    codes = centroid(stored, bucket)
    whole = Examination.mend

    def forestalled(shard: Examination, expect: Any, changes: Any) -> bool:
        if len(added) < times:
            # A batch counts buckets from where its first id says, and so prefers that one to others of its centroid.
            ids = range(added[-1] + 2 if added else 1001, 10**6, 2)
            added.append(next(n for n in ids if int.from_bytes(hash_bytes(n), "little") % stored.count() == bucket))
            for one in (index, twin):
                one.add(added[-1:], codes)
        return whole(shard, expect, changes)

    with index:
        stored.client.append(stored.keys.bucket(bucket), record(stored, bucket, UNKNOWN))
        with monkeypatch.context() as patch:
            patch.setattr(Examination, "mend", forestalled)
            if times == 3:
                assert check_index(redis_url, NAME, repair=True).clean
            else:
                with pytest.raises(
                    StoreUnavailable, match="changed under 5 attempts to look at one place of it or to repair it"
                ):
                    check_index(redis_url, NAME, repair=True)
        assert len(added) == min(times, 5)
        assert check_index(redis_url, NAME, repair=True).clean
        require_equal(index, twin)


def centroid(stored: Stored, bucket: int) -> HashCodes:
    """The codes that are nearest to a bucket."""
    packed = np.frombuffer(record(stored, bucket, 0)[:CODES], np.uint8)[None]
    return HashCodes(packed[:, 8:].copy(), packed[:, :8].copy())
