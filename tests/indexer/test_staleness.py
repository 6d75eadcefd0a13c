"""A searcher that may be stale for some time asks Redis nothing within it, and never more than that behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import IndexMissing, InvalidInput
from hashgrain.indexer import Index, drop_index
from hashgrain.indexer.keeping import kept_names
from hashgrain.indexer.keeping.tracking import Question, Tracking
from random_codes import random_codes

LAYOUT = CodeLayout(12, 64)
QUERIES = random_codes(5, LAYOUT, 9, flips=0.2, logits=True)
LONG = 600.0


@pytest.fixture(params=[(1, int), (1, str), (3, int), (3, str)])
def index(redis_url: str, request: pytest.FixtureRequest) -> Iterator[Index]:
    """Ids that are strings have names to be looked up."""
    shards, kind = request.param
    with Index.create(redis_url, "x", LAYOUT, shards=shards) as created:
        ids = [kind(n) for n in range(300)]
        created.add(ids, random_codes(300, LAYOUT, flips=0.2), [{"id": one} for one in ids])
        yield created


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every command that goes over a tracked connection after it was opened."""
    commands: list[Any] = []
    ask, ping = Tracking.ask, Tracking.ping

    def noted(self: Tracking, asked: Any, take: Callable[[Any], object]) -> None:
        commands.extend(asked)
        ask(self, asked, take)

    def pinged(self: Tracking) -> Question:
        commands.append(["PING"])
        return ping(self)

    monkeypatch.setattr(Tracking, "ask", noted)
    monkeypatch.setattr(Tracking, "ping", pinged)
    return commands


def answers(index: Index, **asked: Any) -> list[tuple[list[Any], list[int]]]:
    return [(hit.ids, hit.distances.tolist()) for hit in index.search(QUERIES, 8, **asked)]


def test_a_search_that_finds_all_it_needs_kept_asks_nothing(index: Index, redis_url: str, sent: list[Any]) -> None:
    with Index.open(redis_url, "x", cache_bytes=1 << 20, max_staleness=LONG) as hot:
        first = answers(hot, candidates=60)
        assert sent
        sent.clear()
        assert answers(hot, candidates=60) == first == answers(index, candidates=60)
        assert sent == []
        sent.clear()
        assert hot.search(QUERIES, 8, candidates=60, payloads=True)[0].payloads == [{"id": one} for one in first[0][0]]
        assert sent, "payloads are not kept"


def test_a_search_that_may_not_be_stale_asks_every_time(index: Index, redis_url: str, sent: list[Any]) -> None:
    with Index.open(redis_url, "x", cache_bytes=1 << 20) as hot:
        answers(hot, candidates=60)
        sent.clear()
        answers(hot, candidates=60)
        assert sent == [["PING"]], "buckets and names are kept"


def test_what_was_told_counts_though_nothing_is_asked(index: Index, redis_url: str, sent: list[Any]) -> None:
    with Index.open(redis_url, "x", cache_bytes=1 << 20, max_staleness=LONG) as hot:
        before = answers(hot, exact=True)
        gone = before[0][0][0]
        index.delete([gone])
        until = time.monotonic() + 10
        while time.monotonic() < until and any(gone in ids for ids, _ in answers(hot, exact=True)):
            time.sleep(0.001)
        assert answers(hot, exact=True) == answers(index, exact=True) != before


def test_a_search_is_no_further_behind_than_it_may_be(
    index: Index, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if what Redis tells were late: it is read only together with an answer.
    monkeypatch.setattr(Tracking, "drain", Tracking.open)
    with Index.open(redis_url, "x", cache_bytes=1 << 20, max_staleness=0.5) as hot:
        for step in range(3):
            before = answers(hot, exact=True)
            assert answers(hot, exact=True) == before
            index.add([f"new {step}"], QUERIES[:1])
            written = time.monotonic()
            while f"new {step}" not in answers(hot, exact=True)[0][0]:
                assert time.monotonic() - written < 5, "the searcher never asked again"
            # A search that began half a second after the write must see it; the ones before may.
            time.sleep(max(0.0, 0.5 - (time.monotonic() - written)))
            assert answers(hot, exact=True) == answers(index, exact=True)


def test_a_search_beyond_the_bound_sees_the_write(
    index: Index, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tracking, "drain", Tracking.open)
    with Index.open(redis_url, "x", cache_bytes=1 << 20, max_staleness=0.2) as hot:
        answers(hot, exact=True)
        index.add(["new"], QUERIES[:1])
        time.sleep(0.2)
        assert "new" in answers(hot, exact=True)[0][0]


def test_another_index_of_the_same_name_is_never_answered_by_old_names(index: Index, redis_url: str) -> None:
    with Index.open(redis_url, "x", cache_bytes=1 << 20, max_staleness=0.05) as hot:
        answers(hot, exact=True)
        drop_index(redis_url, "x")
        with Index.create(redis_url, "x", LAYOUT) as anew:
            anew.add([f"other {n}" for n in range(300)], random_codes(300, LAYOUT, flips=0.2))
            time.sleep(0.05)
            with pytest.raises(IndexMissing, match="was dropped since it was opened"):
                answers(hot, exact=True)


@pytest.mark.parametrize(("cache_bytes", "most"), [(1 << 20, 50), (30 << 10, 30)])
def test_names_are_bounded(redis_url: str, cache_bytes: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a number, and by the size of what is kept of buckets; more than that at once are not kept."""
    monkeypatch.setattr(kept_names, "MOST_NAMES", 50)
    with (
        Index.create(redis_url, "x", LAYOUT) as index,
        Index.open(redis_url, "x", cache_bytes=cache_bytes, max_staleness=LONG) as hot,
    ):
        index.add(map(str, range(300)), random_codes(300, LAYOUT, flips=0.2))
        held = set()
        for k in (8, 40, 8, 100):
            wanted = index.search(QUERIES[:2], k, exact=True)
            assert [hit.ids for hit in hot.search(QUERIES[:2], k, exact=True)] == [hit.ids for hit in wanted]
            held.add(len(hot._meant.now.hot._names))  # type: ignore[union-attr]
        assert max(held) <= most
        assert held != {0}


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), True, "1s"])
def test_what_is_no_length_of_time_is_refused(redis_url: str, seconds: Any) -> None:
    with pytest.raises(InvalidInput, match=f"max_staleness must be a number of seconds, 0 or more, got {seconds!r}"):
        Index.create(redis_url, "x", LAYOUT, cache_bytes=1 << 20, max_staleness=seconds)


def test_staleness_without_a_cache_is_refused(redis_url: str) -> None:
    with pytest.raises(InvalidInput, match="give cache_bytes, or leave it out"):
        Index.open(redis_url, "x", max_staleness=0.1)
    assert redis.Redis.from_url(redis_url).keys() == []
