"""The next generation of an index is built beside the live one; a switch is seen by all at once, and never half."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
import redis

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import (
    FingerprintMismatch,
    IndexCorrupt,
    IndexExists,
    IndexMissing,
    InvalidInput,
    LayoutMismatch,
    StoreError,
)
from hashgrain.indexer import (
    Index,
    check_index,
    create_generation,
    drop_index,
    list_generations,
    list_indexes,
    roll_back,
    switch_generation,
    switching,
)
from hashgrain.indexer.managing import lifecycle
from hashgrain.indexer.wire.connection import Connection
from random_codes import random_codes

LAYOUT = CodeLayout(16, 64)
ITEMS = 60
QUERY = random_codes(1, LAYOUT, 5)
READERS: list[dict[str, Any]] = [{}, {"cache_bytes": 1 << 20}, {"cache_bytes": 1 << 20, "max_staleness": 0.001}]


def fill(index: Index, generation: int) -> None:
    """The same ids and codes in every generation; the payload says which it is."""
    index.add(list(range(ITEMS)), random_codes(ITEMS, LAYOUT), [{"generation": generation}] * ITEMS)


def seen(index: Index) -> int:
    """The generation that answers; all of the answer is of one."""
    hit = index.search(QUERY, ITEMS, exact=True, payloads=True)[0]
    found = {payload["generation"] for payload in hit.payloads or () if payload}
    assert len(found) == 1, "a mixture"
    assert len(hit) == ITEMS
    return int(found.pop())


@pytest.fixture(params=[1, 3])
def live(redis_url: str, request: pytest.FixtureRequest) -> Iterator[Index]:
    """Generation 0, filled, opened by its name alone; generation 1 has been made beside it, and filled."""
    with Index.create(redis_url, "x", LAYOUT, shards=request.param, bucket_items=8) as index:
        fill(index, 0)
        with create_generation(redis_url, "x", LAYOUT, shards=2, bucket_items=8) as following:
            fill(following, 1)
        yield index


@pytest.mark.parametrize("settings", READERS)
def test_whoever_has_it_open_goes_over_when_the_switch_returns_and_back(
    redis_url: str, live: Index, settings: dict[str, Any]
) -> None:
    with Index.open(redis_url, "x", **settings) as reader:
        assert seen(reader) == 0
        assert switch_generation(redis_url, "x").live == 1
        time.sleep(settings.get("max_staleness", 0))
        assert (seen(reader), len(reader), reader.stats().name) == (1, ITEMS, "x@1")
        back = roll_back(redis_url, "x")
        assert (back.live, back.past) == (0, (1,))
        time.sleep(settings.get("max_staleness", 0))
        assert seen(reader) == 0
        assert seen(live) == 0


def test_a_number_means_one_generation_for_good_and_a_past_one_is_only_read(redis_url: str, live: Index) -> None:
    with Index.open(redis_url, "x@0") as old, Index.open(redis_url, "x@1") as new:
        assert (seen(old), seen(new), seen(live)) == (0, 1, 0)
        old.delete([0])
        live.add([0], QUERY, [{"generation": 0}])
        switch_generation(redis_url, "x", 1)
        assert (seen(old), seen(new), len(old)) == (0, 1, ITEMS)
        for write in (lambda: old.add([0], QUERY), lambda: old.delete([0])):
            with pytest.raises(IndexMissing, match="'x' is a generation that is no longer live"):
                write()
        live.delete([0])
        assert (len(live), len(new), len(old)) == (ITEMS - 1, ITEMS - 1, ITEMS)
    with Index.open(redis_url, "x@0") as again:
        assert seen(again) == 0
    for name in ("x", "x@0", "x@1"):
        assert check_index(redis_url, name).findings == ()


def test_codes_of_the_wrong_model_are_refused_whoever_switches(redis_url: str) -> None:
    other = CodeLayout(16, 128)
    with Index.create(redis_url, "x", LAYOUT, fingerprint="a") as index, Index.open(redis_url, "x") as reader:
        fill(index, 0)
        for fingerprint, layout in (("b", LAYOUT), ("c", other)):
            with create_generation(redis_url, "x", layout, fingerprint=fingerprint) as following:
                with pytest.raises(FingerprintMismatch):
                    following.add([1], random_codes(1, layout), fingerprint="a")
                following.add([1], random_codes(1, layout), fingerprint=fingerprint)
        switch_generation(redis_url, "x", 1)
        for use in (reader.search, lambda codes, **more: reader.add([5], codes, **more)):
            for more in ({}, {"fingerprint": "a"}):
                with pytest.raises(FingerprintMismatch, match="holds codes of model b"):
                    use(QUERY, **more)  # type: ignore[operator]
            use(QUERY, fingerprint="b")  # type: ignore[operator]
        assert (reader.fingerprint, len(reader)) == ("b", 2)
        switch_generation(redis_url, "x", 2)
        with pytest.raises(LayoutMismatch):
            reader.search(QUERY)
        assert len(reader.search(random_codes(1, other), fingerprint="c")) == 1
        switch_generation(redis_url, "x", 0)
        assert seen(reader) == 0


def test_readers_and_writers_run_throughout_and_see_no_mixture(redis_url: str, live: Index) -> None:
    """Each reader's answers are of the generation that was live at some moment while it searched."""
    over, told, lock = threading.Event(), [{0}], threading.Lock()

    def read(settings: dict[str, Any]) -> int:
        answers = 0
        with Index.open(redis_url, "x", **settings) as reader:
            while not over.is_set():
                with lock:
                    first = len(told)
                found = seen(reader)
                with lock:
                    possible = set().union(*told[first - 1 :])
                assert found in possible, f"{found} was not live, but {possible}"
                answers += 1
        return answers

    def write() -> int:
        writes = 0
        with Index.open(redis_url, "x") as writer:
            while not over.is_set():
                writer.add(["w"], QUERY)  # into one generation or the other, and never refused
                assert writer.delete(["w"]) in (0, 1)
                writes += 1
        return writes

    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(read, settings) for settings in ({}, {"cache_bytes": 1 << 20})]
        try:
            for turn in range(1, 13):
                with lock:
                    told.append({0, 1})
                switch_generation(redis_url, "x", turn % 2)
                with lock:
                    told.append({turn % 2})
                time.sleep(0.02)
            quiet = [one.done() for one in working]
        finally:
            over.set()
        assert not any(quiet), [one.exception() for one in working]
        assert min(one.result() for one in working) > 3
    over.clear()
    with ThreadPoolExecutor(2) as pool:
        writing = [pool.submit(write) for _ in range(2)]
        for turn in range(8):
            switch_generation(redis_url, "x", (turn + 1) % 2)
            time.sleep(0.02)
        over.set()
        assert min(one.result() for one in writing) > 3
    for name in ("x@0", "x@1"):
        assert check_index(redis_url, name).findings == ()


def test_one_who_opens_it_in_the_moment_of_a_switch_gets_the_other(
    redis_url: str, live: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, turns = lifecycle.stored_name, [1]

    def overtaken(connection: Connection, name: str) -> str:
        stored = real(connection, name)
        if name == "x" and turns:
            switch_generation(redis_url, "x", turns.pop())
        return stored

    monkeypatch.setattr(lifecycle, "stored_name", overtaken)
    with Index.open(redis_url, "x") as opened:
        assert seen(opened) == 1


def test_of_many_who_switch_at_once_each_is_done_or_refused_and_one_generation_is_live(
    redis_url: str, live: Index
) -> None:
    with create_generation(redis_url, "x", LAYOUT) as third:
        fill(third, 2)

    def switch(to: int) -> str:
        try:
            switch_generation(redis_url, "x", to)
        except StoreError as exc:
            return str(exc)
        return "done"

    for _ in range(8):
        with ThreadPoolExecutor(6) as pool:
            outcomes = list(pool.map(switch, [0, 1, 2, 0, 1, 2]))
        assert "done" in outcomes
        assert all(said == "done" or "by somebody else meanwhile" in said for said in outcomes)
        known = list_generations(redis_url, "x")
        now = [one.number for one in known if one.live]
        assert now == [seen(live)]
        live.add([0], random_codes(1, LAYOUT), [{"generation": now[0]}])  # writers are at home there


def test_one_that_comes_too_late_leaves_no_second_generation_live(
    redis_url: str, live: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    with create_generation(redis_url, "x", LAYOUT) as third:
        fill(third, 2)
    switch_generation(redis_url, "x", 2)
    roll_back(redis_url, "x")
    turn = switching._turn

    def overtaken(*arguments: Any) -> None:
        """Another switch is done, from beginning to end, between the first steps of this one."""
        monkeypatch.setattr(switching, "_turn", turn)
        switch_generation(redis_url, "x", 1)
        turn(*arguments)

    monkeypatch.setattr(switching, "_turn", overtaken)
    with pytest.raises(StoreError, match="by somebody else meanwhile"):
        switch_generation(redis_url, "x", 2)
    assert seen(live) == 1
    states = {one.number: one.state for one in list_generations(redis_url, "x")}
    assert states == {0: "past", 1: "live", 2: "past"}


@pytest.mark.parametrize("dies_in", ["_settle", "_turn"])
def test_a_switch_that_was_cut_short_is_finished_by_the_same_command(
    redis_url: str, live: Index, dies_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        calls: list[int] = []
        whole = getattr(switching, dies_in)

        def cut(*arguments: Any) -> Any:
            calls.append(1)
            if dies_in == "_settle" or len(calls) == 3:  # before the old generation is turned past
                raise KeyboardInterrupt
            return whole(*arguments)

        patch.setattr(switching, dies_in, cut)
        switch_generation(redis_url, "x", 1)
    with Index.open(redis_url, "x") as opened:
        assert seen(opened) == 1, "who opens it now gets what was switched to"
    assert check_index(redis_url, "x@0").findings == ()
    switch_generation(redis_url, "x", 1)
    assert seen(live) == 1
    with pytest.raises(IndexMissing), Index.open(redis_url, "x@0") as old:
        old.delete([1])


def test_the_old_one_is_dropped_while_readers_read_and_idle_ones_follow_later(redis_url: str, live: Index) -> None:
    with pytest.raises(InvalidInput, match="generation 0 of index 'x' is the live one"):
        drop_index(redis_url, "x@0")
    switch_generation(redis_url, "x", 1)
    drop_index(redis_url, "x@0")
    assert seen(live) == 1, "though it had not looked since before the switch"
    assert [(one.number, one.state) for one in list_generations(redis_url, "x")] == [(1, "live")]
    with pytest.raises(IndexMissing):
        roll_back(redis_url, "x")
    assert seen(live) == 1


def test_dropping_the_index_drops_every_generation(redis_url: str, live: Index) -> None:
    switch_generation(redis_url, "x", 1)
    create_generation(redis_url, "x", LAYOUT).close()
    Index.create(redis_url, "xy", LAYOUT).close()
    assert list_indexes(redis_url) == ["x", "xy"]
    live.drop()
    assert list_indexes(redis_url) == ["xy"]
    assert all(key.startswith(b"hg:{xy:") for key in redis.Redis.from_url(redis_url).scan_iter())
    Index.create(redis_url, "x", LAYOUT).close()
    for use in (lambda: seen(live), lambda: len(live)):
        with pytest.raises(IndexMissing):
            use()


def test_what_cannot_be_is_refused(redis_url: str, live: Index) -> None:
    with pytest.raises(IndexExists, match="several generations"):
        Index.create(redis_url, "x", LAYOUT)
    for name in ("x@", "x@-1", "x@01", "@1", "x@1@2", "x@one"):
        with pytest.raises(InvalidInput, match="cannot name an index"):
            Index.open(redis_url, name)
    with pytest.raises(InvalidInput, match="cannot name an index"):
        Index.create(redis_url, "y@1", LAYOUT)
    with pytest.raises(IndexMissing, match="no index 'x@7'"):
        switch_generation(redis_url, "x", 7)
    assert seen(live) == 0
    with pytest.raises(InvalidInput, match="never switched"):
        roll_back(redis_url, "x")
    for use in (switch_generation, roll_back, list_generations):
        with pytest.raises(IndexMissing, match="no index 'y'"):
            use(redis_url, "y")
    with pytest.raises(IndexMissing):
        create_generation(redis_url, "y", LAYOUT)
    Index.create(redis_url, "y", LAYOUT).close()
    with pytest.raises(InvalidInput, match="one generation only"):
        switch_generation(redis_url, "y")
    assert [one.number for one in list_generations(redis_url, "y")] == [0]


def test_a_damaged_note_of_generations_is_told(redis_url: str, live: Index) -> None:
    redis.Redis.from_url(redis_url).hset("hg:{x}:generations", "live", "one")
    for use in (lambda: Index.open(redis_url, "x"), lambda: switch_generation(redis_url, "x")):
        with pytest.raises(IndexCorrupt, match="does not say which generation"):
            use()
    assert seen(live) == 0, "who has it open is not concerned"
