"""A searcher that keeps buckets answers as one that does not, and reads no more than it must.

Where a test says `hot_alone`, answers come of kept buckets or not at all: a mistake there cannot hide behind the
reading of everything that a search falls back to.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from durable_server import DurableServer
from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import IndexCorrupt, IndexMissing, StoreUnavailable
from hashgrain.indexer import Hit, Index, check_index
from hashgrain.indexer.keeping import hot_buckets, tending
from hashgrain.indexer.searching import patience
from hashgrain.indexer.searching import search as search_module
from hashgrain.indexer.searching.fresh_reading import FreshReading
from plain_answers import as_plain
from random_codes import random_codes

LAYOUT = CodeLayout(12, 64)
ITEMS = 400
BUCKET = 16
QUERIES = random_codes(5, LAYOUT, 9, flips=0.2, logits=True)
PLENTY = 1 << 20


@pytest.fixture
def hot_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> Any:
        raise AssertionError("a search went past the buckets that are kept")

    monkeypatch.setattr(patience, "MOST_SKIPPED", 0)
    monkeypatch.setattr(FreshReading, "of", refuse)


@pytest.fixture(params=[1, 3])
def index(redis_url: str, request: pytest.FixtureRequest) -> Iterator[Index]:
    """The writer, and the reader that keeps nothing."""
    with Index.create(redis_url, "x", LAYOUT, shards=request.param, bucket_items=BUCKET) as created:
        created.add(range(ITEMS), random_codes(ITEMS, LAYOUT, flips=0.2), [{"n": n} for n in range(ITEMS)])
        yield created


@pytest.fixture
def keeping(redis_url: str, index: Index) -> Iterator[Index]:
    with Index.open(redis_url, "x", cache_bytes=PLENTY) as opened:
        yield opened


def plain(hits: list[Hit]) -> list[dict[str, Any]]:
    return [as_plain(hit) for hit in hits]


def bucket_keys(client: redis.Redis) -> list[bytes]:
    return sorted(key for key in client.scan_iter() if b":b:" in key)


def noted(keeping: Index, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the commands that it sends from now on, over the connection on which changes are told."""
    sent: list[str] = []
    tracking = keeping._meant.now.hot._tracking  # type: ignore[union-attr]
    ask, ping = tracking.ask, tracking.ping

    def asked(commands: Any, take: Any) -> None:
        sent.extend(command[0] for command in commands)
        ask(commands, take)

    def pinged() -> Any:
        sent.append("PING")
        return ping()

    monkeypatch.setattr(tracking, "ask", asked)
    monkeypatch.setattr(tracking, "ping", pinged)
    return sent


def halted(process: int, writing: threading.Thread) -> None:
    """Halt the server for a moment; what is written waits for it, in front of what is asked next."""
    os.kill(process, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (process, signal.SIGCONT)).start()
    writing.start()
    time.sleep(0.1)


@pytest.mark.usefixtures("hot_alone")
@pytest.mark.parametrize("asked", [{"candidates": 60}, {"probes": 4}, {"radius": 3}, {"within": 25}, {"exact": True}])
@pytest.mark.parametrize("payloads", [False, True])
def test_the_second_search_reads_nothing_but_payloads(
    keeping: Index, asked: dict[str, Any], payloads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = keeping.search(QUERIES, 8, payloads=payloads, refine=12, **asked)
    before = keeping.cache_stats()
    assert before is not None
    sent = noted(keeping, monkeypatch)
    monkeypatch.setattr(keeping._connection.client, "execute_command", None)
    assert plain(keeping.search(QUERIES, 8, payloads=payloads, refine=12, **asked)) == plain(first)
    after = keeping.cache_stats()
    assert after is not None
    assert (after.misses, after.drops, after.bytes) == (before.misses, before.drops, before.bytes)
    assert after.hits > before.hits
    assert sent[0] == sent[-1] == "PING"
    assert set(sent[1:-1]) == ({"HMGET"} if payloads else set())


@pytest.mark.usefixtures("hot_alone")
def test_names_are_looked_up_once(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Index.create(redis_url, "x", LAYOUT, shards=3, bucket_items=BUCKET, cache_bytes=PLENTY) as keeping:
        keeping.add([f"item {n}" for n in range(ITEMS)], random_codes(ITEMS, LAYOUT, flips=0.2))
        first = keeping.search(QUERIES, 8)
        sent = noted(keeping, monkeypatch)
        assert plain(keeping.search(QUERIES, 8)) == plain(first)
        assert sent == ["PING"]
        keeping.search(QUERIES, 9)
        assert sent[1] == "PING"
        assert sent[2:] == ["HMGET"] * len(sent[2:]) != []


def test_answers_are_those_of_a_searcher_that_keeps_nothing(index: Index, keeping: Index) -> None:
    for _ in range(2):
        for asked in ({"candidates": 60}, {"exact": True}, {"radius": 2}, {"exact": True, "rank": "fine"}):
            wanted = plain(index.search(QUERIES, 8, payloads=True, **asked))  # type: ignore[arg-type]
            assert plain(keeping.search(QUERIES, 8, payloads=True, **asked)) == wanted  # type: ignore[arg-type]


@pytest.mark.usefixtures("hot_alone")
def test_ids_of_all_kinds_are_kept_side_by_side(redis_url: str) -> None:
    """Small integers, integers whose handles take 8 bytes, and strings, whose names move to more and more pages."""
    with (
        Index.create(redis_url, "x", LAYOUT, shards=3, bucket_items=BUCKET) as index,
        Index.open(redis_url, "x", cache_bytes=PLENTY) as keeping,
    ):
        rng, alive = np.random.default_rng(0), set()
        for step in range(20):
            ids: list[Any] = rng.integers(0, 1000, 20).tolist()
            ids += (ids[0] - 2000, (1 << 32) + ids[1], 0xFFFF_FFFF, -(1 << 61), (1 << 61) + 3) if step % 2 else ()
            ids += [f"item {n}" for n in rng.integers(0, 1000, 30)]
            index.add(ids, random_codes(len(ids), LAYOUT, step, flips=0.2))
            alive |= set(ids)
            hit = keeping.search(QUERIES[:1], 2000, exact=True)[0]
            assert set(hit.ids) == alive
            assert len(hit.ids) == len(alive)
            assert keeping.search(QUERIES[:1], 5)[0].ids == hit.ids[:5]


@pytest.mark.usefixtures("hot_alone")
def test_an_acknowledged_write_is_seen_by_the_next_search_of_kept_buckets(index: Index, keeping: Index) -> None:
    """Writes that change no partition, that widen a radius, that split a bucket, and that empty one."""
    rng = np.random.default_rng(0)
    alive = set(range(ITEMS))
    for step in range(150):
        some = rng.choice(ITEMS, rng.integers(1, 20), replace=False).tolist()
        if step % 3 == 2:
            index.delete(some)
            alive -= set(some)
        else:
            index.add(some, random_codes(len(some), LAYOUT, step, flips=0.2))
            alive |= set(some)
        hit = keeping.search(QUERIES[:1], ITEMS, exact=True)[0]
        assert set(hit.ids) == alive
        assert hit.candidates == len(alive)
    stats = keeping.cache_stats()
    assert stats is not None
    assert stats.drops > 0
    assert stats.hits > stats.misses


def test_a_collection_that_was_loaded_at_once_is_seen(redis_url: str) -> None:
    with (
        Index.create(redis_url, "x", LAYOUT, bucket_items=BUCKET) as index,
        Index.open(redis_url, "x", cache_bytes=PLENTY) as keeping,
    ):
        assert keeping.search(QUERIES[:1], exact=True)[0].ids == []
        index.load(np.arange(ITEMS), random_codes(ITEMS, LAYOUT, flips=0.2))
        assert set(keeping.search(QUERIES[:1], ITEMS, exact=True)[0].ids) == set(range(ITEMS))


@pytest.mark.usefixtures("hot_alone")
def test_what_this_object_writes_itself_is_seen_too(keeping: Index) -> None:
    for number in range(40):
        keeping.add([number], random_codes(1, LAYOUT, number), [{"new": number}])
        hit = keeping.search(random_codes(1, LAYOUT, number), 1, rank="fine", exact=True, payloads=True)[0]
        assert hit.payloads == [{"new": number}]
        keeping.delete([number])
        assert number not in keeping.search(QUERIES[:1], ITEMS, exact=True)[0].ids


@pytest.mark.parametrize("size", [1, 700, 3000])
def test_a_small_cache_keeps_to_its_size(redis_url: str, index: Index, size: int) -> None:
    tables = 28 * index.stats().buckets  # the places of the buckets are never given up
    with Index.open(redis_url, "x", cache_bytes=size) as keeping:
        for _ in range(3):
            for query in QUERIES:
                for asked in ({"probes": 6}, {"exact": True}):
                    assert plain(keeping.search(query, 8, **asked)) == plain(index.search(query, 8, **asked))  # type: ignore[arg-type]
                    stats = keeping.cache_stats()
                    assert stats is not None
                    assert stats.bytes <= max(size, tables)
        assert stats.evictions > 0


def test_kept_buckets_take_little_more_than_in_redis(redis_url: str) -> None:
    codes = random_codes(20_000, LAYOUT, flips=0.3)
    with Index.create(redis_url, "big", LAYOUT, cache_bytes=1 << 30) as keeping:
        keeping.add(range(20_000), codes)
        keeping.search(QUERIES, candidates=9)  # the first piece, so that arrays grow by many
        for query in random_codes(30, LAYOUT, 1, flips=0.3):
            keeping.search(query, candidates=2000)
        keeping.search(QUERIES, exact=True)
        stats = keeping.cache_stats()
        assert stats is not None
        client = redis.Redis.from_url(redis_url)
        assert stats.bytes <= 1.2 * sum(client.strlen(key) for key in bucket_keys(client))


@pytest.mark.usefixtures("hot_alone")
def test_a_killed_connection_loses_the_cache_and_no_write(index: Index, keeping: Index, redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    for step in range(20):
        keeping.search(QUERIES, exact=True)
        if step % 2:
            client.client_kill_filter(_type="normal", skipme=True)
        index.delete([step])
        if not step % 2:
            client.client_kill_filter(_type="normal", skipme=True)
        assert keeping.search(QUERIES[:1], ITEMS, exact=True)[0].candidates == ITEMS - step - 1
    stats = keeping.cache_stats()
    assert stats is not None
    assert stats.drops >= 20 * 10


def test_a_connection_killed_between_ranking_and_payloads_is_made_anew(
    keeping: Index, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = redis.Redis.from_url(redis_url)
    wanted = plain(keeping.search(QUERIES, 5, payloads=True))
    kills = []
    rank = search_module.Selection.of

    def killing(*arguments: Any, **named: Any) -> Any:
        if len(kills) < 2:
            kills.append(client.client_kill_filter(_type="normal", skipme=True))
        return rank(*arguments, **named)

    monkeypatch.setattr(search_module.Selection, "of", killing)
    assert plain(keeping.search(QUERIES, 5, payloads=True)) == wanted
    assert len(kills) == 2


@pytest.mark.usefixtures("hot_alone")
@pytest.mark.parametrize("killing", ["", "before it asks", "while it ranks", "while it ranks, and noticed"])
@pytest.mark.parametrize("asked", [{"exact": True, "rank": "fine"}, {"within": 0}])
@pytest.mark.parametrize("splitting", [False, True])
def test_a_search_that_is_told_of_a_write_only_while_it_goes_on_begins_afresh(
    index: Index,
    keeping: Index,
    redis_url: str,
    splitting: bool,
    asked: dict[str, Any],
    killing: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No winner vanishes by the write (or there is none), so that only what is told of buckets can give it away.

    The write goes into a bucket, or has one split in two; what is told of it may be lost with the connection.
    """
    client = redis.Redis.from_url(redis_url)
    count = 2 * BUCKET if splitting else 1
    query = random_codes(1, LAYOUT, 77)
    index.delete(keeping.search(query, 40, exact=True)[0].ids)  # so that there is room near it
    keeping.search(QUERIES, exact=True)
    before = keeping.search(query, 3, **asked)[0]
    buckets = index.stats().buckets
    tracking = keeping._meant.now.hot._tracking  # type: ignore[union-attr]
    drain, rank, written, ranked = tracking.drain, search_module.Selection.of, [], []

    def late() -> None:
        if written:
            return drain()
        written.append(index.add(["nearest"], query))
        index.add([f"near {n}" for n in range(1, count)], random_codes(count, LAYOUT, 78)[1:])
        if killing == "before it asks":
            client.client_kill_filter(_type="normal", skipme=True)

    def ranking(*arguments: Any, **named: Any) -> Any:
        ranked.append(1)
        if len(ranked) == 1 and "ranks" in killing:
            client.client_kill_filter(_type="normal", skipme=True)
            if "noticed" in killing:
                keeping._meant.now.hot.tend()  # type: ignore[union-attr]
        return rank(*arguments, **named)

    monkeypatch.setattr(tracking, "drain", late)
    monkeypatch.setattr(search_module.Selection, "of", ranking)
    hit = keeping.search(query, 3, **asked)[0]
    assert before.ids[:1] != ["nearest"] == hit.ids[:1]
    assert (index.stats().buckets > buckets) is splitting
    if "exact" in asked:
        assert hit.candidates == before.candidates + count
    assert len(ranked) == (1 if killing == "before it asks" else 2)


@pytest.mark.usefixtures("hot_alone")
def test_a_write_into_a_bucket_that_was_not_read_counts_where_it_should_have_been(
    index: Index, keeping: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An item so far from all that no bucket could hold it widens the radius of the one it goes into."""
    query = random_codes(1, LAYOUT, 5, flips=0.5)
    keeping.search(QUERIES, exact=True)
    assert keeping.search(query, within=0)[0].buckets == 0
    tracking = keeping._meant.now.hot._tracking  # type: ignore[union-attr]
    drain, written = tracking.drain, []

    def late() -> None:
        if written:
            return drain()
        written.append(index.add(["far"], query))

    monkeypatch.setattr(tracking, "drain", late)
    assert keeping.search(query, within=0)[0].ids == ["far"]


@pytest.mark.usefixtures("hot_alone")
def test_a_payload_is_that_of_the_code_even_if_both_change_in_the_same_turn_of_the_server(
    index: Index, keeping: Index, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is halted until the write and the question for payloads both wait for it, in this order."""
    process: int = redis.Redis.from_url(redis_url).info("server")["process_id"]  # type: ignore[index]
    codes = random_codes(2, LAYOUT, 77)
    for _ in range(2):  # the second time it knows the partition, so that its write is the first thing it asks
        index.add([0], codes[:1], [{"code": 0}])
    assert keeping.search(codes[:1], 1, payloads=True)[0].payloads == [{"code": 0}]
    tracking = keeping._meant.now.hot._tracking  # type: ignore[union-attr]
    ask, writing = tracking.ask, threading.Thread(target=index.add, args=([0], codes[1:], [{"code": 1}]))

    def behind_a_write(commands: Any, take: Any) -> None:
        if commands[0][0] == "HMGET" and writing.ident is None:
            halted(process, writing)
        ask(commands, take)

    monkeypatch.setattr(tracking, "ask", behind_a_write)
    hit = keeping.search(codes[:1], 1, payloads=True, exact=True)[0]
    assert (hit.ids == [0] and hit.distances.tolist() == [0]) is (hit.payloads == [{"code": 0}])
    writing.join()
    assert keeping.search(codes[1:], 1, payloads=True)[0].payloads == [{"code": 1}]


@pytest.mark.usefixtures("hot_alone")
@pytest.mark.parametrize("max_staleness", [0.0, 60.0])
def test_a_batch_is_seen_whole_even_if_a_part_of_it_is_read_in_the_turn_in_which_it_is_written(
    redis_url: str, max_staleness: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read shows it before it is told that a bucket which is kept has changed as well."""
    client = redis.Redis.from_url(redis_url)
    process: int = client.info("server")["process_id"]  # type: ignore[index]
    codes = random_codes(ITEMS, LAYOUT, flips=0.2)
    with (
        Index.create(redis_url, "x", LAYOUT, bucket_items=4 * BUCKET) as index,
        Index.open(redis_url, "x", cache_bytes=PLENTY, max_staleness=max_staleness) as keeping,
    ):
        index.add(range(ITEMS), codes)
        index.add([0], codes[:1])  # the writer knows the partition, so that its write is the first thing it asks
        keeping.search(codes[:1], probes=1)
        new, stamp = range(ITEMS, ITEMS + 10), client.get("hg:{x:0}:stamp")
        writing = threading.Thread(target=index.add, args=(new, codes[:10]))
        tracking = keeping._meant.now.hot._tracking  # type: ignore[union-attr]
        ask = tracking.ask

        def behind_a_write(commands: Any, take: Any) -> None:
            if commands[0][0] == "MGET" and writing.ident is None:
                halted(process, writing)
            ask(commands, take)

        monkeypatch.setattr(tracking, "ask", behind_a_write)
        found = set(keeping.search(codes[:1], 1000, exact=True)[0].ids)
        writing.join()
        assert found in (set(range(ITEMS)), set(range(ITEMS)) | set(new))
        assert client.get("hg:{x:0}:stamp") == stamp, "the directory must not tell of the write"


@pytest.mark.usefixtures("hot_alone")
def test_a_bucket_that_changes_while_others_are_still_read_is_not_kept(
    index: Index, keeping: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some buckets are read by one command each, and the server may serve writers between them."""
    monkeypatch.setattr(hot_buckets, "AT_ONCE", 10)
    monkeypatch.setattr(hot_buckets, "UNDER_WAY", 2)
    tracking = keeping._meant.now.hot._tracking  # type: ignore[union-attr]
    ask, number = tracking.ask, iter(range(1000, 1003))

    def one_by_one(commands: Any, take: Any) -> None:
        for command in commands:
            ask([command], take)
            if (item := next(number, None)) is not None:
                index.add([item], QUERIES[:1])

    monkeypatch.setattr(tracking, "ask", one_by_one)
    for _ in range(3):
        hit = keeping.search(QUERIES[:1], 3, exact=True)[0]
        assert sorted(hit.ids) == [1000, 1001, 1002]  # type: ignore[type-var]
        assert hit.candidates == ITEMS + 3


@pytest.mark.usefixtures("hot_alone")
@pytest.mark.parametrize("splitting", [False, True])
def test_a_kept_bucket_that_changes_while_others_are_read_is_read_too(
    redis_url: str, splitting: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch goes into two buckets, of which one is kept (and has it split, or not): both parts are seen."""
    codes = random_codes(ITEMS, LAYOUT, flips=0.2)
    with (
        Index.create(redis_url, "x", LAYOUT, bucket_items=BUCKET) as index,
        Index.open(redis_url, "x", cache_bytes=PLENTY) as keeping,
    ):
        index.add(range(ITEMS), codes)
        some = 4 * BUCKET if splitting else 2
        keeping.search(codes[:1], probes=1)
        tracking = keeping._meant.now.hot._tracking  # type: ignore[union-attr]
        ask, batches = tracking.ask, iter([range(ITEMS, ITEMS + some)])

        def after_a_write(commands: Any, take: Any) -> None:
            if batch := next(batches, None):
                index.add(batch, random_codes(some, LAYOUT, 1, flips=0.2))
                tracking.wait(tracking.ping())  # so that it is told before the answer
            ask(commands, take)

        monkeypatch.setattr(tracking, "ask", after_a_write)
        assert set(keeping.search(codes[:1], 1000, exact=True)[0].ids) == set(range(ITEMS + some))


@pytest.mark.usefixtures("hot_alone")
@pytest.mark.parametrize("touched", [False, True])
def test_a_partition_that_changed_is_read_before_anything_is_asked_for_it(
    index: Index, keeping: Index, redis_url: str, touched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stamp need not be asked for to know that; one that was only touched is found to be the same."""
    client = redis.Redis.from_url(redis_url)
    keeping.search(QUERIES[:1], exact=True)
    sent = noted(keeping, monkeypatch)
    if touched:
        for key in client.scan_iter("*stamp"):
            client.set(key, client.get(key) or b"")
    else:
        index.add(range(1000, 1000 + ITEMS), random_codes(ITEMS, LAYOUT, 3, flips=0.2))
    keeping._meant.now.hot.tend()  # type: ignore[union-attr]
    assert keeping.search(QUERIES[:1], exact=True)[0].candidates == ITEMS * (1 if touched else 2)
    assert set(sent[:-1]) == {"MGET"}
    assert len(sent) == 1 + index.stats().shards


def test_another_database_that_is_emptied_while_buckets_are_read_costs_a_reading_and_no_more(
    index: Index, keeping: Index, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis does not say which database was emptied, so all that is kept may be void, between two answers."""
    monkeypatch.setattr(patience, "MOST_SKIPPED", 0)
    monkeypatch.setattr(hot_buckets, "AT_ONCE", 10)
    client = redis.Redis.from_url(f"{redis_url}?db=5")
    tracking = keeping._meant.now.hot._tracking  # type: ignore[union-attr]
    ask, times = tracking.ask, []

    def one_by_one(commands: Any, take: Any) -> None:
        for command in commands:
            times.append(command)
            if len(times) == 2:
                client.flushdb()
            ask([command], take)

    monkeypatch.setattr(tracking, "ask", one_by_one)
    assert plain(keeping.search(QUERIES, 8, exact=True)) == plain(index.search(QUERIES, 8, exact=True))
    assert len(times) > 2 * index.stats().buckets // 10


def test_a_server_that_starts_again_is_read_anew(tmp_path: Path) -> None:
    server = DurableServer(tmp_path)
    server.start()
    try:
        codes = random_codes(50, LAYOUT)
        with (
            Index.create(server.url, "x", LAYOUT) as index,
            Index.open(server.url, "x", cache_bytes=PLENTY) as keeping,
        ):
            index.add(range(50), codes)
            for number in range(3):
                assert keeping.search(QUERIES[:1], 99, exact=True)[0].candidates == 50 - number
                server.kill()
                with pytest.raises(StoreUnavailable, match="no Redis at"):
                    keeping.search(QUERIES)
                server.start()
                index.delete([number])
            assert keeping.search(QUERIES[:1], 99, exact=True)[0].candidates == 47
    finally:
        server.kill()


def test_an_index_that_was_dropped_or_created_anew_is_told(redis_url: str, index: Index, keeping: Index) -> None:
    keeping.search(QUERIES, exact=True)
    index.drop()
    for anew in (False, True):
        if anew:
            with Index.create(redis_url, "x", LAYOUT) as other:
                other.add(range(ITEMS), random_codes(ITEMS, LAYOUT, flips=0.2))
        for asked in ({"exact": True}, {}):
            with pytest.raises(IndexMissing, match="was dropped since it was opened"):
                keeping.search(QUERIES, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("emptied", ["FLUSHALL", "FLUSHDB"])
def test_an_emptied_database_is_told(redis_url: str, keeping: Index, emptied: str) -> None:
    keeping.search(QUERIES, exact=True)
    redis.Redis.from_url(redis_url).execute_command(emptied)
    with pytest.raises(IndexMissing, match="was dropped since it was opened"):
        keeping.search(QUERIES, exact=True)


def test_what_a_repair_changes_is_seen(redis_url: str, index: Index, keeping: Index) -> None:
    client = redis.Redis.from_url(redis_url)
    wanted = plain(keeping.search(QUERIES, 7, exact=True))
    first, second = bucket_keys(client)[:2]
    client.append(first, client.getrange(second, 0, 13))  # a second record of an item
    assert plain(keeping.search(QUERIES, 7, exact=True)) != wanted
    check_index(redis_url, "x", repair=True)
    assert check_index(redis_url, "x").findings == ()
    assert plain(keeping.search(QUERIES, 7, exact=True)) == wanted


def test_a_damaged_or_missing_bucket_is_told_by_its_key(redis_url: str, keeping: Index) -> None:
    client = redis.Redis.from_url(redis_url)
    keeping.search(QUERIES, exact=True)
    broken, gone = bucket_keys(client)[:2]
    client.append(broken, b"\0")
    with pytest.raises(IndexCorrupt, match=rf"{broken.decode()} holds \d+ bytes, no multiple"):
        keeping.search(QUERIES, exact=True)
    client.set(broken, client.getrange(broken, 0, -2))
    client.delete(gone)
    with pytest.raises(IndexCorrupt, match=f"{gone.decode()} is missing"):
        keeping.search(QUERIES, exact=True)


def test_a_full_store_is_searched_and_emptied_with_kept_buckets(redis_url: str, index: Index, keeping: Index) -> None:
    client = redis.Redis.from_url(redis_url)
    keeping.search(QUERIES, exact=True)
    client.config_set("maxmemory", 1)
    try:
        for number in range(0, 100, 10):
            index.delete(range(number, number + 10))
            hit = keeping.search(QUERIES[:1], ITEMS, exact=True)[0]
            assert sorted(hit.ids) == list(range(number + 10, ITEMS))  # type: ignore[type-var]
    finally:
        client.config_set("maxmemory", 0)


@pytest.mark.filterwarnings("error")  # pytest's own words for a thread that raised
def test_threads_share_it_beside_a_writer(redis_url: str, index: Index, keeping: Index) -> None:
    """Each batch replaces the items of all, so one that is seen by half shows by its stamps."""
    shards = index.stats().shards
    index.delete(range(ITEMS))
    index.add(range(30), random_codes(30, LAYOUT), [{"batch": 0}] * 30)
    stop, wrong, searched = threading.Event(), [], []

    def read() -> None:
        last = -1
        while not stop.is_set():
            hit = keeping.search(QUERIES[:1], 30, exact=True, payloads=True)[0]
            stamps = {payload["batch"] for payload in hit.payloads or [] if payload}
            if len(hit.ids) != 30 or (shards == 1 and len(stamps) != 1) or min(stamps) < last:
                wrong.append(hit)
            last = min(stamps)
            searched.append(last)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number in range(1, 120):
            index.add(range(30), random_codes(30, LAYOUT, number, flips=0.2), [{"batch": number}] * 30)
            time.sleep(0.004)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not wrong
    assert len(set(searched)) > 3


def test_changes_are_taken_up_between_searches(redis_url: str, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or they would pile up in the server, for an index that is seldom searched and often written."""
    monkeypatch.setattr(tending, "TEND_S", 0.01)
    with Index.open(redis_url, "x", cache_bytes=PLENTY) as keeping:
        keeping.search(QUERIES, exact=True)
        index.delete(range(ITEMS))
        for _ in range(1000):
            stats = keeping.cache_stats()
            assert stats is not None
            if not stats.buckets:
                break
            time.sleep(0.01)
        assert stats.buckets == 0


def test_nothing_is_left_running_for_an_index_that_was_forgotten(
    redis_url: str, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tending, "TEND_S", 0.01)
    before = threading.active_count()
    forgotten = Index.open(redis_url, "x", cache_bytes=PLENTY)
    forgotten.search(QUERIES)
    closed = Index.open(redis_url, "x", cache_bytes=PLENTY)
    closed.search(QUERIES)
    assert threading.active_count() == before + 2
    closed.close()
    del forgotten
    gc.collect()
    for _ in range(1000):
        if threading.active_count() == before:
            break
        time.sleep(0.01)
    assert threading.active_count() == before


def test_a_closed_index_can_be_used_again(keeping: Index) -> None:
    wanted = plain(keeping.search(QUERIES, 5))
    keeping.close()
    stats = keeping.cache_stats()
    assert stats is not None
    assert stats.buckets == 0
    assert plain(keeping.search(QUERIES, 5)) == wanted


def test_a_child_process_does_not_share_the_connection(index: Index, keeping: Index) -> None:
    queries = [random_codes(1, LAYOUT, seed, flips=0.2) for seed in range(200)]
    wanted = [plain(index.search(query, 5)) for query in queries]
    keeping.search(QUERIES, 5)
    child = os.fork()
    if child == 0:
        try:
            right = [plain(keeping.search(query, 5)) for query in reversed(queries)] == wanted[::-1]
            os._exit(0 if right else 1)
        finally:
            os._exit(2)
    dropped = keeping.cache_stats()
    assert dropped is not None
    assert [plain(keeping.search(query, 5)) for query in queries] == wanted
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    after = keeping.cache_stats()
    assert after is not None
    assert after.drops == dropped.drops, "the connection must not have been lost"
