"""Writers and readers, each in a process of its own, on one index: every answer is right while all is in motion.

See `seen_by_readers` for what is asked of an answer beside writers. Once these are done, everything must equal
`ReferenceIndex`.
"""

from __future__ import annotations

import dataclasses
import graphlib
import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from churn_process import Read
from hashgrain.indexer import Index, check_index
from random_codes import random_codes
from seen_by_readers import Owner, Rivals, State, home_shards
from settled_twin import require_same_answers, settled_twin
from stored_buckets import stored_buckets
from write_history import LAYOUT, NAME, PACE, Progress, Workload

TESTS = Path(__file__).parents[1]

COLD, TIGHT, ROOMY = 0, 1500, 1 << 20
"""What a reader keeps of buckets, in bytes: nothing, a few, all."""

READERS = [("read", COLD), ("read", TIGHT), ("read", ROOMY), ("late", ROOMY)]
"""See `churn_process.main`."""

MIXED = Workload(seed=1, shards=3, era_steps=30)
CROWDED = Workload(seed=2, items=12, centres=2, flips=0.0)
SCATTERED = Workload(seed=4, items=12, shards=2, centres=2, flips=0.02, era_steps=100)
GROWING = Workload(seed=6, items=60, shards=2, centres=2, flips=0.02, growing=True)
SHRINKING = Workload(seed=8, items=60, shards=2, bucket_items=24, centres=2, flips=0.05, growing=True)
RIVALS = Workload(seed=3, shards=2, overlapping=True, era_steps=50)


@pytest.mark.parametrize(
    "workload", [MIXED, CROWDED, *(pytest.param(one, marks=pytest.mark.long) for one in (GROWING, SHRINKING))]
)
def test_every_answer_beside_writers_is_right(redis_url: str, workload: Workload) -> None:
    splits, merges = churn(redis_url, workload)
    assert splits >= workload.steps / 10, "buckets are split all the time"
    assert merges >= workload.steps / 30, "and merged"
    buckets = len(stored_buckets(redis_url, NAME))
    assert buckets <= 2 * workload.writers * workload.items, "and splits fill those that were left empty"
    settled(redis_url, workload, {n: row for owner in owners(workload) for n, row in owner.final().items()})


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("workload", [MIXED, CROWDED, SCATTERED, GROWING, SHRINKING])
def test_every_answer_beside_writers_is_right_for_thousands_of_steps(
    redis_url: str, workload: Workload, seed: int
) -> None:
    longer = dataclasses.replace(workload, seed=100 * seed + workload.seed, writers=4, steps=2000)
    test_every_answer_beside_writers_is_right(redis_url, longer)


def test_writers_of_the_same_ids_leave_what_one_after_the_other_would(redis_url: str) -> None:
    require_serial(redis_url, RIVALS)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2))
def test_writers_of_the_same_ids_for_thousands_of_steps(redis_url: str, seed: int) -> None:
    for workload in (RIVALS, dataclasses.replace(CROWDED, overlapping=True)):
        redis.Redis.from_url(redis_url).flushall()
        require_serial(redis_url, dataclasses.replace(workload, seed=100 * seed + workload.seed, steps=2000))


def churn(url: str, workload: Workload) -> tuple[int, int]:
    """Let writers and readers work until all writers are done, checked meanwhile; returns splits and merges."""
    with tempfile.TemporaryDirectory() as folder, _create(url, workload):
        progress = Progress(Path(folder, "progress"), workload, fresh=True)

        def start(role: str, number: int, *more: object) -> subprocess.Popen[str]:
            arguments = (role, url, workload.to_json(), Path(folder, "progress"), number, *more)
            command = [sys.executable, TESTS / "churn_process.py", *map(str, arguments)]
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        reading = [start(role, n, kept) for n, (role, kept) in enumerate(READERS)]
        processes = [*reading, *(start("write", n) for n in range(workload.writers))]
        try:
            while None in (codes := [process.poll() for process in processes]) and not any(codes):
                assert check_index(url, NAME).findings == (), f"beside writers, after {progress.done}"
                time.sleep(0.1)
        finally:
            for process in processes:
                process.kill()
            said = [process.communicate() for process in processes]
        for (_, errors), code in zip(said, codes, strict=True):
            assert not code, errors[-4000:]
    for out, _ in said[: len(reading)]:
        report = Read(**json.loads(out))
        assert report.searches >= workload.steps // PACE
        assert report.moves >= 5, "a reader must have seen them write"
    wrote = [json.loads(out) for out, _ in said[len(reading) :]]
    return sum(one["splits"] for one in wrote), sum(one["merges"] for one in wrote)


def _create(url: str, workload: Workload) -> Index:
    return Index.create(url, NAME, LAYOUT, shards=workload.shards, bucket_items=workload.bucket_items)


def owners(workload: Workload) -> list[Owner]:
    return [Owner(workload, writer) for writer in range(workload.writers)]


def settled(url: str, workload: Workload, state: State) -> None:
    """That the index holds these items and answers as the reference does, for a reader that keeps buckets, too."""
    assert check_index(url, NAME).findings == ()
    twin, buckets = settled_twin(state), stored_buckets(url, NAME)
    for cache_bytes in (COLD, TIGHT, ROOMY):
        with Index.open(url, NAME, cache_bytes=cache_bytes or None) as index:
            require_same_answers(index, twin, buckets, workload)


def require_serial(url: str, workload: Workload) -> None:
    """That the index ends as some order of all writes leaves it, each whole in each shard, each writer's in its order.

    Of every item, one write was the last, and so came after every other writer's last one of that item. All this must
    fit one order.
    """
    churn(url, workload)
    with Index.open(url, NAME) as index:
        hit = index.search(random_codes(1, LAYOUT), 1000, exact=True, payloads=True)[0]
    rivals = Rivals(workload)
    home = home_shards(sorted(rivals.items(), key=str), workload.shards)
    stamps: dict[str | int, Any] = dict(zip(hit.ids, hit.payloads or (), strict=True))
    order: graphlib.TopologicalSorter[tuple[int, int, int]] = graphlib.TopologicalSorter()
    parts = [(step, shard) for step in range(workload.steps) for shard in range(workload.shards)]
    for writer in range(workload.writers):
        for before, after in itertools.pairwise(parts):
            order.add((writer, *after), (writer, *before))
    state: State = {}
    for item in rivals.items():
        last = [rivals.last(writer, item) for writer in range(workload.writers)]
        if item not in stamps:
            assert any(row is None for _, row in last), (item, "is absent", last)
            continue
        writer, shard = stamps[item]["by"], home[item]
        step, row = last[writer]
        assert step == stamps[item]["step"], (item, stamps[item], "was followed by a write of the same writer")
        assert row is not None, (item, stamps[item])
        state[item] = row
        for other, (before, _) in enumerate(last):
            if other != writer and before >= 0:
                order.add((writer, step, shard), (other, before, shard))
    order.prepare()  # raises where these come in a circle
    settled(url, workload, state)
