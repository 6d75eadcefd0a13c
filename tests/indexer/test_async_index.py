"""An index that is awaited gives every task its own answer, that of the index itself, whatever others do beside it."""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, get_type_hints

import pytest
import redis

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import FingerprintMismatch, IndexMissing, InvalidInput, LayoutMismatch, StoreUnavailable
from hashgrain.indexer import AsyncIndex, Index, SearchOptions, SearchRequest, Timeouts
from plain_answers import as_plain
from process_state import suspend
from random_codes import random_codes

LAYOUT = CodeLayout(16, 64)
ITEMS = 600
TASKS = 1000
OPTIONS: list[SearchOptions] = [
    {"rank": "fine", "collapse": 12},
    {"candidates": 50},
    {"exact": True, "payloads": True},
    {"refine": 30, "rank": "coarse"},
    {"deadline": 30.0},
]

Work = Callable[[AsyncIndex], Coroutine[Any, Any, None]]


@pytest.fixture
def index(redis_url: str) -> Iterator[Index]:
    with Index.create(redis_url, "x", LAYOUT, bucket_items=16, fingerprint="f") as created:
        ids: list[str | int] = [f"i{n}" if n % 2 else n for n in range(ITEMS)]
        created.add(ids, random_codes(ITEMS, LAYOUT, flips=0.3), [{"n": n} for n in range(ITEMS)])
        yield created


def awaited(url: str, work: Work, **settings: Any) -> None:
    async def run() -> None:
        async with await AsyncIndex.open(url, "x", **settings) as index:
            await work(index)

    asyncio.run(run())


@pytest.mark.parametrize("settings", [{}, {"cache_bytes": 1 << 20}, {"threads": 1}])
def test_a_thousand_searches_at_once_are_answered_as_one_by_one(
    redis_url: str, index: Index, settings: dict[str, Any]
) -> None:
    queries = random_codes(TASKS, LAYOUT, 1, flips=0.3, logits=True)
    few = TASKS // len(OPTIONS)
    expected = [
        as_plain(hit)
        for n, options in enumerate(OPTIONS)
        for hit in index.search(queries[n * few : (n + 1) * few], 5, **options)
    ]

    async def work(index: AsyncIndex) -> None:
        asked = [index.search(queries[n : n + 1], 5, **OPTIONS[n // few]) for n in range(TASKS)]
        random.Random(3).shuffle(order := list(range(TASKS)))
        found = dict(zip(order, await asyncio.gather(*(asked[n] for n in order)), strict=True))
        assert [as_plain(found[n][0]) for n in range(TASKS)] == expected
        most = 2 * settings.get("threads", 4) + 2  # the tracked connection, and the fixture's own
        assert len(redis.Redis.from_url(redis_url).client_list()) <= most + 2

    awaited(redis_url, work, **settings)


def test_who_is_cancelled_disturbs_nobody(redis_url: str, index: Index) -> None:
    queries = random_codes(300, LAYOUT, 2, flips=0.3)
    expected = [as_plain(hit) for hit in index.search(queries, 5)]
    rng = random.Random(4)

    async def work(index: AsyncIndex) -> None:
        tasks = [asyncio.create_task(index.search(queries[n : n + 1], 5)) for n in range(len(queries))]
        for task in rng.sample(tasks, 150):
            await asyncio.sleep(rng.random() * 0.0005)
            task.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        answered = [n for n, hits in enumerate(found) if isinstance(hits, list)]
        assert len(answered) >= 150
        assert all(isinstance(hits, list | asyncio.CancelledError) for hits in found)
        for n in answered:
            assert as_plain(found[n][0]) == expected[n]  # type: ignore[index]

    awaited(redis_url, work, threads=2)


def test_a_search_that_cannot_be_answered_fails_alone(redis_url: str, index: Index) -> None:
    good, other = random_codes(1, LAYOUT, 5), random_codes(1, CodeLayout(16, 128), 5)

    async def work(index: AsyncIndex) -> None:
        found = await asyncio.gather(
            index.search(good),
            index.search(other),
            index.search(good, 0),
            index.search(good, refine=20),
            index.search(good, fingerprint="another"),
            index.search(good, fingerprint="f"),
            return_exceptions=True,
        )
        kinds = [list, LayoutMismatch, InvalidInput, InvalidInput, FingerprintMismatch, list]
        assert [type(one) for one in found] == kinds

    awaited(redis_url, work)


def test_a_write_is_seen_by_every_search_that_begins_after_it(redis_url: str, index: Index) -> None:
    async def work(index: AsyncIndex) -> None:
        async def write_and_find(n: int) -> None:
            code = random_codes(1, LAYOUT, 100 + n, flips=0.5)
            assert (await index.add([f"new{n}"], code)).added == 1
            assert f"new{n}" in (await index.search(code, 3, exact=True))[0].ids
            assert await index.delete([f"new{n}"]) == 1
            assert f"new{n}" not in (await index.search(code, 3, exact=True))[0].ids

        await asyncio.gather(*map(write_and_find, range(100)))
        assert await index.count() == ITEMS == (await index.stats()).items

    awaited(redis_url, work, cache_bytes=1 << 20)


def test_a_deadline_holds_while_the_server_is_silent_and_whoever_waits_for_a_turn(redis_url: str, index: Index) -> None:
    process = int(redis.Redis.from_url(redis_url).info("server")["process_id"])
    queries = random_codes(8, LAYOUT, 6)

    async def work(index: AsyncIndex) -> None:
        await index.search(queries)
        suspend(process)
        try:
            asked = [index.search(queries[n : n + 1], deadline=0.3) for n in range(8)]
            found = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 10)
            assert all(isinstance(one, StoreUnavailable) for one in found)
            assert sum("had its turn" in str(one) for one in found) >= 4, "two threads, each with one at a time"
        finally:
            os.kill(process, signal.SIGCONT)
        assert len(await index.search(queries)) == 8, "and then all goes on"

    awaited(redis_url, work, threads=2, timeouts=Timeouts(read=20))


def test_an_index_that_was_dropped_is_an_error_for_everybody(redis_url: str, index: Index) -> None:
    async def work(index: AsyncIndex) -> None:
        await index.drop()
        found = await asyncio.gather(
            *(index.search(random_codes(1, LAYOUT)) for _ in range(20)), return_exceptions=True
        )
        assert {type(one) for one in found} == {IndexMissing}

    awaited(redis_url, work)


def test_it_is_of_no_use_in_another_loop_or_once_closed(redis_url: str, index: Index) -> None:
    kept = []

    async def work(index: AsyncIndex) -> None:
        kept.append(index)

    awaited(redis_url, work)
    with pytest.raises(InvalidInput, match="event loop"):
        asyncio.run(kept[0].count())

    async def late(index: AsyncIndex) -> None:
        await index.close()
        for call in (index.search(random_codes(1, LAYOUT)), index.count()):
            with pytest.raises(InvalidInput, match="closed"):
                await call

    awaited(redis_url, late)


@pytest.mark.parametrize("threads", [0, True, 1.5])
def test_the_number_of_threads_is_checked(redis_url: str, index: Index, threads: Any) -> None:
    with pytest.raises(InvalidInput, match="threads"):
        awaited(redis_url, AsyncIndex.stats, threads=threads)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["add", "load", "delete", "stats", "drop"])
def test_what_it_takes_is_what_the_index_takes(method: str) -> None:
    ours, its = (list(inspect.signature(getattr(kind, method)).parameters.values()) for kind in (AsyncIndex, Index))
    assert ours == its


def test_options_are_those_of_a_request() -> None:
    asked = set(inspect.signature(Index.search).parameters) - {"self", "codes", "k", "fingerprint"}
    assert set(get_type_hints(SearchOptions)) == asked == set(get_type_hints(SearchRequest)) - {"k"}


def test_items_are_read_listed_and_given_other_payloads_as_by_an_index(redis_url: str, index: Index) -> None:
    async def work(other: AsyncIndex) -> None:
        got, same = await other.get([2, "i3", "nobody"]), index.get([2, "i3", "nobody"])
        assert (got.ids, got.payloads) == (same.ids, same.payloads) == ([2, "i3"], [{"n": 2}, {"n": 3}])
        page = await other.ids(100)
        assert (page.ids, page.cursor) == (index.ids(100).ids, index.ids(100).cursor)
        assert sorted([id_ async for part in other.items() for id_ in part.ids], key=str) == sorted(
            [id_ for part in index.items() for id_ in part.ids], key=str
        )
        groups = [(group.ids, group.distances.tolist()) async for group in other.duplicates(18)]
        assert groups == [(group.ids, group.distances.tolist()) for group in index.duplicates(18)] != []
        pairs = {pair async for some in other.duplicate_pairs(18) for pair in zip(some.one, some.other, strict=True)}
        assert pairs == {pair for some in index.duplicate_pairs(18) for pair in zip(some.one, some.other, strict=True)}
        assert await other.set_payloads([2, "nobody"], [{"n": -2}, None]) == ["nobody"]
        assert index.get([2]).payloads == [{"n": -2}]
        assert (await other.health(queries=3)).items == ITEMS
        assert other.fields == {}

    awaited(redis_url, work)


def test_it_has_every_method_of_an_index_but_those_of_other_programs() -> None:
    """What a page says that both have, both have."""
    apart = {"create", "answer", "require_queries", "require_fingerprint", "add_stored", "load_stored"}
    here = {"shards", "incarnation"} | apart
    assert {name for name in vars(Index) if not name.startswith("_")} - here <= set(vars(AsyncIndex))
