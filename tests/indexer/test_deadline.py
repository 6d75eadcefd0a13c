"""A search with a deadline on a real server that stops answering half-way."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import StoreUnavailable
from hashgrain.indexer import (
    Hit,
    Index,
    SearchRequest,
    Timeouts,
)
from hashgrain.indexer.searching import planning, search
from hashgrain.indexer.searching.fresh_reading import FreshReading
from hashgrain.indexer.wire.connection import Connection
from hashgrain.indexer.wire.deadline import Deadline
from process_state import suspend
from random_codes import random_codes

LAYOUT = CodeLayout(16, 64)
ITEMS = 500
QUERIES = random_codes(5, LAYOUT, 9, logits=True)
FAR_LONGER = 8.0
"""Seconds in which a search must be done that would otherwise wait for the server's 10."""


@pytest.fixture
def index(redis_url: str) -> Iterator[Index]:
    with Index.create(redis_url, "x", LAYOUT, bucket_items=8) as created:
        created.add([f"i{n}" for n in range(ITEMS)], random_codes(ITEMS, LAYOUT))
        created.search(QUERIES[:1])  # it knows the directory now
        yield created


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "FIRST_STEP", 20)
    monkeypatch.setattr(search, "GROUP", 2)


@contextmanager
def stopping_after(redis_url: str, answers: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stop the server's process when it has named the winners of so many readings; let it go on at the end."""
    process = int(redis.Redis.from_url(redis_url).info("server")["process_id"])
    names, left = FreshReading.names, [answers]

    def then_stop(self: FreshReading, *arguments: Any) -> Any:
        found = names(self, *arguments)
        left[0] -= 1
        if left[0] == 0:
            suspend(process)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(FreshReading, "names", then_stop)
        if not answers:
            suspend(process)
        try:
            yield
        finally:
            os.kill(process, signal.SIGCONT)


def found(hit: Hit) -> tuple[Any, ...]:
    return hit.ids, hit.distances.tolist(), hit.candidates, hit.buckets, hit.complete_radius, hit.exact


@pytest.mark.usefixtures("small_steps")
def test_the_best_so_far_comes_back_marked_when_the_server_stops(
    index: Index, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = SearchRequest(4, exact=True, deadline=0.3)
    reach = planning.reach_of(0, ITEMS, index.stats().buckets, request)
    begun = time.monotonic()
    with stopping_after(redis_url, 1, monkeypatch):
        hits = index.search(QUERIES[:2], 4, exact=True, deadline=0.3)
    assert time.monotonic() - begun < FAR_LONGER
    wanted = index.search(QUERIES[:2], 4, probes=reach)
    assert [hit.partial for hit in hits] == [True, True]
    assert list(map(found, hits)) == list(map(found, wanted))
    assert 0 < hits[0].candidates < ITEMS


@pytest.mark.usefixtures("small_steps")
def test_each_step_betters_the_answer(index: Index, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    for steps in (1, 2):
        with stopping_after(redis_url, steps, monkeypatch):
            read.append(index.search(QUERIES[:1], 4, exact=True, deadline=0.3)[0].buckets)
    assert read[1] == 4 * read[0]


@pytest.mark.usefixtures("small_steps")
def test_queries_that_were_not_begun_come_back_empty(
    index: Index, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stopping_after(redis_url, 1, monkeypatch):
        hits = index.search(QUERIES, 4, probes=3, payloads=True, deadline=0.3)
    wanted = index.search(QUERIES[:2], 4, probes=3)
    assert list(map(found, hits[:2])) == list(map(found, wanted))
    assert [hit.partial for hit in hits] == [False, False, True, True, True]
    assert hits[0].payloads == [None] * 4
    for hit in hits[2:]:
        assert found(hit) == ([], [], 0, 0, -1, False)
        assert hit.payloads == []


def test_nothing_read_at_all_is_an_error_that_names_the_deadline(
    index: Index, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = time.monotonic()
    with (
        stopping_after(redis_url, 0, monkeypatch),
        pytest.raises(StoreUnavailable, match=r"nothing could be read within the deadline of 0\.2 s; allow more"),
    ):
        index.search(QUERIES, deadline=0.2)
    assert time.monotonic() - begun < FAR_LONGER


def test_a_late_answer_is_not_taken_for_the_next_one(
    index: Index, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = list(map(found, index.search(QUERIES, 3)))
    with stopping_after(redis_url, 0, monkeypatch), pytest.raises(StoreUnavailable):
        index.search(QUERIES[1:2], 7, deadline=0.1)
    assert list(map(found, index.search(QUERIES, 3))) == wanted
    assert list(map(found, index.search(QUERIES, 3, deadline=60))) == wanted


def test_a_deadline_that_is_far_away_does_not_lengthen_the_timeouts(
    index: Index, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Index.open(redis_url, "x", timeouts=Timeouts(read=0.2)) as hasty:
        begun = time.monotonic()
        with (
            stopping_after(redis_url, 0, monkeypatch),
            pytest.raises(StoreUnavailable, match="gave no answer in time"),
        ):
            hasty.search(QUERIES, deadline=60)
        assert time.monotonic() - begun < FAR_LONGER


def test_an_empty_index_is_not_late(redis_url: str) -> None:
    with Index.create(redis_url, "empty", LAYOUT) as empty:
        hit = empty.search(QUERIES[:1], deadline=60)[0]
    assert (hit.ids, hit.exact, hit.partial) == ([], True, False)


def test_the_deadline_of_one_search_does_not_outlive_it(redis_url: str) -> None:
    """It is also what keeps writes, which have no deadline, from being given up half-way."""
    connection = Connection.to(redis_url)
    with pytest.raises(redis.TimeoutError, match="deadline of the search passed"), Deadline(1e-9).enforced():
        connection.client.blpop(["nothing"], timeout=5)
    assert connection.client.ping()
    connection.close()


def test_a_deadline_passes_after_its_seconds_and_none_never() -> None:
    assert not Deadline(None).passed
    assert not Deadline(3600).passed
    short = Deadline(0.001)
    time.sleep(0.002)
    assert short.passed


@pytest.mark.parametrize("url", ["redis://h", "rediss://h", "unix:///tmp/x.sock"])
def test_every_kind_of_connection_keeps_deadlines(url: str) -> None:
    assert Connection.to(url).client.connection_pool.connection_class.__name__.startswith("Punctual")
